"""Which proxy leads to a gateway: the variables as curl and Go read them, as a table."""

import pytest

from exporter.cometapi.proxies import (
    EXPECTED,
    NO_SOCKS,
    Proxy,
    is_excepted,
    parse_proxy,
    variable_for,
)
from exporter.credentials import Secret

NAME = "https://api.gateway.example"
PROXY = "http://proxy.example:3128"


# Which variable


@pytest.mark.parametrize(
    ("base_url", "environ", "variable"),
    [
        (NAME, {}, None),
        (NAME, {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        (NAME, {"https_proxy": PROXY}, "https_proxy"),
        (NAME, {"https_proxy": PROXY, "HTTPS_PROXY": PROXY}, "https_proxy"),
        (NAME, {"https_proxy": " ", "HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        (NAME, {"HTTP_PROXY": PROXY}, None),
        ("http://gateway.example", {"HTTP_PROXY": PROXY}, "HTTP_PROXY"),
        ("http://gateway.example", {"HTTPS_PROXY": PROXY}, None),
        (NAME, {"ALL_PROXY": PROXY}, "ALL_PROXY"),
        (NAME, {"all_proxy": PROXY, "HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        (NAME, {"HTTPS_PROXY": PROXY, "NO_PROXY": "other.example"}, "HTTPS_PROXY"),
        (NAME, {"HTTPS_PROXY": PROXY, "NO_PROXY": "gateway.example"}, None),
        (NAME, {"HTTPS_PROXY": PROXY, "no_proxy": "gateway.example"}, None),
        (NAME, {"HTTPS_PROXY": PROXY, "no_proxy": "x", "NO_PROXY": "*"}, "HTTPS_PROXY"),
        ("http://localhost:3000", {"HTTP_PROXY": PROXY}, None),
        ("http://127.1.2.3:3000", {"HTTP_PROXY": PROXY}, None),
        ("http://[::1]:3000", {"ALL_PROXY": PROXY}, None),
    ],
)
def test_the_variable_of_a_gateway_is(base_url, environ, variable):
    assert variable_for(base_url, environ) == variable


# What NO_PROXY excepts


@pytest.mark.parametrize(
    ("base_url", "no_proxy"),
    [
        (NAME, "*"),
        (NAME, "other.example,*"),
        (NAME, "api.gateway.example"),
        (NAME, "gateway.example"),
        (NAME, ".gateway.example"),
        (NAME, "*.gateway.example"),
        (NAME, "example"),
        (NAME, "API.Gateway.EXAMPLE"),
        (NAME, "gateway.example."),
        (NAME, "gateway.example:443"),
        (NAME, "gateway.example:"),
        (NAME, " other.example , gateway.example "),
        (NAME, "other.example gateway.example"),
        (NAME, "other.example\tgateway.example"),
        ("https://gateway.example", ".gateway.example"),
        ("https://gateway.example:8443", "gateway.example:8443"),
        ("http://gateway.example", "gateway.example:80"),
        ("https://xn--bcher-kva.example", "bücher.example"),
        ("https://api.xn--bcher-kva.example", "BÜCHER.example"),
        ("https://10.1.2.3", "10.1.2.3"),
        ("https://10.1.2.3", "10.0.0.0/8"),
        ("https://10.1.2.3", "10.9.9.9/8"),
        ("https://10.1.2.3:8443", "10.1.2.3:8443"),
        ("https://10.1.2.3", "[10.1.2.3]"),
        ("https://10.1.2.3", "::ffff:10.1.2.3"),
        ("https://10.1.2.3", "::ffff:10.0.0.0/104"),
        ("https://[::ffff:10.1.2.3]", "10.0.0.0/8"),
        ("https://[fd00::1]", "fd00::1"),
        ("https://[fd00::1]", "fd00:0:0::0001"),
        ("https://[fd00::1]", "[fd00::1]"),
        ("https://[fd00::1]", "[fd00::1]:443"),
        ("https://[fd00::1]:8443", "[fd00::1]:8443"),
        ("https://[fd00::1]", "fd00::1/128"),
        ("https://[fd00::1]", "fd00::/8"),
        ("https://[fd00::1]", "[fd00::]/8"),
        ("https://[fd00::1]", "[fd00::/8]"),
        ("https://[fd07:b51a:cc66:f0::5]", "localhost,127.0.0.1,::1,fd07:b51a:cc66:f0::/64"),
        ("https://[fe80::1%25eth0]", "fe80::1"),
        ("https://[fe80::1]", "fe80::1%eth0"),
    ],
)
def test_no_proxy_excepts(base_url, no_proxy):
    assert is_excepted(base_url, no_proxy)


@pytest.mark.parametrize(
    ("base_url", "no_proxy"),
    [
        (NAME, ""),
        (NAME, ","),
        (NAME, "."),
        (NAME, "*.api.gateway.example"),
        (NAME, "way.example"),
        (NAME, "gateway.example.org"),
        (NAME, "gateway.example:8443"),
        (NAME, "gateway.example:https"),
        (NAME, "10.0.0.0/8"),
        (NAME, "fd00::/8"),
        (NAME, "[::1]"),
        (NAME, "[fd00::1]:443"),
        (NAME, "::1/128"),
        (NAME, "bücher.example"),
        (NAME, "\N{SNOWMAN}\N{ZERO WIDTH SPACE}"),
        (NAME, "ü" * 200),
        (NAME, "[::1"),
        (NAME, "http://gateway.example"),
        (NAME, "gateway.example/24"),
        (NAME, "%"),
        ("https://10.1.2.3", "11.0.0.0/8"),
        ("https://10.1.2.3", "10.1.2.3:80"),
        ("https://10.1.2.3", "2.3"),
        ("https://10.1.2.3", "10.1.2.3/33"),
        ("https://[fd00::1]", "fe80::/10"),
        ("https://[fd00::1]", "[fd00::1]:80"),
        ("https://[fd00::1]", "::/129"),
        ("https://[::2]", "0.0.0.0/0"),
        ("https://10.1.2.3", "::/1"),
    ],
)
def test_no_proxy_does_not_except(base_url, no_proxy):
    assert not is_excepted(base_url, no_proxy)


# What a proxy is


def a_proxy(**changes):
    standard = {"scheme": "http", "host": "proxy.example", "port": 3128, "variable": "HTTPS_PROXY"}
    return Proxy(**(standard | changes))


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.example:3128", a_proxy()),
        ("HTTP://Proxy.Example:3128", a_proxy()),
        ("http://proxy.example:3128/", a_proxy()),
        (" http://proxy.example:3128\r", a_proxy()),
        ("proxy.example:3128", a_proxy()),
        ("proxy.example", a_proxy(port=80)),
        ("https://proxy.example", a_proxy(scheme="https", port=443)),
        ("http://bücher.example:3128", a_proxy(host="xn--bcher-kva.example")),
        ("http://10.0.0.1:3128", a_proxy(host="10.0.0.1")),
        ("http://[fd00::1]:3128", a_proxy(host="fd00::1")),
        ("[fd00::1]:3128", a_proxy(host="fd00::1")),
        ("http://me:pass@proxy.example:3128", a_proxy(login=Secret("me:pass"))),
        ("me:pass@proxy.example:3128", a_proxy(login=Secret("me:pass"))),
        ("http://me@proxy.example:3128", a_proxy(login=Secret("me:"))),
        ("http://me:p%40ss%3A@proxy.example:3128", a_proxy(login=Secret("me:p@ss:"))),
        ("http://me:p@ss@proxy.example:3128", a_proxy(login=Secret("me:p@ss"))),
    ],
)
def test_a_proxy_is_read_from(text, proxy):
    assert parse_proxy(text, "HTTPS_PROXY") == proxy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("socks5://proxy.example:1080", NO_SOCKS),
        ("socks5h://me:CANARY@proxy.example:1080", NO_SOCKS),
        ("SOCKS4://proxy.example", NO_SOCKS),
        ("ftp://proxy.example", EXPECTED),
        ("http://", EXPECTED),
        ("http://:3128", EXPECTED),
        ("http://proxy.example:none", EXPECTED),
        ("http://proxy.example:0", EXPECTED),
        ("http://proxy.example:99999", EXPECTED),
        ("http://me:CANARY#1@proxy.example:3128", EXPECTED),
        ("http://me:CANARY/1@proxy.example:3128", EXPECTED),
        ("http://proxy one.example", EXPECTED),
        ("http://[fd00::1", EXPECTED),
        ("http://[proxy]:3128", EXPECTED),
        ("http://" + "ü" * 200, EXPECTED),
        ("http://prox\u2100.example", EXPECTED),
    ],
)
def test_what_is_no_http_proxy_is_told_without_quoting_it(text, said):
    with pytest.raises(ValueError, match="prox") as caught:
        parse_proxy(text, "HTTPS_PROXY")

    assert str(caught.value) == said


def test_a_proxy_shows_its_address_and_variable_and_no_password():
    shown = a_proxy(host="fd00::1", login=Secret("me:CANARY"))

    assert str(shown) == "the proxy [fd00::1]:3128 (HTTPS_PROXY)"
    assert shown.url == "http://[fd00::1]:3128"
    assert "CANARY" not in repr(shown)


def test_a_name_that_may_be_a_token_is_not_shown():
    pasted = parse_proxy("sk-CANARY0123456789012345678901234567890123456789", "HTTPS_PROXY")

    assert str(pasted) == "the proxy with a name of 49 characters (HTTPS_PROXY)"

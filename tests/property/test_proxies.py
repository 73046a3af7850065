"""Whatever stands in the proxy variables, the exporter has an answer and quotes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cometapi.proxies import EXPECTED, NO_SOCKS, is_excepted, parse_proxy

# The characters that mean something in a URL, an address or a list, and any other.
TEXTS = st.text(st.sampled_from("a1.:/@[]%*,-ü\u2100 #?") | st.characters(), max_size=30)
URLS = st.sampled_from(["https://gateway.example", "http://10.1.2.3:80", "https://[fd00::1]"])


@given(URLS, TEXTS)
def test_any_list_of_exceptions_is_read(base_url, no_proxy):
    assert is_excepted(base_url, no_proxy) in {True, False}
    assert is_excepted(base_url, f"{no_proxy},*")


@given(TEXTS)
def test_any_text_is_a_proxy_or_is_told_to_be_none(text):
    try:
        proxy = parse_proxy(text, "HTTPS_PROXY")
    except ValueError as error:
        assert str(error) in {EXPECTED, NO_SOCKS}  # noqa: PT017 - many texts are valid
    else:
        assert 0 < proxy.port < 65_536
        assert proxy.host


def test_an_entry_of_a_megabyte_is_read():
    assert not is_excepted("https://gateway.example", "[" * 1_000_000)
    with pytest.raises(ValueError, match="expected an HTTP proxy"):
        parse_proxy("[" * 1_000_000, "HTTPS_PROXY")

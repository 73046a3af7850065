"""An HTTP proxy on the way, over real sockets: what passes, and whose fault a failure is said to be."""

import socket
import ssl
import threading

import pytest
import trustme
from builders import wire_keys
from forward_proxy import NEEDS_LOGIN, ForwardProxy
from gateway import Gateway
from sessions import Session

from exporter.cometapi.proxies import Proxy
from exporter.credentials import Secret
from exporter.errors import Reason

URL = "https://gateway.example"
PASSWORD = "CANARY-of-the-proxy"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def serving(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def gateway(authority):
    context = serving(authority, "gateway.example")
    with Gateway(keys=wire_keys(3), ssl_context=context) as running:
        yield running


def at(port: int, *, scheme="http", host="127.0.0.1", login=None) -> Proxy:
    secret = None if login is None else Secret(login)
    return Proxy(scheme=scheme, host=host, port=port, variable="HTTPS_PROXY", login=secret)


def failure(proxy: Proxy, *, url=URL, timeout=5.0, ca_file=None) -> str:
    """Return what is said of a proxy that does not lead to the gateway."""
    error = Session(url=url, proxy=proxy, timeout=timeout, ca_file=ca_file).failure()
    assert error.reason is Reason.UNREACHABLE
    return str(error)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        return closed_soon.getsockname()[1]


# What passes


def test_a_gateway_is_read_through_a_tunnel(gateway, ca_file):
    with ForwardProxy(gateway.port) as proxy:
        listing = Session(url=URL, proxy=at(proxy.port), ca_file=ca_file).keys()

    assert len(listing.keys) == 3
    assert proxy.asked == ["CONNECT gateway.example:443 HTTP/1.1"]


def test_the_proxy_gets_user_and_password_and_the_gateway_does_not(gateway, ca_file):
    with ForwardProxy(gateway.port, login="me:p@ss:ü") as proxy:
        session = Session(url=URL, proxy=at(proxy.port, login="me:p@ss:ü"), ca_file=ca_file)

        assert len(session.keys().keys) == 3
    assert "proxy-authorization" not in gateway.requests[0].headers


def test_a_proxy_may_speak_tls_itself_with_a_certificate_of_the_same_authority(
    authority, gateway, ca_file
):
    with ForwardProxy(gateway.port, ssl_context=serving(authority, "127.0.0.1")) as proxy:
        session = Session(url=URL, proxy=at(proxy.port, scheme="https"), ca_file=ca_file)

        assert len(session.keys().keys) == 3


def test_a_gateway_without_tls_is_read_through_a_proxy():
    with Gateway(keys=wire_keys(3)) as gateway, ForwardProxy(gateway.port) as proxy:
        listing = Session(url="http://gateway.example", proxy=at(proxy.port)).keys()

    assert len(listing.keys) == 3
    assert proxy.asked[0].startswith("GET http://gateway.example/api/token/?")


# Faults of the proxy


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (b"403 Forbidden", "does not connect to gateway.example:443: HTTP 403 Forbidden"),
        (b"503 CANARY", "does not connect to gateway.example:443: HTTP 503 Service Unavailable"),
        (b"599 CANARY", "does not connect to gateway.example:443: HTTP 599"),
        (b"302 Found", "does not connect to gateway.example:443: HTTP 302 Found"),
        (b"407 x", "requires a user and a password in its URL (HTTP 407)"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_named_with_its_status(response, said):
    with ForwardProxy(response=b"HTTP/1.1 " + response + b"\r\nContent-Length: 0\r\n\r\n") as proxy:
        message = failure(at(proxy.port))

    assert message == f"the proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY) {said}"


@pytest.mark.parametrize("url", [URL, "http://gateway.example"])
def test_a_wrong_password_of_the_proxy_is_told_without_the_password(url):
    with ForwardProxy(response=NEEDS_LOGIN) as proxy:
        message = failure(at(proxy.port, login=f"me:{PASSWORD}"), url=url)

    assert message == (
        f"the proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY) rejects the user and password of its URL "
        "(HTTP 407)"
    )


def test_a_proxy_that_is_not_running_is_named():
    port = unused_port()

    assert failure(at(port)) == (
        f"cannot connect to the proxy 127.0.0.1:{port} (HTTPS_PROXY): connection refused"
    )


def test_a_proxy_whose_name_does_not_resolve_is_named():
    assert failure(at(3128, host="proxy.invalid")) == (
        "cannot resolve the name of the proxy proxy.invalid:3128 (HTTPS_PROXY)"
    )


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the proxy {} (HTTPS_PROXY) does not speak HTTP"),
        (
            b"",
            "the connection to the proxy {} (HTTPS_PROXY) broke before the response was complete",
        ),
    ],
    ids=["nonsense", "nothing"],
)
def test_a_proxy_that_sends_no_http_is_named(response, said):
    with ForwardProxy(response=response) as proxy:
        assert failure(at(proxy.port)) == said.format(f"127.0.0.1:{proxy.port}")


def test_a_proxy_that_sends_nothing_in_time_is_named():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = Session(url=URL, proxy=at(port), timeout=0.1).failure()

    assert (error.reason, str(error)) == (
        Reason.TIMEOUT,
        f"no complete response from the proxy 127.0.0.1:{port} (HTTPS_PROXY) within 0.1 s",
    )


def test_a_proxy_whose_certificate_is_not_trusted_is_named(authority, ca_file):
    with ForwardProxy(ssl_context=serving(authority, "other.example")) as proxy:
        message = failure(at(proxy.port, scheme="https"), ca_file=ca_file)

    assert message.startswith(
        f"TLS: the certificate of the proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY) is not trusted: "
        "IP address mismatch"
    )


def test_a_proxy_without_tls_behind_an_https_url_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=reject_all, args=(listener, 3), daemon=True).start()
        port = listener.getsockname()[1]
        message = failure(at(port, scheme="https"))

    assert message == (
        f"the proxy 127.0.0.1:{port} (HTTPS_PROXY) does not speak TLS: is its URL http:// instead?"
    )


def reject_all(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


# Faults behind the proxy


def test_a_connection_that_breaks_behind_the_proxy_names_both(gateway, ca_file):
    with ForwardProxy(gateway.port, breaks=True) as proxy:
        message = failure(at(proxy.port), ca_file=ca_file)

    assert f"gateway.example:443 through the proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY)" in message


def test_a_certificate_that_the_proxy_puts_in_place_of_the_gateways_names_both(gateway):
    """As proxies do that look into TLS: the user has to trust their authority."""
    with ForwardProxy(gateway.port) as proxy:
        message = failure(at(proxy.port))

    assert message.startswith(
        f"TLS: the certificate of gateway.example:443 through the proxy 127.0.0.1:{proxy.port} "
        "(HTTPS_PROXY) is not trusted: "
    )

"""TLS, client certificates and passwords over real sockets; the configs are the examples of deploy/web-config/."""

import asyncio.sslproto
import contextlib
import gc
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from processes import wait_until
from structlog.testing import capture_logs

from exporter.server.tls import WebConfigFile

EXAMPLES = Path(__file__).parents[3] / "deploy" / "web-config"
PASSWORD = httpx.BasicAuth("prometheus", "replace-this-password")
OTHER_HASH = "$2b$04$aWw4MAaprZ.Md4XYrh60NOF63X6J7iN.pFdpo9eS5A8JfobFdRk7e"  # of "x"

CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
FOREIGN_CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
LEAF, NEXT_LEAF = (CA.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA) for _ in range(2))
SCRAPER = CA.issue_cert("scraper@example.org", key_type=trustme.KeyType.ECDSA)
STRANGER = FOREIGN_CA.issue_cert("scraper@example.org", key_type=trustme.KeyType.ECDSA)

Start = Callable[..., Any]


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], WebConfigFile]:
    """Load an example as a user would: copied, with certificates of one's own beside it."""

    def load(name: str) -> WebConfigFile:
        install(LEAF, tmp_path)
        CA.cert_pem.write_to_path(tmp_path / "client-ca.crt")
        return WebConfigFile(Path(shutil.copy(EXAMPLES / name, tmp_path / "web.yml")))

    return load


def install(leaf: trustme.LeafCert, folder: Path) -> None:
    leaf.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    leaf.private_key_pem.write_to_path(folder / "tls.key")


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


def get(
    server: Any, scheme: str = "https", path: str = "/metrics", **options: Any
) -> httpx.Response:
    certificate = options.pop("certificate", None)
    verify = client_context(certificate) if scheme == "https" else False
    return httpx.get(
        f"{scheme}://127.0.0.1:{server.port}{path}",
        verify=verify,
        trust_env=False,
        timeout=10,
        **options,
    )


def certificate_of(server: Any) -> bytes:
    with (
        server.connect() as sock,
        client_context().wrap_socket(sock, server_hostname="127.0.0.1") as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def der(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def test_the_tls_example_serves_https_with_its_headers(start: Start, example: Any) -> None:
    server = start(web_config=example("tls.yml"))
    response = get(server)

    assert response.text == "up 1\n"
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_large_answer_arrives_whole_over_tls(start: Start, example: Any) -> None:
    server = start(body=b"z" * 5_000_000, web_config=example("tls.yml"))

    assert get(server).content == b"z" * 5_000_000


def test_plain_http_on_a_tls_port_gets_no_answer(start: Start, example: Any) -> None:
    server = start(web_config=example("tls.yml"))

    assert b"up 1" not in server.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert get(server).status_code == 200


def test_old_tls_is_refused(start: Start, example: Any) -> None:
    """The mTLS example asks for 1.3; a client that speaks no more than 1.2 stays outside."""
    server = start(web_config=example("mtls.yml"))
    context = client_context(SCRAPER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with server.connect() as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="127.0.0.1")


def test_an_intermediate_authority_alone_admits_its_clients(
    start: Start, example: Any, tmp_path: Path
) -> None:
    """As with the exporters in Go, which take any certificate of the file as an anchor."""
    intermediate = CA.create_child_ca(key_type=trustme.KeyType.ECDSA)
    config = example("mtls.yml")
    intermediate.cert_pem.write_to_path(tmp_path / "client-ca.crt")
    config.refresh()
    scraper = intermediate.issue_cert("prometheus.example", key_type=trustme.KeyType.ECDSA)
    server = start(web_config=config)

    assert get(server, certificate=scraper).text == "up 1\n"


def test_the_mtls_example_admits_its_own_certificates_only(start: Start, example: Any) -> None:
    """Not those without one, not those of another authority, and the probes are no exception."""
    server = start(web_config=example("mtls.yml"))

    assert get(server, certificate=SCRAPER).text == "up 1\n"
    for certificate in (None, STRANGER):
        with pytest.raises(httpx.TransportError):
            get(server, certificate=certificate)
        with pytest.raises(httpx.TransportError):
            get(server, path="/-/healthy", certificate=certificate)


def test_the_basic_auth_example_asks_for_its_password(start: Start, example: Any) -> None:
    server = start(web_config=example("basic-auth.yml"))

    assert get(server, "http").status_code == 401
    assert get(server, "http", auth=httpx.BasicAuth("prometheus", "wrong")).status_code == 401
    assert get(server, "http", auth=PASSWORD).text == "up 1\n"
    assert get(server, "http", "/-/healthy").status_code == 200
    assert get(server, "http", "/-/ready").status_code == 200


def test_a_first_login_gets_through_the_guesses_of_another_client(
    start: Start, example: Any
) -> None:
    """As after a restart of the exporter, when no password is remembered."""
    server = start(web_config=example("basic-auth.yml"))
    guesses = [
        socket.create_connection(
            ("127.0.0.1", server.port), timeout=10, source_address=("127.0.0.2", 0)
        )
        for _ in range(60)
    ]
    for sock in guesses:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n")

    assert get(server, "http", auth=PASSWORD).status_code == 200
    for sock in guesses:
        sock.close()


def test_a_new_certificate_is_served_without_a_restart(
    start: Start, example: Any, tmp_path: Path
) -> None:
    """New connections see the new one; a connection that is open goes on."""
    server = start(web_config=example("tls.yml"))
    with httpx.Client(verify=client_context(), trust_env=False) as client, capture_logs() as lines:
        assert client.get(f"https://127.0.0.1:{server.port}/").status_code == 200
        assert certificate_of(server) == der(LEAF)
        NEXT_LEAF.private_key_pem.write_to_path(tmp_path / "tls.new")
        NEXT_LEAF.cert_chain_pems[0].write_to_path(tmp_path / "tls.new", append=True)
        both = "tls_server_config: {cert_file: tls.new, key_file: tls.new}"
        (tmp_path / "web.yml").write_text(both)
        wait_until(lambda: certificate_of(server) == der(NEXT_LEAF), seconds=5)
        assert client.get(f"https://127.0.0.1:{server.port}/").status_code == 200
    assert lines[-1]["event"] == "web config reloaded"


def test_users_change_without_a_restart(start: Start, example: Any, tmp_path: Path) -> None:
    """On a connection that is open, too: the next request counts."""
    server = start(web_config=example("basic-auth.yml"))
    with httpx.Client(trust_env=False) as client, capture_logs():
        url = f"http://127.0.0.1:{server.port}/"
        assert client.get(url, auth=PASSWORD).status_code == 200
        (tmp_path / "web.yml").write_text(f"basic_auth_users: {{newcomer: {OTHER_HASH}}}\n")
        wait_until(lambda: client.get(url, auth=PASSWORD).status_code == 401, seconds=5)
        assert client.get(url, auth=httpx.BasicAuth("newcomer", "x")).status_code == 200


def test_a_handshake_that_does_not_end_is_cut(start: Start, example: Any) -> None:
    """Fifty clients who connect and say nothing, and fifty who begin to shake hands."""
    server = start(web_config=example("tls.yml"), handshake_seconds=0.5, head_seconds=60)
    sockets = [server.connect() for _ in range(100)]
    for sock in sockets[:50]:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    wait_until(lambda: not any(server.is_open(sock) for sock in sockets), seconds=4)
    assert get(server).status_code == 200


def open_crowd(server: Any, size: int) -> list[socket.socket]:
    """Connect *size* clients that begin a handshake and say no more."""
    crowd = [server.connect() for _ in range(size)]
    for sock in crowd:
        with contextlib.suppress(OSError):
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    return crowd


@pytest.mark.parametrize("limit", ["handshakes", "connections"])
def test_handshakes_under_way_are_limited_and_the_next_client_is_served(
    start: Start, example: Any, limit: str
) -> None:
    """The oldest are cut: each costs a quarter of a megabyte. They count as connections, too."""
    server = start(web_config=example("tls.yml"), **{limit: 8})
    crowd = open_crowd(server, 100)
    wait_until(lambda: sum(server.is_open(sock) for sock in crowd) <= 8, seconds=5)
    assert get(server).status_code == 200


def test_handshakes_that_were_cut_leave_nothing_for_the_garbage_collector(
    start: Start, example: Any
) -> None:
    """Asyncio's buffers would lie in reference cycles until it comes, hundreds of megabytes after a burst."""
    server = start(web_config=example("tls.yml"), handshakes=8)
    gc.collect()
    gc.disable()
    try:
        crowd = open_crowd(server, 200)
        wait_until(lambda: sum(server.is_open(sock) for sock in crowd) <= 8, seconds=5)
        for sock in crowd:
            sock.sendall(b"nonsense") if server.is_open(sock) else None
            sock.close()
        wait_until(
            lambda: (
                sum(isinstance(each, asyncio.sslproto.SSLProtocol) for each in gc.get_objects())
                == 0
            ),
            seconds=5,
        )
    finally:
        gc.enable()


def test_slow_heads_and_slow_readers_are_cut_under_tls_too(start: Start, example: Any) -> None:
    server = start(
        body=b"q" * 8_000_000,
        web_config=example("tls.yml"),
        head_seconds=0.5,
        response_seconds=0.8,
        idle_seconds=60,
    )
    with (
        client_context().wrap_socket(server.connect(), server_hostname="127.0.0.1") as half,
        client_context().wrap_socket(
            server.connect(receive_buffer=4096), server_hostname="127.0.0.1"
        ) as reader,
    ):
        half.sendall(b"GET / HTTP/1.1\r\nHost:")
        reader.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        begun = time.monotonic()
        assert server.read_all(half) == b""
        assert time.monotonic() - begun < 5
        time.sleep(max(0.0, 1.6 - (time.monotonic() - begun)))
        assert len(server.read_all(reader)) < 8_000_000


def test_a_client_who_leaves_in_the_handshake_is_no_trouble(start: Start, example: Any) -> None:
    server = start(web_config=example("tls.yml"))
    for number in range(30):
        with server.connect() as sock:
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
            sock.sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
    assert get(server).status_code == 200

"""Towards the API, 2: bad networks. Clear reasons, and everything heals by itself."""

import datetime as dt
import socket
import ssl
import threading

import pytest
import trustme
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, close_before_answer, hang
from processes import Exporter, free_port, run_exporter, wait_until

UP = 'cometapi_up{account="default"}'


def failure_of(base_url, *flags, **variables):
    """Run one refresh and return what it logged about its failure."""
    done = run_exporter("--once", *flags, COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=base_url, **variables)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def test_a_refused_connection_is_unreachable():
    said = failure_of(f"http://127.0.0.1:{free_port()}")

    assert "reason=unreachable" in said
    assert "refused" in said


def test_a_name_that_does_not_resolve_is_unreachable():
    said = failure_of("https://gateway.invalid")

    assert "reason=unreachable" in said
    assert "cannot resolve gateway.invalid" in said


def test_a_gateway_that_restarts_between_pages_costs_no_key():
    faults = [None, close_before_answer(), close_before_answer()]
    with Gateway(keys=wire_keys(250), faults=faults) as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert done.stdout.count("\ncometapi_key_status{") == 250


def test_a_gateway_that_goes_away_and_comes_back_heals_without_a_restart():
    gateway = Gateway(keys=wire_keys(3))
    with gateway:
        exporter = Exporter(
            "--collect.interval=200ms", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url
        )
        exporter.wait_ready()
    with exporter:
        wait_until(lambda: exporter.samples()[UP] == 0)
        with gateway:
            wait_until(lambda: exporter.samples()[UP] == 1)


def test_connections_that_hang_do_not_use_up_the_pool():
    """More requests hang, refresh after refresh, than the client may have connections; then all answer."""
    with (
        Gateway(keys=wire_keys(450)) as gateway,
        Exporter(
            "--collect.interval=100ms",
            "--collect.timeout=200ms",
            "--collect.max-requests-per-minute=10000",
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        exporter.wait_ready()
        gateway.faults = lambda _: hang(20)
        gateway.wait_for(gateway.count() + 8, timeout=40)
        gateway.faults = None
        wait_until(lambda: exporter.samples()[UP] == 1)


class TestTls:
    def test_an_unknown_authority_is_named(self):
        certificate = trustme.CA().issue_cert("127.0.0.1")
        with Gateway(keys=wire_keys(3), ssl_context=server_context(certificate)) as gateway:
            said = failure_of(gateway.url)

        assert "reason=unreachable" in said
        assert "TLS: the certificate of 127.0.0.1:" in said

    def test_an_expired_certificate_is_named(self, tmp_path):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        certificate = authority.issue_cert("127.0.0.1", not_after=past)
        with Gateway(keys=wire_keys(3), ssl_context=server_context(certificate)) as gateway:
            said = failure_of(gateway.url, f"--cometapi.ca-file={tmp_path / 'ca.pem'}")

        assert "certificate has expired" in said

    def test_a_certificate_of_another_host_is_named(self, tmp_path):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = authority.issue_cert("another.example")
        with Gateway(keys=wire_keys(3), ssl_context=server_context(certificate)) as gateway:
            said = failure_of(gateway.url, f"--cometapi.ca-file={tmp_path / 'ca.pem'}")

        assert "mismatch" in said

    def test_a_private_authority_is_trusted_by_its_file(self, tmp_path):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = authority.issue_cert("127.0.0.1")
        with Gateway(keys=wire_keys(3), ssl_context=server_context(certificate)) as gateway:
            done = run_exporter(
                "--once",
                f"--cometapi.ca-file={tmp_path / 'ca.pem'}",
                COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
                COMETAPI_BASE_URL=gateway.url,
            )

        assert done.stdout.count("\ncometapi_key_status{") == 3


@pytest.fixture
def proxy():
    """Answer 503 to everything as a proxy, and keep the first lines of what was asked."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            for _ in range(20):
                try:
                    connection, _peer = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    asked.append(connection.recv(4096).split(b"\r\n")[0].decode())
                    connection.sendall(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_the_proxy_variables_are_honoured(proxy):
    url, asked = proxy

    said = failure_of("https://gateway.invalid", HTTPS_PROXY=url)

    assert set(asked) == {"CONNECT gateway.invalid:443 HTTP/1.1"}
    assert "reason=unreachable" in said


def test_no_proxy_is_honoured(proxy):
    url, asked = proxy
    with Gateway(keys=wire_keys(3)) as gateway:
        done = run_exporter(
            "--once",
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=gateway.url,
            HTTP_PROXY=url,
            NO_PROXY="127.0.0.1",
        )

    assert done.returncode == 0
    assert asked == []

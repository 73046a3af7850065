"""Towards the API, 2: bad networks. Clear reasons, and everything heals by itself.

What each fault and each bad certificate is called is for tests/integration/cometapi to show.
"""

import socket
import ssl
import threading

import pytest
import trustme
from builders import wire_keys
from gateway import Gateway, hang
from processes import QUICKLY, Exporter, run_exporter, wait_until

UP = 'cometapi_up{account="default"}'


def test_a_gateway_that_goes_away_and_comes_back_heals_without_a_restart():
    gateway = Gateway(keys=wire_keys(3))
    with gateway:
        exporter = Exporter(*QUICKLY, gateway=gateway).wait_ready()
    with exporter:
        wait_until(lambda: exporter.samples()[UP] == 0)
        with gateway:
            wait_until(lambda: exporter.samples()[UP] == 1)


def test_connections_that_hang_do_not_use_up_the_pool():
    """More requests hang, refresh after refresh, than the client may have connections; then all answer."""
    with (
        Gateway(keys=wire_keys(450)) as gateway,
        Exporter(*QUICKLY, "--collect.timeout=200ms", gateway=gateway) as exporter,
    ):
        exporter.wait_ready()
        gateway.faults = lambda _: hang(20)
        gateway.wait_for(gateway.count() + 8, timeout=40)
        gateway.faults = None
        wait_until(lambda: exporter.samples()[UP] == 1)


def test_a_private_authority_is_trusted_by_its_file_and_by_nothing_else(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Gateway(keys=wire_keys(3), ssl_context=context) as gateway:
        trusting = run_exporter(
            "--once", f"--cometapi.ca-file={tmp_path / 'ca.pem'}", gateway=gateway
        )
        other = run_exporter("--once", gateway=gateway)

    assert trusting.stdout.count("\ncometapi_key_status{") == 3
    assert other.returncode == 1
    assert "TLS: the certificate of 127.0.0.1:" in other.stderr


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
                    connection.sendall(
                        b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_the_proxy_variables_are_honoured(proxy):
    url, asked = proxy
    environment = {"COMETAPI_ACCESS_TOKEN": "token", "COMETAPI_BASE_URL": "https://gateway.invalid"}

    done = run_exporter("--once", HTTPS_PROXY=url, **environment)

    assert set(asked) == {"CONNECT gateway.invalid:443 HTTP/1.1"}
    assert done.returncode == 1
    assert "reason=unreachable" in done.stderr
    address = url.removeprefix("http://")
    said = f"the proxy {address} (HTTPS_PROXY) does not connect to gateway.invalid:443: HTTP 503"
    assert said in done.stderr


@pytest.mark.parametrize("exception", ["127.0.0.1", ""], ids=["by NO_PROXY", "by itself"])
def test_a_proxy_has_no_business_between_this_machine_and_itself(proxy, exception):
    url, asked = proxy
    with Gateway(keys=wire_keys(3)) as gateway:
        done = run_exporter("--once", gateway=gateway, HTTP_PROXY=url, NO_PROXY=exception)

    assert done.returncode == 0
    assert asked == []

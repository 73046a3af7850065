"""The installed program as a process: signals, exit codes, ports, pages."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, always, hang
from processes import Exporter, run_exporter


@pytest.fixture
def gateway():
    with Gateway(keys=wire_keys(3)) as running:
        yield running


@pytest.fixture
def exporter(gateway):
    with Exporter(gateway=gateway) as running:
        yield running.wait_ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0(exporter, number):
    assert exporter.stop(number, seconds=5) == 0


def test_it_ends_within_5_seconds_while_a_refresh_hangs():
    with Gateway(faults=always(hang(60))) as gateway, Exporter(gateway=gateway) as exporter:
        gateway.wait_for(1)
        assert exporter.get("/-/ready").status_code == 503
        started = time.monotonic()
        assert exporter.stop() == 0
        assert time.monotonic() - started < 5


def test_a_port_in_use_is_a_clear_error_with_exit_code_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_exporter("--demo", f"--web.listen-address={address}")

    assert done.returncode == 1
    assert address in done.stderr
    assert 'level=error msg="cannot start" error="cannot listen on ' in done.stderr
    assert "the port is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_serves_on_ipv4_and_ipv6_at_once(gateway):
    flags = ("--web.listen-address=127.0.0.1:0", "--web.listen-address=[::1]:0")
    with Exporter(*flags, gateway=gateway) as exporter:
        assert len(exporter.urls) == 2
        for url in exporter.urls:
            assert httpx.get(f"{url}/-/healthy", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://user:hidden@127.0.0.1:9"),
        ("HTTPS_PROXY", "foo://hidden"),
        ("SSL_CERT_FILE", "/nowhere"),
    ],
)
def test_a_variable_of_the_network_that_cannot_be_used_is_a_clear_error(variable, value):
    done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, **{variable: value})

    assert done.returncode == 2
    assert variable in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_it_ends_within_5_seconds_while_the_resolver_hangs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\n"
        "known = socket.getaddrinfo\n"
        "def hang(host, *rest, **named):\n"
        "    return time.sleep(30) if 'invalid' in str(host) else known(host, *rest, **named)\n"
        "socket.getaddrinfo = hang\n"
    )
    environment = {
        "COMETAPI_ACCESS_TOKEN": CANARY_TOKEN,
        "COMETAPI_BASE_URL": "https://gateway.invalid",
    }
    with Exporter(**environment, PYTHONPATH=str(tmp_path)) as exporter:
        time.sleep(0.5)
        started = time.monotonic()
        assert exporter.stop(seconds=20) == 0
        assert time.monotonic() - started < 6


STUCK = """
import asyncio, os, signal, threading, time
from exporter import app
from exporter.supervisor import find_supervisor

def refuse(_):
    raise RuntimeError("can't start new thread")

app.LAST_RESORT_SECONDS = 0.2
threading.Timer.start = refuse

async def hang():
    app._end_in_time_on_signals(asyncio.Event(), find_supervisor({}))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)

asyncio.run(hang())
"""


def test_a_stuck_event_loop_and_a_limit_on_threads_do_not_keep_it_from_ending():
    """Without a thread that ends the process, the kernel's timer does."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (-signal.SIGALRM, b"")
    assert time.monotonic() - began < 10

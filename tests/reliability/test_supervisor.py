"""A process that hangs is ended and started again, under the settings of the shipped unit.

The supervisor is a double that does what systemd does with `Type=notify` and `WatchdogSec`; the
time of the watchdog is shortened.
"""

import contextlib
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest
from processes import EXPORTER, Process, clean_environment, free_port

UNIT = Path(__file__).parents[2] / "deploy/systemd/cometapi-exporter.service"
WATCHDOG_SECONDS = 2.0

HANGS_WHEN_TOLD = """
import os, sys, time
from exporter.watch import Watch

async def age(self):
    while os.path.exists(sys.argv[-1]):
        time.sleep(0.1)

Watch.age = age
from exporter.cli import run
sys.exit(run(sys.argv[1:-1], os.environ))
"""


def setting(name):
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return value


class Systemd:
    """Starts a program as a service of `Type=notify`, and ends it when it shows no sign of life."""

    def __init__(self, command, folder):
        assert (setting("Type"), setting("Restart")) == ("notify", "always")
        self.command = command
        self.told = []
        self.ended = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.service = self.start()

    def start(self):
        environment = clean_environment(
            NOTIFY_SOCKET=self.socket.getsockname(),
            WATCHDOG_USEC=str(int(WATCHDOG_SECONDS * 1e6)),
        )
        return Process(self.command, environment)

    def wait_for(self, state, *, seconds=20.0):
        """Read what the service tells until *state* comes; return False if it does not in time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self.told.append(self.socket.recv(4096).decode())
                if self.told[-1] == state:
                    return True
        return False

    def supervise(self):
        """Wait until a sign of life fails to come, end the service and start it again; return how long that took."""
        began = time.monotonic()
        while self.wait_for("WATCHDOG=1", seconds=WATCHDOG_SECONDS):
            assert time.monotonic() - began < 20, (
                "the service shows signs of life although it hangs"
            )
        took = time.monotonic() - began
        self.ended.append(self.service.stop(signal.Signals[setting("WatchdogSignal")]))
        self.service = self.start()
        return took

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.service.stop(signal.SIGKILL)
        self.socket.close()


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def flags(port):
    return ["--demo", f"--web.listen-address=127.0.0.1:{port}"]


def is_healthy(port):
    return httpx.get(f"http://127.0.0.1:{port}/-/healthy", trust_env=False).status_code == 200


def test_a_service_is_ready_when_it_listens_and_says_when_it_stops(tmp_path, flags, port):
    with Systemd([EXPORTER, *flags], tmp_path) as systemd:
        assert systemd.wait_for("READY=1")
        assert is_healthy(port)
        assert systemd.wait_for("WATCHDOG=1")
        systemd.service.process.send_signal(signal.SIGTERM)
        assert systemd.wait_for("STOPPING=1")
        assert systemd.service.process.wait(10) == 0


def test_a_stopped_process_is_ended_and_started_again(tmp_path, flags, port):
    with Systemd([EXPORTER, *flags], tmp_path) as systemd:
        assert systemd.wait_for("READY=1")
        os.kill(systemd.service.process.pid, signal.SIGSTOP)
        took = systemd.supervise()

        assert WATCHDOG_SECONDS <= took < 2 * WATCHDOG_SECONDS
        assert systemd.wait_for("READY=1")
        assert is_healthy(port)


def test_a_process_whose_event_loop_hangs_is_ended_and_started_again(tmp_path, flags, port):
    hang = tmp_path / "hang"
    command = [sys.executable, "-c", HANGS_WHEN_TOLD, *flags, hang]
    with Systemd(command, tmp_path) as systemd:
        assert systemd.wait_for("READY=1")
        assert systemd.wait_for("WATCHDOG=1")
        hang.touch()
        systemd.supervise()
        hang.unlink()

        assert systemd.ended == [-signal.SIGKILL]
        assert systemd.wait_for("READY=1")
        assert is_healthy(port)


def test_a_process_that_works_is_left_alone_for_many_times_the_watchdog_s_time(tmp_path, flags):
    with Systemd([EXPORTER, *flags], tmp_path) as systemd:
        assert systemd.wait_for("READY=1")
        for _ in range(8):
            assert systemd.wait_for("WATCHDOG=1", seconds=WATCHDOG_SECONDS)

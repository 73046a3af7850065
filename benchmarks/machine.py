"""Start programs, read what they cost from /proc, and end them by their id.

Talks to: processes of this machine. Every wait is bounded in time.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PATIENCE_SECONDS = 180.0


class Failed(Exception):
    """Something that was to be measured did not come about."""


def wait_until(
    question: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, what: str = ""
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if question():
                return
        time.sleep(0.05)
    raise Failed(f"not within {seconds:g} s: {what}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


class Program:
    """A program under way; its output goes to a file, its children's costs count as its own."""

    def __init__(
        self, arguments: Sequence[object], log: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                env={**os.environ, **(environ or {})},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check_alive(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"ended with {self.process.returncode}: {self.output()[-2000:]}")
        return True

    def pids(self) -> list[int]:
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="ascii").split()
        return [own, *map(int, children)]

    def cpu_seconds(self) -> float:
        """Return what the program and its children have used so far, by the kernel's count."""
        return sum(_cpu_seconds(pid) for pid in self.pids())

    def running_seconds(self) -> float:
        """Return the same for the threads that run now, to the nanosecond."""
        tasks = [task for pid in self.pids() for task in Path(f"/proc/{pid}/task").iterdir()]
        return (
            sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks)
            / 1e9
        )

    def peak_bytes(self) -> int:
        """Return the most memory that was resident at once (VmHWM)."""
        return sum(_peak_bytes(pid) for pid in self.pids())


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise Failed("the kernel does not tell VmHWM")

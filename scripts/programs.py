"""Run programs beside each other: start each, wait until it is ready, stop it with the block.

Talks to: processes and their loopback ports. Knows nothing of what the programs do.
"""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

PATIENCE_SECONDS = 30.0
FAREWELL_SECONDS = 10.0


class StackError(Exception):
    """Something to fix before the stack can run; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One program of the stack: its command, where it serves, and where its lines go."""

    name: str
    command: tuple[str, ...]
    port: int
    log: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def started(part: Part) -> Iterator[subprocess.Popen[bytes]]:
    """Run *part* away from the terminal's signals; it ends with the block."""
    with part.log.open("wb") as log:
        process = subprocess.Popen(
            part.command,
            env=part.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(part: Part, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Wait until *part* says that it is ready; raise where it ends before, or never is."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        complain_of_end(part, process)
        with contextlib.suppress(httpx.TransportError):
            if (
                httpx.get(f"{part.url}/-/ready", trust_env=False, timeout=2).status_code
                == httpx.codes.OK
            ):
                return
        pause(stop, 0.1)
    raise StackError(
        f"{part.name} was not ready within {PATIENCE_SECONDS:g} s; its log: {part.log}"
    )


def pause(stop: threading.Event, seconds: float) -> None:
    """Wait; leave all blocks in order where a signal has come."""
    if stop.wait(seconds):
        print("\nstopping", flush=True)
        raise SystemExit(0)


def complain_of_end(part: Part, process: subprocess.Popen[bytes]) -> None:
    """Raise where *part* has ended, with its last lines."""
    code = process.poll()
    if code is not None:
        last = "\n".join(part.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        raise StackError(f"{part.name} ended with code {code}; the end of {part.log}:\n{last}")

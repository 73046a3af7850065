"""Standard error that takes no more lines: the program serves on, and ends in time."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from processes import EXPORTER, clean_environment, free_port, wait_until

PATIENCE_SECONDS = 20


@contextlib.contextmanager
def full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


@contextlib.contextmanager
def broken_pipe() -> Iterator[int]:
    """Give a pipe whose reader has gone, as when a log shipper restarts."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextlib.contextmanager
def full_pipe() -> Iterator[int]:
    """Give a pipe that is full and not read, as by a blocking log driver."""
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags)
    yield writer
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("broken", [full_disk, broken_pipe, full_pipe])
def test_log_lines_that_cannot_be_written_neither_stop_nor_delay_the_program(broken) -> None:
    """The gateway is not reachable, so that there is something to log."""
    port = free_port()
    flags = [
        f"--web.listen-address=127.0.0.1:{port}",
        f"--cometapi.base-url=http://127.0.0.1:{free_port()}",
        "--collect.interval=1s",
    ]
    with (
        broken() as standard_error,
        subprocess.Popen(
            [EXPORTER, *flags],
            env=clean_environment(COMETAPI_ACCESS_TOKEN="canary"),
            stdin=subprocess.DEVNULL,
            stderr=standard_error,
        ) as process,
    ):
        try:
            wait_until(lambda: "cometapi_up{" in get(port))
            assert [process.poll(), "cometapi_up{" in get(port)] == [None, True]
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            assert process.wait(PATIENCE_SECONDS) == 0
            assert time.monotonic() - begun < 5.5
        finally:
            process.kill()


def get(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=5).text

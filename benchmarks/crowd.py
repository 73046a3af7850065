"""Measure the peak memory while many clients read large answers slowly, one kind of answer after the other.

Talks to: the exporter, over connections with small buffers that are read a little at a time.
"""

import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from client import TEXT
from contenders import start_gateway, start_ours

READERS = 20
BYTES_A_READ = 16_384
PAUSE_SECONDS = 0.05
KINDS = {
    "gzip": ("/metrics", "Accept-Encoding: gzip\r\n"),
    "plain": ("/metrics", ""),
    "chosen, plain": (
        "/metrics?name[]=cometapi_key_info&name[]=cometapi_key_expires_in_seconds",
        "",
    ),
    "status page": ("/", "Accept-Encoding: gzip\r\n"),
    "JSON": ("/api/v1/keys", "Accept-Encoding: gzip\r\n"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The largest resident size so far, in bytes, after each kind of answer, with *readers* slow readers of it."""

    keys: int
    readers: int
    idle_bytes: int
    peaks: dict[str, int]


def measure(folder: Path, count: int, *, seconds: float) -> Crowd:
    """Let READERS clients read each kind of answer slowly for some *seconds*, while refreshes go on."""
    with ExitStack() as stack:
        url = start_gateway(stack, folder, count, int(time.time()), share=0.1)
        ours = start_ours(stack, folder, url, interval="10s")
        idle, peaks = ours.program.peak_bytes(), {}
        for kind, (path, headers) in KINDS.items():
            read_slowly(ours.port, path, headers, seconds)
            ours.program.check_alive()
            peaks[kind] = ours.program.peak_bytes()
    return Crowd(keys=count, readers=READERS, idle_bytes=idle, peaks=peaks)


def read_slowly(port: int, path: str, headers: str, seconds: float) -> None:
    """Request *path* on many connections, and read each of them a little at a time."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(READERS)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BYTES_A_READ)
            each.connect(("127.0.0.1", port))
            each.sendall(
                f"GET {path} HTTP/1.1\r\nHost: x:{port}\r\nAccept: {TEXT}\r\n{headers}\r\n".encode()
            )
            each.settimeout(0)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for each in sockets:
                try:
                    each.recv(BYTES_A_READ)
                except (BlockingIOError, ConnectionError):
                    continue
            time.sleep(PAUSE_SECONDS)

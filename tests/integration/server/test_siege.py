"""All hostile clients at once against one server process, and a well-behaved scraper in the middle of it."""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("siege_server.py")
ATTEMPTS = 3
SCRAPES = 120
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


class Scraper:
    """Scrape every 20 ms, each second time on a kept connection; keep how long each took, in seconds.

    Where the kept connection was cut, the scrape is tried again on a new one, as Prometheus does.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.seconds: list[float] = []
        self._kept = self._connection()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def scrape(self) -> None:
        begun = time.perf_counter()
        if len(self.seconds) % 2:
            try:
                self._take(self._kept)
            except OSError:
                self._kept.close()
                self._take(self._kept)
        else:
            connection = self._connection()
            self._take(connection)
            connection.close()
        self.seconds.append(time.perf_counter() - begun)

    @staticmethod
    def _take(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/metrics")
        assert len(connection.getresponse().read()) == 100_000

    def percentile_99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    def close(self) -> None:
        self._kept.close()


def scrape_by_turns(scrapers: list[Scraper]) -> None:
    for _ in range(SCRAPES):
        for scraper in scrapers:
            scraper.scrape()
            time.sleep(0.01)


@pytest.fixture
def start_server() -> Iterator[Callable[[], tuple[int, int]]]:
    """Start servers, each giving its port and process id; see that they stop cleanly and silently."""
    processes = []

    def start() -> tuple[int, int]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", SERVER],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline()), process.pid

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        output, errors = process.communicate(timeout=10)
        assert (process.returncode, output, errors) == (0, "", "")


def besiege(port: int, sockets: list[socket.socket]) -> None:
    """Open 500 half requests, 1,000 silent connections and 50 answers that are read byte by byte."""
    openings = [b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-"] * 500 + [b""] * 1000 + [GET] * 50
    for opening in openings:
        sock = socket.socket()
        sock.settimeout(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sockets.append(sock)
        sock.connect(("127.0.0.1", port))
        with contextlib.suppress(OSError):
            sock.sendall(opening)


def drip(sockets: list[socket.socket]) -> None:
    """Send and take one byte of each connection that still lets us."""
    for sock in sockets:
        sock.settimeout(0)
        with contextlib.suppress(OSError):
            sock.send(b"a")
        with contextlib.suppress(OSError):
            sock.recv(1)


def memory_peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def open_descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_a_scraper_is_served_in_time_in_the_middle_of_a_siege(
    start_server: Callable[[], tuple[int, int]],
) -> None:
    """99 of 100 scrapes stay under a second, memory and connections stay bounded, and the siege is over soon.

    A second server that is left alone is scraped by turns: what it needs is the machine's share of
    the time.
    """
    (port, pid), (calm_port, _) = start_server(), start_server()
    before = memory_peak_bytes(pid)
    measured = []
    for _ in range(ATTEMPTS):
        besieged, calm = Scraper(port), Scraper(calm_port)
        scraping = threading.Thread(target=scrape_by_turns, args=([besieged, calm],))
        scraping.start()
        sockets: list[socket.socket] = []
        besiege(port, sockets)
        held = open_descriptors(pid)
        while scraping.is_alive():
            drip(sockets)
            time.sleep(0.2)
        scraping.join()
        wait_for_peace(pid)
        for sock in sockets:
            sock.close()
        for scraper in (besieged, calm):
            scraper.close()
        assert len(besieged.seconds) == SCRAPES
        assert held < 300
        assert memory_peak_bytes(pid) - before < 60_000_000
        measured.append((besieged.percentile_99(), calm.percentile_99()))
        if measured[-1][0] < 1 + measured[-1][1]:
            return
    pytest.fail(f"99th percentiles in seconds, besieged and calm: {measured}")


def wait_for_peace(pid: int) -> None:
    """All who are slow are cut within their deadlines of 1.5 s; a busy machine may need a little longer."""
    end = time.monotonic() + 5
    while open_descriptors(pid) >= 20:
        assert time.monotonic() < end, "slow clients are still connected"
        time.sleep(0.1)

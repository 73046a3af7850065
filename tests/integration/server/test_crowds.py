"""The real program among crowds of clients, and a scraper that has to get through."""

import contextlib
import http.client
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from processes import EXPORTER, Exporter, clean_environment, free_port, wait_until

CROWD = Path(__file__).with_name("crowd.py")
SCRAPES = 20
TIMEOUT_SECONDS = 10  # that of Prometheus


@contextlib.contextmanager
def crowd(port: int, *, reloading: int = 0, idle: int = 0, silent: int = 0) -> Iterator[None]:
    """Let clients trouble *port*: how many reload the page, keep a connection idle, connect and say nothing."""
    arguments = [sys.executable, CROWD, *map(str, (port, reloading, idle, silent))]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(2)
            assert process.poll() is None
            yield
        finally:
            process.kill()


def scrape(connection: http.client.HTTPConnection) -> bool:
    """Scrape once; where the kept connection was cut, once more on a new one, as Prometheus does."""
    is_kept = connection.sock is not None
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return is_kept and scrape(connection)
    return response.status == http.HTTPStatus.OK


@pytest.mark.parametrize(
    "clients",
    [{"reloading": 300}, {"idle": 256, "silent": 5}],
    ids=["reloading", "idle-and-silent"],
)
def test_a_scraper_gets_through_a_crowd_on_new_and_on_kept_connections(
    clients: dict[str, int],
) -> None:
    with Exporter("--demo") as exporter:
        exporter.wait_ready()
        port = urlsplit(exporter.url).port or 0
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        assert scrape(kept)
        served = []
        with crowd(port, **clients):
            for _ in range(SCRAPES):
                new = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
                served += [(scrape(new), scrape(kept))]
                new.close()
                time.sleep(0.05)
        kept.close()
    assert served == [(True, True)] * SCRAPES


def test_few_descriptors_are_enough_for_a_scraper_among_idle_clients() -> None:
    """The limit of connections is half of `ulimit -n`; the other half is for everything else."""
    port = free_port()
    flags = ["--demo", f"--web.listen-address=127.0.0.1:{port}"]
    # Each connection of the demo's accounts to its own gateway takes two.
    program = f"ulimit -n 128; exec {shlex.join(map(str, [EXPORTER, *flags]))}"
    with subprocess.Popen(
        ["/bin/sh", "-c", program],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: can_scrape(port))
            with crowd(port, idle=180):
                assert [can_scrape(port) for _ in range(5)] == [True] * 5
        finally:
            process.terminate()
            _, log = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Too many open files" not in log


def can_scrape(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        return scrape(connection)

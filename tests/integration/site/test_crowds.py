"""A whole exporter after a crowd that asked for expensive responses and left: the scraper gets through.

Without the bound and the server's cancelling this took `/metrics` away for more than a minute.
"""

import contextlib
import http.client
import socket
import struct
import time
from urllib.parse import urlsplit

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter

KEYS = 3_000
CROWD = 300
PATIENCE_SECONDS = 30.0
CHEAP = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
EXPENSIVE = {
    "chosen": b"GET /metrics?name[]=cometapi_key_status HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
    "plain": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "page": b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
    "json": b"GET /api/v1/keys HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
}


@pytest.fixture(scope="module")
def address():
    """Return where an exporter of 3,000 keys listens."""
    with Gateway(keys=wire_keys(KEYS)) as gateway:
        variables = {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN, "COMETAPI_BASE_URL": gateway.url}
        flags = ("--collect.max-requests-per-minute=100000", "--collect.interval=10m")
        with Exporter(*flags, **variables) as exporter:
            parts = urlsplit(exporter.wait_ready().url)
            yield parts.hostname, parts.port


def seconds_until_served(address):
    """Scrape until it works, and return how long that took."""
    started = time.monotonic()
    while time.monotonic() - started < PATIENCE_SECONDS and not scrape(address):
        pass
    return time.monotonic() - started


def scrape(address):
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        return bool(response.read()) and response.status == http.HTTPStatus.OK
    return False


def cut_at_once(address, request):
    """Send *request* on 300 connections, and reset them all."""
    sockets = []
    for _ in range(CROWD):
        with contextlib.suppress(OSError):
            sockets.append(socket.create_connection(address, timeout=2))
            sockets[-1].sendall(request)
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


@pytest.mark.parametrize("kind", EXPENSIVE)
def test_after_three_hundred_requests_that_were_cut_a_scrape_is_served_as_after_cheap_ones(address, kind):
    cut_at_once(address, CHEAP)
    cheap = seconds_until_served(address)
    cut_at_once(address, EXPENSIVE[kind])
    took = seconds_until_served(address)
    print(f"{kind}: {took:.2f} s, {cheap:.2f} s after requests for a probe")

    assert took < 1 + 3 * cheap

"""How serving ends: those who are being answered are answered, and nothing is left behind (the fixture looks)."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
Start = Callable[..., Any]


def waiting_for(release: threading.Event) -> Any:
    async def app(_: Any, __: Any, send: Any) -> None:
        while not release.is_set():  # noqa: ASYNC110 - the test sets it from another thread
            await asyncio.sleep(0.01)
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
        )
        await send({"type": "http.response.body", "body": b"done"})

    return app


def test_idle_and_half_open_connections_do_not_delay_the_stop(start: Start) -> None:
    server = start(grace_seconds=5)
    with server.connect() as idle, server.connect() as half, server.connect():
        idle.sendall(GET)
        server.take(idle, b"up 1\n")
        half.sendall(b"GET /metr")
        time.sleep(0.1)
        server.stop()
        assert server.stopped_after < 1


def test_an_answer_under_way_is_finished(start: Start) -> None:
    release = threading.Event()
    server = start(waiting_for(release), grace_seconds=5)
    with server.connect(GET) as sock:
        time.sleep(0.2)
        threading.Timer(0.4, release.set).start()
        server.stop()
        assert server.read_all(sock).endswith(b"done")
        assert 0.3 < server.stopped_after < 3


def test_a_stopping_server_accepts_nobody(start: Start) -> None:
    release = threading.Event()
    server = start(waiting_for(release), grace_seconds=5)
    with server.connect(GET):
        time.sleep(0.2)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.2)
        try:
            server.connect().close()
        except ConnectionRefusedError:
            refused = True
        else:
            refused = False
        release.set()
        stopping.join()
        assert refused


def test_an_answer_that_does_not_end_is_cut_when_the_grace_is_over(start: Start) -> None:
    """Without a traceback: it is no error."""
    server = start(waiting_for(threading.Event()), grace_seconds=0.5)
    with server.connect(GET) as sock:
        time.sleep(0.2)
        server.stop()
        assert server.read_all(sock) == b""
        assert 0.4 < server.stopped_after < 3


def test_a_request_whose_client_has_gone_does_not_delay_the_stop(start: Start) -> None:
    server = start(waiting_for(threading.Event()), grace_seconds=5)
    with server.connect(GET):
        time.sleep(0.1)
    server.stop()
    assert server.stopped_after < 1


def test_a_reader_who_does_not_read_cannot_hold_the_stop(start: Start) -> None:
    server = start(body=b"x" * 20_000_000, grace_seconds=0.5)
    with server.connect(GET, receive_buffer=4096):
        time.sleep(0.2)
        server.stop()
        assert server.stopped_after < 3

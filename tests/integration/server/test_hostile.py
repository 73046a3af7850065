"""Visitors that are slow, greedy or mad; the deadlines are small here, so that a test takes a second and not thirty."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
OpenHouse = Callable[..., Any]


def within(seconds: float, question: Callable[[], bool]) -> bool:
    """Ask until the answer is true or the time is over."""
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_half_open_requests_are_cut_although_they_send_a_byte_now_and_then(open_house: OpenHouse) -> None:
    """The deadline counts from connecting: dripping bytes do not prolong it."""
    house = open_house(head_seconds=0.5)
    sockets = [house.connect() for _ in range(100)]
    for sock in sockets:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-")

    def are_cut_while_dripping() -> bool:
        for sock in sockets:
            try:
                sock.send(b"a")
            except OSError:
                continue
        return not any(house.is_open(sock) for sock in sockets)

    assert within(3, are_cut_while_dripping)
    assert b"200 OK" in house.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    for sock in sockets:
        sock.close()


def test_the_second_request_has_a_deadline_too(open_house: OpenHouse) -> None:
    """A visitor cannot hold a connection by asking once properly and then half."""
    house = open_house(head_seconds=0.4, idle_seconds=60)
    with house.connect() as sock:
        sock.sendall(GET)
        house.take(sock, b"up 1\n")
        sock.sendall(b"GET /metrics HT")
        assert within(3, lambda: not house.is_open(sock))


def test_an_idle_connection_is_kept_for_the_next_scrape_and_then_closed(open_house: OpenHouse) -> None:
    """Keep-alive outlives the head's deadline, but not its own."""
    house = open_house(head_seconds=0.1, idle_seconds=1.0)
    with house.connect() as sock:
        sock.sendall(GET)
        house.take(sock, b"up 1\n")
        time.sleep(0.4)
        sock.sendall(GET)
        house.take(sock, b"up 1\n")
        assert within(4, lambda: not house.is_open(sock))


def test_a_thousand_idle_connections_leave_room_for_a_scraper(open_house: OpenHouse) -> None:
    """Above the cap those who never asked go first: the scraper's connection survives and a new one is let in."""
    house = open_house(connections=50)
    with house.connect() as scraper:
        scraper.sendall(GET)
        house.take(scraper, b"up 1\n")
        crowd = [house.connect() for _ in range(1000)]
        assert within(5, lambda: sum(house.is_open(sock) for sock in crowd) <= 50)
        scraper.sendall(GET)
        house.take(scraper, b"up 1\n")
        assert b"up 1" in house.exchange(b"GET / HTTP/1.0\r\n\r\n")
        for sock in crowd:
            sock.close()


def test_when_everybody_has_asked_the_longest_idle_goes(open_house: OpenHouse) -> None:
    """Of ten kept connections the eleventh visitor displaces the oldest only."""
    house = open_house(connections=10)
    kept = [house.connect() for _ in range(10)]
    for sock in kept:
        sock.sendall(GET)
        house.take(sock, b"up 1\n")
    with house.connect() as newcomer:
        newcomer.sendall(GET)
        house.take(newcomer, b"up 1\n")
        assert [house.is_open(sock) for sock in kept] == [False] + [True] * 9
    for sock in kept:
        sock.close()


def test_visitors_who_are_being_answered_are_not_displaced(open_house: OpenHouse) -> None:
    """With every place at work the newcomer is turned away, and those at work get their answers."""
    release = threading.Event()

    async def slow(_: Any, __: Any, send: Any) -> None:
        await asyncio.to_thread(release.wait, 5)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    house = open_house(slow, connections=3)
    busy = [house.connect() for _ in range(3)]
    for sock in busy:
        sock.sendall(GET)
    time.sleep(0.2)
    with house.connect() as newcomer:
        assert within(3, lambda: not house.is_open(newcomer))
    release.set()
    for sock in busy:
        house.take(sock, b"done")
    for sock in busy:
        sock.close()


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Bomb: " + b"a" * 1_000_000 + b"\r\n\r\n", id="one-huge-header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Bomb: a\r\n" * 100_000 + b"\r\n", id="many-headers"),
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="huge-url"),
        pytest.param(b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="url-in-one-packet"),
    ],
)
def test_a_head_beyond_its_bound_is_refused(open_house: OpenHouse, bomb: bytes) -> None:
    """The visitor gets 400 or a closed connection, never the page."""
    house = open_house(idle_seconds=60)
    answer = house.exchange(bomb)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x00" * 5000, id="zeros"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), id="tls-hello"),
        pytest.param(b"\r\n" * 20_000, id="blank-lines"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", id="length-is-no-number"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad-chunk"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http2-preface"),
    ],
)
def test_garbage_ends_the_connection_and_is_not_worth_a_line_in_the_log(open_house: OpenHouse, garbage: bytes) -> None:
    """Twenty times the same nonsense; the next scraper is served (and the fixture finds the log empty)."""
    house = open_house(head_seconds=0.1, idle_seconds=0.1)
    for _ in range(20):
        with house.connect() as sock:
            sock.sendall(garbage)
            assert within(3, lambda: not house.is_open(sock))
    assert b"up 1" in house.exchange(b"GET / HTTP/1.0\r\n\r\n")


def test_random_bytes_never_make_the_server_complain(open_house: OpenHouse) -> None:
    """Two hundred connections of noise, some with a good beginning."""
    house = open_house(head_seconds=0.2, linger_seconds=0.2)
    for number in range(200):
        with house.connect() as sock:
            sock.sendall((GET if number % 2 else b"") + os.urandom(number * 7))
    assert b"up 1" in house.exchange(b"GET / HTTP/1.0\r\n\r\n")


def test_a_body_on_get_is_ignored_and_the_connection_goes_on(open_house: OpenHouse) -> None:
    """A small body is read away; the next request on the same connection is answered."""
    house = open_house(idle_seconds=0.5)
    with house.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + GET)
        assert house.read_all(sock).count(b"up 1") == 2


def test_a_body_without_end_is_cut_behind_the_answer(open_house: OpenHouse) -> None:
    """The visitor gets its page, and then has little time to finish a body that nobody reads."""
    house = open_house(linger_seconds=0.4, idle_seconds=60, head_seconds=60)
    with house.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")

        def is_cut_while_sending() -> bool:
            try:
                sock.sendall(b"5\r\nhello\r\n")
            except OSError:
                return True
            return False

        house.take(sock, b"up 1\n")
        assert within(4, is_cut_while_sending)


def test_a_late_body_leaves_a_connection_that_still_has_its_idle_deadline(open_house: OpenHouse) -> None:
    """Reading the rest of a body away must not leave a connection without any clock."""
    house = open_house(linger_seconds=2, idle_seconds=0.4)
    with house.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        house.take(sock, b"up 1\n")
        sock.sendall(b"hello")
        assert within(1.5, lambda: not house.is_open(sock))


def test_pipelined_requests_are_all_answered_in_order(open_house: OpenHouse) -> None:
    """Twenty requests in one packet."""

    async def echo(scope: Any, _: Any, send: Any) -> None:
        body = f"[{scope['path']}]".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    house = open_house(echo, idle_seconds=0.5)
    answer = house.exchange(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20)))
    assert [part.split(b"]")[0] for part in answer.split(b"[")[1:]] == [b"/%d" % number for number in range(20)]


async def slow_page(_: Any, __: Any, send: Any) -> None:
    """Answer 300 kB after a moment."""
    await asyncio.sleep(0.1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"300000")]})
    await send({"type": "http.response.body", "body": b"x" * 300_000})


@pytest.mark.parametrize("requests", [1, 3])
def test_a_half_closed_visitor_gets_its_answers(open_house: OpenHouse, requests: int) -> None:
    """`printf … | nc -N` closes its side behind the request; the answers come nevertheless, then the close."""
    house = open_house(slow_page, idle_seconds=60)
    with house.connect() as sock:
        sock.sendall(GET * requests)
        sock.shutdown(socket.SHUT_WR)
        begun = time.monotonic()
        assert house.read_all(sock).count(b"x" * 300_000) == requests
        assert time.monotonic() - begun < 5


def test_a_half_closed_half_request_is_closed_at_once(open_house: OpenHouse) -> None:
    """Nothing more can come, so nothing is waited for."""
    house = open_house(head_seconds=60)
    with house.connect() as sock:
        sock.sendall(b"GET / HT")
        sock.shutdown(socket.SHUT_WR)
        assert within(2, lambda: not house.is_open(sock))


def test_a_reader_of_one_byte_at_a_time_is_cut(open_house: OpenHouse) -> None:
    """An answer that is not taken in time is given up, although some of it moves."""
    house = open_house(body=os.urandom(20_000_000), answer_seconds=1.0, idle_seconds=60)
    with house.connect(receive_buffer=4096) as sock:
        sock.sendall(GET)

        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert sock.recv(1)
            time.sleep(0.05)
        assert len(house.read_all(sock)) < 20_000_000


def test_a_small_answer_that_is_not_taken_is_noticed_too(open_house: OpenHouse) -> None:
    """One that fits into the kernel's buffers looks sent; the kernel is asked what was acknowledged."""
    house = open_house(body=os.urandom(200_000), answer_seconds=0.5, idle_seconds=60)
    with house.connect(receive_buffer=4096) as sock:
        sock.sendall(GET)
        time.sleep(1.5)
        assert len(house.read_all(sock)) < 200_000


def test_a_reader_who_never_reads_and_keeps_asking_is_cut(open_house: OpenHouse) -> None:
    """Each further request does not buy a further deadline."""
    house = open_house(body=os.urandom(200_000), answer_seconds=0.6, idle_seconds=60, head_seconds=60)
    with house.connect(receive_buffer=4096) as sock:

        def is_cut_while_asking() -> bool:
            try:
                sock.sendall(GET)
            except OSError:
                return True
            time.sleep(0.1)
            return False

        assert within(4, is_cut_while_asking)


def test_a_reader_who_takes_its_time_within_the_deadline_gets_everything(open_house: OpenHouse) -> None:
    """A slow line is no attack: the answer arrives whole, and the connection serves again."""
    house = open_house(body=b"y" * 3_000_000, answer_seconds=5, idle_seconds=60, head_seconds=0.2)
    with house.connect(receive_buffer=65536) as sock:
        for _ in range(2):
            sock.sendall(GET)
            got = b""
            while got.count(b"y") < 3_000_000:
                got += sock.recv(300_000)
                time.sleep(0.01)
            assert got.endswith(b"y")


def test_unread_answers_have_one_bound_for_all_together(open_house: OpenHouse) -> None:
    """Thirty greedy readers of 4 MB against 24 MB: the oldest are dismissed at once, long before their deadline."""
    house = open_house(body=os.urandom(4_000_000), unread_bytes=24_000_000, answer_seconds=60)
    readers = [house.connect(receive_buffer=4096) for _ in range(30)]
    for sock in readers:
        sock.sendall(GET)
        time.sleep(0.01)
    assert len(house.exchange(b"GET / HTTP/1.0\r\n\r\n")) > 4_000_000
    for sock in readers:
        sock.settimeout(0.3)
    whole = [len(house.read_all(sock)) > 4_000_000 for sock in readers]
    assert 1 <= sum(whole) <= 6
    assert not any(whole[:20])
    for sock in readers:
        sock.close()


def test_http_1_0_is_answered_and_closed_even_with_a_late_line_break(open_house: OpenHouse) -> None:
    """Very old clients send one more CRLF than they should."""
    house = open_house(slow_page, idle_seconds=60)
    with house.connect() as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        time.sleep(0.03)
        sock.sendall(b"\r\n")
        assert house.read_all(sock).endswith(b"x" * 300_000)


def test_nonsense_in_a_body_while_the_answer_is_made_ends_the_connection_quietly(open_house: OpenHouse) -> None:
    """Two answers to one request would be our own error, with a traceback for each such visitor."""
    house = open_house(slow_page)
    with house.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.03)
        sock.sendall(b"zz\r\n")
        assert within(3, lambda: not house.is_open(sock))


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            id="websocket",
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", id="expect"),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", id="head"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", id="asterisk"),
        pytest.param(b"GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n", id="absolute-form"),
    ],
)
def test_unusual_requests_get_an_ordinary_answer_and_no_line_in_the_log(
    open_house: OpenHouse, request_bytes: bytes
) -> None:
    """The application answers; nothing is switched, nothing waits for ever."""
    house = open_house(idle_seconds=0.3, linger_seconds=0.3)
    assert house.exchange(request_bytes).startswith(b"HTTP/1.1 200 ")


def test_connect_is_refused_whatever_the_application_would_say(open_house: OpenHouse) -> None:
    """A 200 to CONNECT would make a tunnel of the connection, as far as h11 is concerned."""
    house = open_house(idle_seconds=0.3)
    assert house.exchange(b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n").startswith(b"HTTP/1.1 405 ")


def test_a_visitor_who_leaves_in_the_middle_is_no_trouble(open_house: OpenHouse) -> None:
    """Resets during an answer neither log nor leak (the fixture looks)."""
    house = open_house(body=os.urandom(2_000_000))
    for _ in range(30):
        sock = house.connect(receive_buffer=4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        sock.sendall(GET)
        sock.recv(100)
        sock.close()
    assert len(house.exchange(b"GET / HTTP/1.0\r\n\r\n")) > 2_000_000

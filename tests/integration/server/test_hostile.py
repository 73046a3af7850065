"""Clients that are slow, greedy or mad; the deadlines are small here, so that a test takes a second and not thirty."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from processes import wait_until

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
Start = Callable[..., Any]


async def respond(send: Any, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


def test_half_open_requests_are_cut_although_they_send_a_byte_now_and_then(start: Start) -> None:
    """The deadline counts from connecting: dripping bytes do not prolong it."""
    server = start(head_seconds=0.5)
    sockets = [server.connect(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-") for _ in range(100)]

    def are_cut_while_dripping() -> bool:
        for sock in sockets:
            try:
                sock.send(b"a")
            except OSError:
                continue
        return not any(server.is_open(sock) for sock in sockets)

    wait_until(are_cut_while_dripping, seconds=3)
    assert b"200 OK" in server.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def test_the_second_request_has_a_deadline_too(start: Start) -> None:
    """A client cannot hold a connection by asking once properly and then half."""
    server = start(head_seconds=0.4, idle_seconds=60)
    with server.connect(GET) as sock:
        server.take(sock, b"up 1\n")
        sock.sendall(b"GET /metrics HT")
        wait_until(lambda: not server.is_open(sock), seconds=3)


def test_an_idle_connection_is_kept_for_the_next_scrape_and_then_closed(start: Start) -> None:
    """Keep-alive outlives the head's deadline, but not its own."""
    server = start(head_seconds=0.1, idle_seconds=1.0)
    with server.connect(GET) as sock:
        server.take(sock, b"up 1\n")
        time.sleep(0.4)
        sock.sendall(GET)
        server.take(sock, b"up 1\n")
        wait_until(lambda: not server.is_open(sock), seconds=4)


def test_beyond_the_limit_the_longest_idle_connection_goes(start: Start) -> None:
    """Of ten kept connections the eleventh displaces the oldest only."""
    server = start(connections=10)
    kept = [server.connect() for _ in range(10)]
    for sock in kept:
        sock.sendall(GET)
        server.take(sock, b"up 1\n")
    with server.connect(GET) as newcomer:
        server.take(newcomer, b"up 1\n")
        assert [server.is_open(sock) for sock in kept] == [False] + [True] * 9


class CountedWork:
    """A page that takes long, and counts the requests that are under way."""

    def __init__(self) -> None:
        self.under_way = self.begun = 0

    async def __call__(self, _: Any, __: Any, send: Any) -> None:
        self.begun += 1
        self.under_way += 1
        try:
            await asyncio.sleep(30)
        finally:
            self.under_way -= 1
        await respond(send, b"done")


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "close"])
def test_requests_whose_clients_have_gone_are_cancelled(
    start: Start, leave: Callable[[socket.socket], None]
) -> None:
    """Sent and cut, they would go on unseen, and no limit on connections would count them."""
    work = CountedWork()
    server = start(work)
    sockets = [server.connect(GET) for _ in range(100)]
    wait_until(lambda: work.under_way == 100, seconds=5)
    for sock in sockets:
        leave(sock)
    wait_until(lambda: work.under_way == 0, seconds=5)


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "close"])
def test_a_request_with_others_behind_it_is_cancelled_too(
    start: Start, leave: Callable[[socket.socket], None]
) -> None:
    """While requests wait, their connection is not read."""
    work = CountedWork()
    server = start(work)
    sock = server.connect(GET * 3)
    wait_until(lambda: work.under_way == 1, seconds=5)
    leave(sock)
    wait_until(lambda: work.under_way == 0, seconds=5)
    assert work.begun == 1


def test_a_client_that_does_not_read_gets_no_further_request_run(start: Start) -> None:
    """What it asks for next is made when it has read what it asked for before."""
    begun = 0
    body = os.urandom(8_000_000)

    async def large(_: Any, __: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await respond(send, body)

    server = start(large)
    with server.connect(GET * 5, receive_buffer=4096):
        wait_until(lambda: begun == 1, seconds=5)
        time.sleep(0.5)
        assert begun == 1


def test_a_response_that_waits_for_its_client_makes_room(start: Start) -> None:
    """Three clients that read nothing fill the server; a fourth is served."""
    server = start(body=os.urandom(8_000_000), connections=3)
    for _ in range(3):
        server.connect(GET, receive_buffer=4096)
    time.sleep(0.5)
    assert len(server.exchange(b"GET / HTTP/1.0\r\n\r\n")) > 8_000_000


def test_clients_who_are_being_answered_are_not_displaced(start: Start) -> None:
    """With every place at work the newcomer is turned away, and those at work get their answers."""
    release = threading.Event()
    begun: list[None] = []

    async def slow(_: Any, __: Any, send: Any) -> None:
        begun.append(None)
        await asyncio.to_thread(release.wait, 5)
        await respond(send, b"done")

    server = start(slow, connections=3)
    busy = [server.connect(GET) for _ in range(3)]
    wait_until(lambda: len(begun) == 3, seconds=5)
    with server.connect() as newcomer:
        wait_until(lambda: not server.is_open(newcomer), seconds=3)
    release.set()
    for sock in busy:
        server.take(sock, b"done")


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"X-Bomb: " + b"a" * 1_000_000 + b"\r\n\r\n",
            id="one-huge-header",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"X-Bomb: a\r\n" * 100_000 + b"\r\n", id="many-headers"
        ),
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="huge-url"),
        pytest.param(
            b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="url-in-one-packet"
        ),
    ],
)
def test_a_head_beyond_its_bound_is_refused(start: Start, bomb: bytes) -> None:
    """The client gets 400 or a closed connection, never the page."""
    server = start(idle_seconds=60)
    answer = server.exchange(bomb)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("by_pieces", [True, False])
def test_a_head_just_beyond_its_bound_is_refused_however_it_arrives(
    start: Start, *, by_pieces: bool
) -> None:
    """h11 measures a head only while it is incomplete."""
    server = start()
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 17_000
    with server.connect(head[:16_000]) as sock:
        if by_pieces:
            time.sleep(0.2)
        sock.sendall(head[16_000:] + b"\r\n\r\n")
        assert server.read_all(sock).split(b" ")[1] in {b"400", b"431"}


def test_a_head_within_its_bound_is_served(start: Start) -> None:
    head = b"GET / HTTP/1.0\r\nHost: x\r\nX-Long: " + b"a" * 15_000
    assert start().exchange(head + b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"http://localhost:10144/metrics?x=1", b"/metrics ?x=1"),
        (b"HTTPS://other/a%20b", b"/a b ?"),
        (b"http://other", b"/ ?"),
        (b"/http://other/", b"/http://other/ ?"),
    ],
)
def test_a_request_that_names_the_host_too_is_served_its_path(
    start: Start, target: bytes, seen: bytes
) -> None:
    """Source: RFC 9112 section 3.2.2."""

    async def echo(scope: Any, _: Any, send: Any) -> None:
        await respond(send, scope["path"].encode() + b" ?" + scope["query_string"])

    assert start(echo).exchange(b"GET %s HTTP/1.0\r\n\r\n" % target).endswith(b"\r\n\r\n" + seen)


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x00" * 5000, id="zeros"),
        pytest.param(
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), id="tls-hello"
        ),
        pytest.param(b"\r\n" * 20_000, id="blank-lines"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", id="length-is-no-number"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad-chunk"
        ),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="version"),
    ],
)
def test_garbage_ends_the_connection_and_is_not_worth_a_line_in_the_log(
    start: Start, garbage: bytes
) -> None:
    """Twenty times the same nonsense; the next scraper is served (and the fixture finds the log empty)."""
    server = start(head_seconds=0.1, idle_seconds=0.1)
    for _ in range(20):
        with server.connect(garbage) as sock:
            wait_until(lambda: not server.is_open(sock), seconds=3)
    assert b"up 1" in server.exchange(b"GET / HTTP/1.0\r\n\r\n")


def test_random_bytes_never_make_the_server_complain(start: Start) -> None:
    """Two hundred connections of noise, some with a good beginning."""
    server = start(head_seconds=0.2, discard_seconds=0.2)
    for number in range(200):
        server.connect((GET if number % 2 else b"") + os.urandom(number * 7)).close()
    assert b"up 1" in server.exchange(b"GET / HTTP/1.0\r\n\r\n")


def test_a_body_on_get_is_ignored_and_the_connection_goes_on(start: Start) -> None:
    """A small body is read away; the next request on the same connection is answered."""
    server = start(idle_seconds=0.5)
    with server.connect(
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + GET
    ) as sock:
        assert server.read_all(sock).count(b"up 1") == 2


def test_a_body_without_end_is_cut_behind_the_answer(start: Start) -> None:
    """The client gets its page, and then has little time to finish a body that is not read."""
    server = start(discard_seconds=0.4, idle_seconds=60, head_seconds=60)
    with server.connect(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as sock:

        def is_cut_while_sending() -> bool:
            try:
                sock.sendall(b"5\r\nhello\r\n")
            except OSError:
                return True
            return False

        server.take(sock, b"up 1\n")
        wait_until(is_cut_while_sending, seconds=4)


def test_a_late_body_leaves_a_connection_that_still_has_its_idle_deadline(start: Start) -> None:
    """Reading the rest of a body away must not leave a connection without any clock."""
    server = start(discard_seconds=2, idle_seconds=0.4)
    with server.connect(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n") as sock:
        server.take(sock, b"up 1\n")
        sock.sendall(b"hello")
        wait_until(lambda: not server.is_open(sock), seconds=1.5)


def test_pipelined_requests_are_all_answered_in_order(start: Start) -> None:
    """Twenty requests in one packet."""

    async def echo(scope: Any, _: Any, send: Any) -> None:
        await respond(send, f"[{scope['path']}]".encode())

    server = start(echo, idle_seconds=0.5)
    answer = server.exchange(
        b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20))
    )
    assert [part.split(b"]")[0] for part in answer.split(b"[")[1:]] == [
        b"/%d" % number for number in range(20)
    ]


async def slow_page(_: Any, __: Any, send: Any) -> None:
    """Answer 300 kB after a moment."""
    await asyncio.sleep(0.1)
    await respond(send, b"x" * 300_000)


def test_a_half_closed_client_gets_a_quick_response(start: Start) -> None:
    """`printf … | nc -N` closes its side behind the request."""
    server = start()
    with server.connect(GET) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert server.read_all(sock).endswith(b"up 1\n")


def test_a_half_closed_half_request_is_closed_at_once(start: Start) -> None:
    """Nothing more can come, so nothing is waited for."""
    server = start(head_seconds=60)
    with server.connect(b"GET / HT") as sock:
        sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: not server.is_open(sock), seconds=2)


def test_a_small_answer_that_is_not_taken_is_noticed_too(start: Start) -> None:
    """One that fits into the kernel's buffers looks sent; the kernel is asked what was acknowledged."""
    server = start(body=os.urandom(200_000), response_seconds=0.5, idle_seconds=60)
    with server.connect(GET, receive_buffer=4096) as sock:
        time.sleep(1.5)
        assert len(server.read_all(sock)) < 200_000


def test_a_reader_who_never_reads_and_keeps_asking_is_cut(start: Start) -> None:
    """Each further request does not buy a further deadline."""
    server = start(body=os.urandom(200_000), response_seconds=0.6, idle_seconds=60, head_seconds=60)
    with server.connect(receive_buffer=4096) as sock:

        def is_cut_while_asking() -> bool:
            try:
                sock.sendall(GET)
            except OSError:
                return True
            time.sleep(0.1)
            return False

        wait_until(is_cut_while_asking, seconds=4)


def test_a_reader_who_takes_its_time_within_the_deadline_gets_everything(start: Start) -> None:
    """A slow line is no attack: the answer arrives whole, and the connection serves again."""
    server = start(body=b"y" * 3_000_000, response_seconds=5, idle_seconds=60, head_seconds=0.2)
    with server.connect(receive_buffer=65536) as sock:
        for _ in range(2):
            sock.sendall(GET)
            got = b""
            while got.count(b"y") < 3_000_000:
                got += sock.recv(300_000)
                time.sleep(0.01)
            assert got.endswith(b"y")


def test_unread_answers_have_one_bound_for_all_together(start: Start) -> None:
    """Thirty greedy readers of 4 MB against 24 MB: the oldest are dismissed at once, long before their deadline."""
    server = start(body=os.urandom(4_000_000), unread_bytes=24_000_000, response_seconds=60)
    readers = [server.connect(receive_buffer=4096) for _ in range(30)]
    for sock in readers:
        sock.sendall(GET)
        time.sleep(0.01)
    assert len(server.exchange(b"GET / HTTP/1.0\r\n\r\n")) > 4_000_000
    for sock in readers:
        sock.settimeout(0.3)
    whole = [len(server.read_all(sock)) > 4_000_000 for sock in readers]
    assert 1 <= sum(whole) <= 6
    assert not any(whole[:20])


def test_http_1_0_is_answered_and_closed_even_with_a_late_line_break(start: Start) -> None:
    """Very old clients send one more CRLF than they should."""
    server = start(slow_page, idle_seconds=60)
    with server.connect(b"GET /metrics HTTP/1.0\r\n\r\n") as sock:
        time.sleep(0.03)
        sock.sendall(b"\r\n")
        assert server.read_all(sock).endswith(b"x" * 300_000)


def test_nonsense_in_a_body_while_the_answer_is_made_ends_the_connection_quietly(
    start: Start,
) -> None:
    """Two answers to one request would be our own error, with a traceback for each such client."""
    server = start(slow_page)
    with server.connect(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as sock:
        time.sleep(0.03)
        sock.sendall(b"zz\r\n")
        wait_until(lambda: not server.is_open(sock), seconds=3)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            200,
            id="websocket",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
            200,
            id="expect",
        ),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="head"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="asterisk"),
        # A 200 to CONNECT would make a tunnel of the connection, as far as h11 is concerned.
        pytest.param(b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", 405, id="connect"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, id="http2-preface"),
        # Two servers in a row could understand a body with two lengths differently. Source: RFC
        # 9112 section 6.3.
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            + GET,
            400,
            id="two-lengths",
        ),
    ],
)
def test_unusual_requests_get_one_answer_and_no_line_in_the_log(
    start: Start, request_bytes: bytes, status: int
) -> None:
    """Nothing is switched, nothing waits for ever, and what is behind a refused head is not looked at."""
    answer = start(idle_seconds=0.3, discard_seconds=0.3).exchange(request_bytes)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"\r\n\r\n") == 1


def test_a_client_who_leaves_in_the_middle_is_no_trouble(start: Start) -> None:
    """Resets during an answer neither log nor leak (the fixture looks)."""
    server = start(body=os.urandom(2_000_000))
    for _ in range(30):
        sock = server.connect(GET, receive_buffer=4096)
        sock.recv(100)
        reset(sock)
    assert len(server.exchange(b"GET / HTTP/1.0\r\n\r\n")) > 2_000_000

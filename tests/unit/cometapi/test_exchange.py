"""What one exchange sends, and what it makes of answers that a library could stumble over. No sockets."""

import asyncio
import gzip
import socket
import ssl
import time
import tracemalloc
import zlib

import httpx
import pytest
from builders import CANARY_TOKEN

from exporter.cometapi import exchange
from exporter.cometapi.answer import Answer
from exporter.errors import ApiError, InvalidResponse, TimedOut, Unreachable

BASE = "https://gateway.example"


class Pieces(httpx.AsyncByteStream):
    """A body that arrives piece by piece, as from a socket; *error* comes where its end should be."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.taken = 0

    async def __aiter__(self):
        for piece in self.pieces:
            self.taken += 1
            yield piece
        if self.error is not None:
            raise self.error


def fetch(handler, *, headers=(), params=(), timeout=5.0) -> Answer:
    async def exchange_once():
        async with httpx.AsyncClient(base_url=BASE, transport=httpx.MockTransport(handler)) as http:
            return await exchange.fetch(
                http, "/api/token/", params=dict(params), headers=dict(headers), timeout=timeout
            )

    return asyncio.run(exchange_once())


def fetch_body(*pieces: bytes, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(lambda _: httpx.Response(status, headers=named, stream=Pieces(*pieces)))


def fetch_failing(error: Exception) -> ApiError:
    def fail(_request):
        raise error

    with pytest.raises(ApiError) as caught:
        fetch(fail)
    return caught.value


def test_the_request_is_a_get_with_what_was_given():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, stream=Pieces(b""))

    fetch(answer, headers={"Authorization": CANARY_TOKEN}, params={"p": "1", "page_size": "100"})

    (request,) = seen
    assert (request.method, str(request.url)) == ("GET", "https://gateway.example/api/token/?p=1&page_size=100")
    assert request.headers["authorization"] == CANARY_TOKEN
    assert request.headers["accept-encoding"] == "gzip"


def test_the_answer_is_brought_back_as_it_came():
    before = time.time()
    answer = fetch_body(b'{"a', b'": 1}', status=418, Retry_After="5", Content_Type="x/Y")

    assert (answer.status, answer.body) == (418, b'{"a": 1}')
    assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("5", "x/Y")
    assert before <= answer.received_at <= time.time()


def test_a_redirect_is_brought_back_and_not_followed():
    asked = []

    def redirect(request):
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"}, stream=Pieces(b""))

    answer = fetch(redirect)

    assert answer.status == 302
    assert asked == ["https://gateway.example/api/token/"]


@pytest.mark.parametrize(
    "location",
    [
        "mailto:x",
        "javascript:alert(1)",
        "http://[::1",
        "https://h:abc/",
        "http://xn--/",
        "data:,x",
        "http://" + "a" * 70_000,
    ],
    ids=lambda location: location[:20],
)
def test_a_redirect_to_nonsense_is_an_invalid_response(location):
    """The library reads the target even where it does not follow it, and raises what is no error of HTTP."""
    with pytest.raises(InvalidResponse, match="no address"):
        fetch(lambda _: httpx.Response(302, headers={"Location": location}, stream=Pieces(b"")))


@pytest.mark.parametrize("encoding", ["gzip", " GZIP "])
def test_a_gzip_body_is_unpacked_however_it_is_cut(encoding):
    packed = gzip.compress(b'{"success": true}' * 100)
    pieces = [packed[at : at + 7] for at in range(0, len(packed), 7)]

    assert fetch_body(*pieces, Content_Encoding=encoding).body == b'{"success": true}' * 100


def test_a_body_that_says_it_is_plain_is_taken_as_it_is():
    assert fetch_body(b"plain", Content_Encoding="Identity").body == b"plain"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "x"])
def test_a_compression_that_nobody_asked_for_is_an_invalid_response(encoding):
    with pytest.raises(InvalidResponse, match="not asked for"):
        fetch_body(b"x", Content_Encoding=encoding)


@pytest.mark.parametrize(
    "body", [b"no gzip", zlib.compress(b"{}"), gzip.compress(b"{}" * 99)[:-8] + b"\0" * 8], ids=["text", "zlib", "crc"]
)
def test_a_broken_gzip_is_an_invalid_response(body):
    with pytest.raises(InvalidResponse, match="gzip is broken"):
        fetch_body(body, Content_Encoding="gzip")


@pytest.mark.parametrize("rest", [b"\0", b"more", gzip.compress(b"{}")], ids=["zero", "text", "second member"])
@pytest.mark.parametrize("together", [True, False], ids=["one piece", "two pieces"])
def test_what_follows_a_gzip_is_an_invalid_response(rest, together):
    """Else the decompressor keeps all of it, whatever the largest body is."""
    packed = gzip.compress(b"{}")

    with pytest.raises(InvalidResponse, match="goes on after its gzip"):
        fetch_body(*([packed + rest] if together else [packed, rest]), Content_Encoding="gzip")


def test_a_gzip_that_breaks_off_is_unreachable():
    with pytest.raises(Unreachable, match="broke off"):
        fetch_body(gzip.compress(b"{}" * 999)[:-9], Content_Encoding="gzip")


def test_an_error_without_a_body_is_brought_back_though_it_says_gzip():
    assert fetch_body(status=502, Content_Encoding="gzip").status == 502


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(packed, monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST_BODY", 1 << 20)
    encode, headers = (gzip.compress, {"Content_Encoding": "gzip"}) if packed else (bytes, {})

    assert len(fetch_body(encode(b" " * (1 << 20)), **headers).body) == 1 << 20
    with pytest.raises(InvalidResponse, match="larger than 1 MiB"):
        fetch_body(encode(b" " * ((1 << 20) + 1)), **headers)


def test_a_small_gzip_is_never_unpacked_beyond_the_limit(monkeypatch):
    """It is refused before it takes the memory, not after."""
    monkeypatch.setattr(exchange, "LARGEST_BODY", 100_000)
    bomb = gzip.compress(b" " * 20_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponse, match="larger"):
            fetch_body(bomb, Content_Encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 5_000_000


def test_the_largest_body_holds_a_page_of_the_largest_keys_and_no_more():
    assert exchange.LARGEST_BODY == 8_388_608


def test_reading_stops_where_a_body_is_too_large(monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST_BODY", 1_000)
    body = Pieces(*[b" " * 100] * 50)

    with pytest.raises(InvalidResponse):
        fetch(lambda _: httpx.Response(200, stream=body))

    assert body.taken == 11


def test_an_answer_that_takes_longer_than_the_deadline_is_timed_out():
    async def never(_request):
        await asyncio.Event().wait()

    with pytest.raises(TimedOut, match=r"no complete response from gateway.example:443 within 0\.01 s"):
        fetch(never, timeout=0.01)


def test_a_body_that_takes_longer_than_the_deadline_is_timed_out():
    class Forever(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b" "
                await asyncio.sleep(0.001)

    with pytest.raises(TimedOut):
        fetch(lambda _: httpx.Response(200, stream=Forever()), timeout=0.02)


@pytest.mark.parametrize("kind", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout])
def test_every_timeout_of_the_library_is_timed_out(kind):
    assert isinstance(fetch_failing(kind(CANARY_TOKEN)), TimedOut)


@pytest.mark.parametrize(
    "kind",
    [
        httpx.ConnectError,
        httpx.ReadError,
        httpx.WriteError,
        httpx.CloseError,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.DecodingError,
        httpx.TooManyRedirects,
    ],
)
def test_every_other_error_of_the_library_is_unreachable_and_never_quoted(kind):
    error = fetch_failing(kind(f"Illegal header value {CANARY_TOKEN}"))

    assert isinstance(error, Unreachable)
    assert "CANARY" not in str(error)
    assert error.__suppress_context__


def a_tls_error(reason):
    error = ssl.SSLError()
    error.reason = reason
    return error


def test_no_connection_is_told_from_a_broken_one():
    assert str(fetch_failing(httpx.ConnectError("x"))) == "cannot connect to gateway.example:443"
    broken = "the connection to gateway.example:443 broke before the response was complete"
    assert str(fetch_failing(httpx.ReadError("x"))) == broken


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (socket.gaierror(-2, "x"), "cannot resolve gateway.example"),
        (ConnectionRefusedError("x"), "cannot connect to gateway.example:443: connection refused"),
        (ConnectionResetError("x"), "the connection to gateway.example:443 was reset"),
        (
            a_tls_error("WRONG_VERSION_NUMBER"),
            "gateway.example:443 does not speak TLS: is the base URL http:// instead?",
        ),
        (a_tls_error("UNEXPECTED_EOF"), "TLS: no secure connection to gateway.example:443: UNEXPECTED_EOF"),
    ],
    ids=["name", "refused", "reset", "plain http", "tls"],
)
def test_an_error_of_the_network_names_the_host_and_what_happened(cause, message):
    error = httpx.ConnectError("x")
    error.__cause__ = cause

    assert str(fetch_failing(error)) == message


def test_of_several_addresses_of_a_host_the_first_failure_is_told():
    refused = OSError("all failed")
    refused.__cause__ = ExceptionGroup("several", [ConnectionRefusedError("::1"), OSError("127.0.0.1")])
    error = httpx.ConnectError("x")
    error.__cause__ = refused

    assert str(fetch_failing(error)) == "cannot connect to gateway.example:443: connection refused"


def test_an_error_in_the_middle_of_the_body_is_unreachable():
    body = Pieces(b"{", error=httpx.ReadError("x"))

    with pytest.raises(Unreachable):
        fetch(lambda _: httpx.Response(200, stream=body))


def test_a_cancelled_exchange_stays_cancelled():
    async def scenario():
        async with httpx.AsyncClient(base_url=BASE, transport=httpx.MockTransport(hang)) as http:
            task = asyncio.create_task(exchange.fetch(http, "/", params={}, headers={}, timeout=60))
            await asyncio.wait_for(begun.wait(), 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return task.cancelled()

    begun = asyncio.Event()

    async def hang(_request):
        begun.set()
        await asyncio.Event().wait()

    assert asyncio.run(scenario())

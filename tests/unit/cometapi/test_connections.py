"""What one request sends, and what becomes of answers that a library could stumble over. No sockets."""

import asyncio
import gzip
import time
import tracemalloc
import zlib
from contextlib import aclosing

import httpx
import pytest
import respx
import trustme
from builders import CANARY_TOKEN

from exporter.cometapi import connections
from exporter.cometapi.answer import Answer
from exporter.cometapi.connections import Connections
from exporter.cometapi.trust import GivenFile
from exporter.credentials import Secret
from exporter.errors import ApiError, InvalidResponse, TimedOut, Unreachable


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


def fetch(handler, *, params=(), timeout=5.0) -> Answer:
    async def fetch_once():
        async with aclosing(
            Connections(
                "https://gateway.example", user_id=8, ca_file=None, timeout=timeout, at_once=1
            )
        ) as opened:
            return await opened.fetch("/api/token/", dict(params), Secret(CANARY_TOKEN))

    with respx.mock as gateway:
        gateway.route().mock(side_effect=handler)
        return asyncio.run(fetch_once())


def fetch_body(*pieces: bytes, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(lambda _: httpx.Response(status, headers=named, stream=Pieces(*pieces)))


def fetch_failing(error: Exception) -> ApiError:
    def fail(_request):
        raise error

    with pytest.raises(ApiError) as caught:
        fetch(fail)
    return caught.value


def test_the_request_is_a_get_that_asks_for_gzip_and_the_answer_is_brought_back_as_it_came():
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(418, headers={"Retry-After": "5"}, stream=Pieces(b'{"a', b'": 1}'))

    before = time.time()
    came = fetch(answer, params={"p": "1", "size": "100"})

    (request,) = asked
    assert (request.method, str(request.url)) == (
        "GET",
        "https://gateway.example/api/token/?p=1&size=100",
    )
    assert (request.headers["authorization"], request.headers["accept-encoding"]) == (
        CANARY_TOKEN,
        "gzip",
    )
    assert (came.status, came.body, came.user_id, came.headers["retry-after"]) == (
        418,
        b'{"a": 1}',
        8,
        "5",
    )
    assert before <= came.received_at <= time.time()


def test_a_redirect_is_brought_back_and_not_followed():
    asked = []

    def redirect(request):
        asked.append(str(request.url))
        return httpx.Response(
            302, headers={"Location": "https://elsewhere.example/"}, stream=Pieces(b"")
        )

    assert fetch(redirect).status == 302
    assert asked == ["https://gateway.example/api/token/"]


@pytest.mark.parametrize(
    "location",
    [
        "mailto:x",
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
    with pytest.raises(InvalidResponse, match="invalid base URL"):
        fetch(lambda _: httpx.Response(302, headers={"Location": location}, stream=Pieces(b"")))


# Bodies


@pytest.mark.parametrize("encoding", ["gzip", " GZIP "])
def test_a_gzip_body_is_unpacked_however_it_is_cut(encoding):
    packed = gzip.compress(b'{"success": true}' * 100)
    pieces = [packed[at : at + 7] for at in range(0, len(packed), 7)]

    assert fetch_body(*pieces, Content_Encoding=encoding).body == b'{"success": true}' * 100


def test_a_body_that_says_it_is_plain_is_taken_as_it_is():
    assert fetch_body(b"plain", Content_Encoding="Identity").body == b"plain"


def test_an_error_without_a_body_is_brought_back_though_it_says_gzip():
    assert fetch_body(status=502, Content_Encoding="gzip").status == 502


@pytest.mark.parametrize(
    "encoding", ["", "none", "identity", "UTF-8", "utf8", "binary", "aws-chunked", "x, none"]
)
def test_a_label_that_is_no_compression_stands_on_a_plain_body(encoding):
    assert fetch_body(b'{"a": 1}', Content_Encoding=encoding).body == b'{"a": 1}'


@pytest.mark.parametrize(
    "encoding", ["gzip", "x-gzip", "X-GZIP", "gzip, identity", "identity,gzip", "aws-chunked, gzip"]
)
@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b'{"a": 1}'),
        gzip.compress(b'{"a"') + gzip.compress(b": 1}"),
        b"".join(gzip.compress(bytes([byte])) for byte in b'{"a": 1}'),
        gzip.compress(b'{"a": 1}') + gzip.compress(b""),
        gzip.compress(b'{"a": 1}') + b"\0" * 512,
    ],
    ids=["one member", "two", "eight", "an empty one", "padding"],
)
def test_all_members_of_a_gzip_stream_are_unpacked_under_each_of_its_names(encoding, packed):
    assert fetch_body(packed, Content_Encoding=encoding).body == b'{"a": 1}'


def test_a_stream_of_very_many_members_is_an_invalid_response():
    with pytest.raises(InvalidResponse, match="more than 100 members"):
        fetch_body(gzip.compress(b"") * 400_000, Content_Encoding="gzip")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd", "deflate", "gzip, br"])
def test_a_compression_that_nobody_asked_for_is_an_invalid_response(encoding):
    with pytest.raises(InvalidResponse, match="unexpected Content-Encoding"):
        fetch_body(b"x", Content_Encoding=encoding)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"no gzip", InvalidResponse, "gzip response is corrupt"),
        (zlib.compress(b"{}"), InvalidResponse, "gzip response is corrupt"),
        (gzip.compress(b"{}" * 99)[:-8] + b"\0" * 8, InvalidResponse, "gzip response is corrupt"),
        (gzip.compress(b"{}") + b"more of it", InvalidResponse, "gzip response is corrupt"),
        (
            gzip.compress(b"{}") * 2 + gzip.compress(b"{}")[:-9],
            Unreachable,
            "gzip response is truncated",
        ),
        (gzip.compress(b"{}" * 999)[:-9], Unreachable, "gzip response is truncated"),
    ],
    ids=["text", "zlib", "checksum", "text after it", "third member", "cut"],
)
def test_a_gzip_that_is_not_right_says_what_is_wrong(body, kind, said):
    with pytest.raises(kind, match=said):
        fetch_body(body, Content_Encoding="gzip")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(packed):
    limit = 8_388_608
    encode, headers = (gzip.compress, {"Content_Encoding": "gzip"}) if packed else (bytes, {})

    assert len(fetch_body(encode(b" " * limit), **headers).body) == limit
    with pytest.raises(InvalidResponse, match="larger than 8 MiB"):
        fetch_body(encode(b" " * (limit + 1)), **headers)


def test_a_small_gzip_is_never_unpacked_beyond_the_limit(monkeypatch):
    """It is refused before it takes the memory, not after."""
    monkeypatch.setattr(connections, "LARGEST_BODY", 100_000)
    bomb = gzip.compress(b" " * 20_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponse, match="larger"):
            fetch_body(bomb, Content_Encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 5_000_000


def test_reading_stops_where_a_body_is_too_large(monkeypatch):
    monkeypatch.setattr(connections, "LARGEST_BODY", 1_000)
    body = Pieces(*[b" " * 100] * 50)

    with pytest.raises(InvalidResponse):
        fetch(lambda _: httpx.Response(200, stream=body))

    assert body.taken == 11


# No answer


def test_a_body_that_takes_longer_than_the_deadline_is_timed_out():
    class Forever(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b" "
                await asyncio.sleep(0.001)

    with pytest.raises(
        TimedOut, match=r"no complete response from gateway.example:443 within 0\.02 s"
    ):
        fetch(lambda _: httpx.Response(200, stream=Forever()), timeout=0.02)


def test_a_timeout_of_the_library_is_timed_out():
    assert isinstance(fetch_failing(httpx.PoolTimeout(CANARY_TOKEN)), TimedOut)


@pytest.mark.parametrize(
    "kind",
    [
        httpx.ConnectError,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.ProxyError,
        httpx.TooManyRedirects,
    ],
)
def test_every_other_error_of_the_library_is_unreachable_and_never_quoted(kind):
    error = fetch_failing(kind(f"Illegal header value {CANARY_TOKEN}"))

    assert isinstance(error, Unreachable)
    assert "CANARY" not in str(error)
    assert error.__suppress_context__


def test_no_connection_is_told_from_a_broken_one():
    assert str(fetch_failing(httpx.ConnectError("x"))) == "cannot connect to gateway.example:443"
    broken = "the connection to gateway.example:443 broke before the response was complete"
    assert str(fetch_failing(httpx.ReadError("x"))) == broken


def test_an_error_in_the_middle_of_the_body_is_unreachable():
    with pytest.raises(Unreachable):
        fetch(lambda _: httpx.Response(200, stream=Pieces(b"{", error=httpx.ReadError("x"))))


# Pools


def test_after_a_broken_request_the_next_ones_go_through_a_new_pool_and_the_old_one_ends_with_its_last():
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(request):
        if request.url.path == "/broken":
            raise httpx.ReadError("x")
        asked.set()
        await go_on.wait()
        return httpx.Response(200, stream=Pieces(b"{}"))

    async def play():
        opened = Connections(
            "https://gateway.example", user_id=None, ca_file=None, timeout=5, at_once=2
        )
        old = opened._pool.http
        slow = asyncio.create_task(opened.fetch("/slow", {}, Secret("x")))
        await asked.wait()
        with pytest.raises(Unreachable):
            await opened.fetch("/broken", {}, Secret("x"))
        assert opened._pool.http is not old
        assert not old.is_closed
        go_on.set()
        assert (await slow).body == b"{}"
        assert old.is_closed
        assert not opened._pool.http.is_closed
        await opened.aclose()
        assert opened._pool.http.is_closed

    with respx.mock as gateway:
        gateway.route().mock(side_effect=answer)
        asyncio.run(play())


def connections_to(url: str, ca_file=None) -> Connections:
    given = None if ca_file is None else GivenFile(ca_file)
    return Connections(url, user_id=None, ca_file=given, timeout=1.0, at_once=1)


def test_no_request_is_sent_before_the_file_of_authorities_can_be_read(tmp_path):
    ca_file = tmp_path / "ca.pem"

    async def play():
        async with aclosing(connections_to("https://gateway.example", ca_file)) as opened:
            with pytest.raises(
                Unreachable,
                match=r"^cannot read the file of trusted certificates .*/ca\.pem: No such file",
            ):
                await opened.fetch("/", {}, Secret("x"))
            assert not gateway.calls
            trustme.CA().cert_pem.write_to_path(ca_file)
            return await opened.fetch("/", {}, Secret("x"))

    with respx.mock as gateway:
        gateway.route().respond(200, content=b"{}")
        assert asyncio.run(play()).body == b"{}"


def test_renewed_authorities_are_trusted_from_the_next_request_on(tmp_path):
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca_file)

    async def play():
        async with aclosing(connections_to("https://gateway.example", ca_file)) as opened:
            first = opened._pool
            trustme.CA().cert_pem.write_to_path(ca_file)
            opened._trust.look()
            await opened.fetch("/", {}, Secret("x"))
            assert opened._pool.context is opened._trust.context
        assert first.http.is_closed

    with respx.mock as gateway:
        gateway.route().mock(side_effect=lambda _: httpx.Response(200, stream=Pieces(b"{}")))
        asyncio.run(play())


def test_the_library_reads_no_proxy_variable(monkeypatch):
    """It stumbles over exceptions that are valid elsewhere."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "fd00::/8,[::1]")

    assert fetch(lambda _: httpx.Response(200, stream=Pieces(b"{}"))).status == 200

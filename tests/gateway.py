"""Simulate a New API gateway over real sockets, one that can also misbehave byte by byte.

Talks to: loopback only. Runs an event loop in a thread of its own, so that it serves a subprocess
in a plain test just as well as a client inside the test's own event loop. Knows the vendor's format
and never the program under test.

    with Gateway(keys=wire_keys(250)) as gateway:
        gateway.faults = on_page(2, truncated())
        ...  # point the program at gateway.url
    assert gateway.pages_asked() == [1, 2, 3]

What this file does not hold: variants.py (kinds of gateways), edges.py (what stands before one),
purses.py (who pays for requests, and what is rejected), books.py (usage by model and key).

Attributes may be changed from the test's thread while the gateway runs; the next request sees the
change. `faults` and `before_page` are called in the gateway's thread; what they raise is raised
again when it stops.
"""

import asyncio
import collections
import contextlib
import gzip
import http
import http.client
import io
import json
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Self
from urllib.parse import parse_qsl

import variants
from builders import CANARY_TOKEN, a_wire_account
from variants import VARIANTS, PageShown

KEYS_PATH = "/api/token/"
ACCOUNT_PATH = "/api/user/self"
STATUS_PATH = "/api/status"
GROUPS_PATH = variants.GROUPS_PATH
PUBLIC_GROUPS_PATH = variants.PUBLIC_GROUPS_PATH
SUBSCRIPTIONS_PATH = variants.SUBSCRIPTIONS_PATH
USAGE_PATH = variants.USAGE_PATH
USAGE_BY_KEY_PATH = variants.USAGE_BY_KEY_PATH
PATIENCE_SECONDS = 10.0
JSON_TYPE = "application/json; charset=utf-8"
WEB_PAGE = b"<!doctype html><html><head><title>Gateway</title></head><body><div id=root></div></body></html>"
EMPTY_PAGE = b'{"success":true,"message":"","data":{"page":1,"page_size":100,"total":0,"items":[]}}'
CHUNK_BYTES = 65_536
UNASKED_PAGE_SIZE = 10
BAN_MESSAGE = "用户已被封禁"  # the same in every gateway that has no codes
WHOLE_WINDOW = "whole window"
REST_OF_WINDOW = "rest of the window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One recorded request. *page* counts from 1 in every API variant and is None where no keys are listed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer before it becomes bytes."""

    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)  # None leaves a header out
    body: bytes = b""

    def raw(self, *, extra_length: int = 0) -> bytes:
        """Encode the answer; *extra_length* is what Content-Length says beyond the truth."""
        headers = {
            "Content-Type": JSON_TYPE,
            "Content-Length": str(len(self.body) + extra_length),
        } | dict(self.headers)
        lines = [
            f"HTTP/1.1 {self.status} {_phrase(self.status)}",
            *(f"{name}: {text}" for name, text in headers.items() if text is not None),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _json(content: object, *, status: int = 200) -> Answer:
    return Answer(
        status=status, body=json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    )


def refusal(message: str) -> Answer:
    """Reject as gateways do: with status 200."""
    return _json({"success": False, "message": message})


def rejected(code: str, *, status: int = 401) -> Answer:
    """Reject the token with one of the family's codes, as New API does.

    The codes are AUTH_UNAUTHORIZED, AUTH_USER_INVALID, AUTH_USER_DISABLED (the account is banned),
    AUTH_INTERNAL_ERROR (with status 500), AUTH_SESSION_REVOKED and AUTH_TOKEN_EXPIRED.
    """
    return _json({"success": False, "code": code, "message": "访问令牌无效"}, status=status)


def banned_by_message() -> Answer:
    """Tell a ban as the gateways without codes do."""
    return refusal(BAN_MESSAGE)


def invalid_url(method: str, path: str) -> Answer:
    """Tell that the gateway does not have this path."""
    error = {
        "message": f"Invalid URL ({method} {path})",
        "type": "invalid_request_error",
        "param": "",
        "code": "",
    }
    return _json({"error": error}, status=404)


def web_page() -> Answer:
    """Show the front end's page."""
    return Answer(headers={"Content-Type": "text/html; charset=utf-8"}, body=WEB_PAGE)


def redirect(location: str) -> Answer:
    """Send the client elsewhere, with an empty page."""
    headers = {"Location": location, "Content-Type": "text/html; charset=utf-8"}
    return Answer(status=301, headers=headers)


# Edges: what stands before the gateway and may answer in its place; see edges.py for some.

PassOn = Callable[[], Answer]
Edge = Callable[["Request", PassOn], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and the connection on which its answer, or something else, is to be written."""

    gateway: "Gateway"
    request: Request
    writer: asyncio.StreamWriter

    def honest(self) -> Answer:
        """Render the true answer, or what an edge gives in its place."""
        return self.gateway._answer_behind(self.gateway.edges, self.request)

    async def send(self, content: bytes) -> None:
        """Write *content* and wait until the client keeps up."""
        self.writer.write(content)
        await self.writer.drain()


# Faults: what a request gets instead of its honest answer.


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave; the connection ends after it unless it *keeps_connection*."""

    name: str
    perform: Callable[[Exchange], Awaitable[None]]
    keeps_connection: bool = False

    def __repr__(self) -> str:
        return self.name


FaultChoice = Callable[[Request], Fault | None]


def always(fault: Fault) -> FaultChoice:
    """Choose *fault* for every request."""
    return lambda _request: fault


def on_page(page: int, fault: Fault) -> FaultChoice:
    """Choose *fault* whenever that page of keys is asked for; the first page is 1 in every API variant."""
    return lambda request: fault if request.page == page else None


def on_path(path: str, fault: Fault) -> FaultChoice:
    """Choose *fault* for every request to *path*."""
    return lambda request: fault if request.path == path else None


def answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
    """Give any well-formed answer; *headers* replace Content-Type (JSON) and Content-Length (true)."""
    raw = Answer(status=status, headers=headers or {}, body=body).raw()
    return Fault(f"answer({status})", lambda exchange: exchange.send(raw), keeps_connection=True)


def truncated() -> Fault:
    """Promise 100 bytes more than the body has, send the body, close."""
    return _wrong_length("truncated", 100)


def wrong_length_short() -> Fault:
    """Promise 10 bytes fewer than the body has, send it all, close."""
    return _wrong_length("wrong_length_short", -10)


def _wrong_length(name: str, extra_length: int) -> Fault:
    return Fault(
        name, lambda exchange: exchange.send(exchange.honest().raw(extra_length=extra_length))
    )


def reset() -> Fault:
    """Send the head and half of the body, then reset the connection."""

    async def perform(exchange: Exchange) -> None:
        honest = exchange.honest()
        await exchange.send(honest.raw()[: -(len(honest.body) // 2 + 1)])
        await asyncio.sleep(0.05)  # a reset may discard what the client has not read yet
        if exchange.writer.transport.is_closing():
            return  # the client has gone in the meantime
        connection = exchange.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.writer.transport.abort()

    return Fault("reset", perform)


def close_before_answer() -> Fault:
    """Read the request and close without a byte."""
    return Fault("close_before_answer", lambda _: asyncio.sleep(0))


def drip(seconds_per_byte: float) -> Fault:
    """Send the honest answer one byte at a time: no single wait is long, the whole is."""

    async def perform(exchange: Exchange) -> None:
        raw = exchange.honest().raw()
        for index in range(len(raw)):
            await exchange.send(raw[index : index + 1])
            await asyncio.sleep(seconds_per_byte)

    return Fault("drip", perform)


def hang(seconds: float = 60.0) -> Fault:
    """Answer nothing for *seconds* or until the gateway stops, then close."""
    return Fault("hang", lambda _: asyncio.sleep(seconds))


def gzip_bomb(decoded_bytes: int) -> Fault:
    """Send a small body that inflates to *decoded_bytes* of white space and then a valid, empty page.

    A client that does not bound what it inflates therefore succeeds, and its test fails.
    """
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6) as stream:
        for piece in _spaces_before_a_page(decoded_bytes):
            stream.write(piece)
    bomb = answer(200, packed.getvalue(), {"Content-Encoding": "gzip"})
    return Fault("gzip_bomb", bomb.perform)


def endless(total_bytes: int) -> Fault:
    """Stream *total_bytes* of white space in chunks and then a valid, empty page."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    async def perform(exchange: Exchange) -> None:
        await exchange.send(head)
        for piece in _spaces_before_a_page(total_bytes):
            await exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await exchange.send(b"0\r\n\r\n")

    return Fault("endless", perform)


def _spaces_before_a_page(total_bytes: int) -> Iterator[bytes]:
    spaces = max(0, total_bytes - len(EMPTY_PAGE))
    for start in range(0, spaces, CHUNK_BYTES):
        yield b" " * min(CHUNK_BYTES, spaces - start)
    yield EMPTY_PAGE


@dataclass(eq=False, kw_only=True)
class Gateway:
    """One simulated gateway, running between `with` and its end; entered again it takes the same port."""

    keys: list[dict[str, Any]] = field(
        default_factory=list
    )  # in any order, served highest id first
    account: dict[str, Any] | None = field(
        default_factory=a_wire_account
    )  # None: the endpoint refuses with 403
    offers: dict[str, Any] = field(
        default_factory=dict
    )  # path: data or Answer of more, callable with the query
    token: str = CANARY_TOKEN  # accepted raw and after "Bearer "
    user_id: int | None = None  # set: the variant's header must name it, else 401
    banned: bool = False  # the account is banned, told as the variant tells it
    rejects_with: Answer | None = None  # set: every request that needs a token gets this
    variant: str = "new-api"
    edges: Sequence[Edge] = ()  # what stands before the gateway, the outermost first
    clock: Callable[[], float] = time.time  # unix seconds, for Date
    front_end: str | None = None  # None: within the gateway; else the URL that pages are sent to
    unknown_path_shows_page: bool = False  # also below /api/, as behind some front ends
    page_cap: int = 100
    total: int | Callable[[int], int] | None = (
        None  # None: the truth; else what is claimed (on that page)
    )
    null_items: bool = False  # an empty page is null rather than []
    delay: float = 0.0  # seconds before each answer
    rate_limit: tuple[int, float] | None = (
        None  # (requests, in seconds); beyond: 429 with an empty body
    )
    retry_after: str | None = None  # the Retry-After of those 429s, or one of the two constants
    faults: FaultChoice | list[Fault | None] | None = None  # a list is used up, one entry a request
    before_page: Callable[[Request], object] | None = (
        None  # called before a page of keys is rendered
    )
    ssl_context: ssl.SSLContext | None = None
    port: int = 0  # 0: any free one, then kept

    requests: list[Request] = field(default_factory=list, init=False)  # in order of arrival
    connections: int = field(default=0, init=False)  # TCP connections accepted so far

    def __post_init__(self) -> None:
        self._accepted: collections.deque[float] = collections.deque()
        self._arrival = threading.Condition()
        self._conversations: dict[asyncio.Task[None], socket.socket] = {}

    # What tests read.

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"{'https' if self.ssl_context else 'http'}://127.0.0.1:{self.port}"

    def count(self, path: str = KEYS_PATH) -> int:
        """Count the requests to *path* so far."""
        return sum(request.path == path for request in self.requests)

    def pages_asked(self) -> list[int]:
        """List the pages of keys asked for, in order; the first page is 1 in every API variant."""
        return [request.page for request in self.requests if request.page is not None]

    def wait_for(
        self, count: int, path: str = KEYS_PATH, *, timeout: float = PATIENCE_SECONDS
    ) -> None:
        """Block until *count* requests to *path* have arrived. Raise TimeoutError after *timeout* seconds."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: self.count(path) >= count, timeout):
                raise TimeoutError(
                    f"{self.count(path)} of {count} requests to {path} within {timeout:g} s"
                )

    # Life: a listening socket made here, a loop in a thread, an event that ends it.

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._failures: list[Exception] = []
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name=f"gateway-{self.port}", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("the gateway's thread did not end")
        if self._failures and error is None:
            raise self._failures[0]

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        listener.settimeout(0)
        with listener:
            self._loop.add_reader(listener, self._accept, listener)
            await self._stop.wait()
            self._loop.remove_reader(listener)
        for task in self._conversations:
            task.cancel()
        ended = await asyncio.gather(*self._conversations, return_exceptions=True)
        self._failures = [result for result in ended if isinstance(result, Exception)]
        for connection in self._conversations.values():
            connection.close()
        self._conversations.clear()

    def _accept(self, listener: socket.socket) -> None:
        """Begin a conversation. By hand: asyncio's own server loses a connection that comes as it closes."""
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _address = listener.accept()
            self.connections += 1
            self._conversations[self._loop.create_task(self._converse(connection))] = connection

    # One connection.

    async def _converse(self, connection: socket.socket) -> None:
        """Answer requests until either side has had enough; a client may leave at any point."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            reader, writer = await self._open(connection)
            try:
                while (request := await self._receive(reader)) and await self._respond(
                    request, writer
                ):
                    pass
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            finally:
                if not writer.transport.is_closing():
                    writer.transport.abort()

    async def _open(
        self, connection: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=self.ssl_context
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _receive(self, reader: asyncio.StreamReader) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = self._read(head)
            await reader.readexactly(int(request.headers.get("content-length", "0")))
        except asyncio.IncompleteReadError:
            return None
        self._record(request)
        return request

    def _read(self, head: bytes) -> Request:
        first, _, rest = head.partition(b"\r\n")
        method, target, _version = first.decode("latin-1").split(" ")
        path, _, query_text = target.partition("?")
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        return Request(
            method=method,
            path=path,
            query=query,
            headers={
                name.lower(): text
                for name, text in http.client.parse_headers(io.BytesIO(rest)).items()
            },
            page=self._page_number(query) if path == KEYS_PATH else None,
        )

    def _record(self, request: Request) -> None:
        with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; say whether the connection lives on."""
        exchange = Exchange(gateway=self, request=request, writer=writer)
        await asyncio.sleep(self.delay)
        fault = self._next_fault(request)
        if fault is None:
            await exchange.send(exchange.honest().raw())
        else:
            await fault.perform(exchange)
        wants_more = request.headers.get("connection", "").lower() != "close"
        return wants_more and (fault is None or fault.keeps_connection)

    def _next_fault(self, request: Request) -> Fault | None:
        if callable(self.faults):
            return self.faults(request)
        return self.faults.pop(0) if self.faults else None

    # Honest answers.

    def _answer_behind(self, edges: Sequence[Edge], request: Request) -> Answer:
        """Let the first of *edges* answer; what it passes on reaches the next, then the gateway."""
        if not edges:
            return self._answer(request)
        return edges[0](request, lambda: self._answer_behind(edges[1:], request))

    def _answer(self, request: Request) -> Answer:
        headers = {"Date": formatdate(self.clock(), usegmt=True), "X-Oneapi-Request-Id": "1"}
        if self.variant == "new-api":
            headers["X-New-Api-Version"] = "v1.0.0"
        given = self._given(request)
        return replace(given, headers=headers | dict(given.headers))

    def _given(self, request: Request) -> Answer:
        over = self._over_the_limit(time.monotonic())
        if over is not None:
            return over
        if request.path == KEYS_PATH.rstrip("/"):
            return redirect(KEYS_PATH)
        if not self._has(request):
            return self._unknown_path(request)
        if request.path == STATUS_PATH:
            return self._status()
        return self._rejection(request) or self._content(request)

    def _content(self, request: Request) -> Answer:
        if request.path in self.offers:
            return self._offered(request)
        return self._page(request) if request.page else self._account()

    def _status(self) -> Answer:
        common = {"system_name": "Gateway", "quota_per_unit": 500_000}
        return self._success(common | self.offers.get(STATUS_PATH, {}))

    def _has(self, request: Request) -> bool:
        """Say whether this kind of gateway has the path; what it never has cannot be offered."""
        if request.method != "GET" or request.path in VARIANTS[self.variant].never_offers:
            return False
        return request.path in (STATUS_PATH, KEYS_PATH, ACCOUNT_PATH, *self.offers)

    def _unknown_path(self, request: Request) -> Answer:
        if request.path.startswith("/api/") and not self.unknown_path_shows_page:
            return invalid_url(request.method, request.path)
        if self.front_end is not None:
            return redirect(f"{self.front_end}{request.path}")
        return web_page()

    def _offered(self, request: Request) -> Answer:
        data = self.offers[request.path]
        content = data(request.query) if callable(data) else data
        if isinstance(content, Answer):
            return content
        return self._success(content)

    def _success(self, data: object) -> Answer:
        message = VARIANTS[self.variant].message
        return _json({"success": True, "message": message, "data": data})

    def _over_the_limit(self, now: float) -> Answer | None:
        """Count one request; beyond the limit return the 429."""
        if self.rate_limit is None:
            return None
        most, window_seconds = self.rate_limit
        while self._accepted and self._accepted[0] <= now - window_seconds:
            self._accepted.popleft()
        if len(self._accepted) < most:
            self._accepted.append(now)
            return None
        if self.retry_after is None:
            return Answer(status=429)
        rest_seconds = self._accepted[0] + window_seconds - now if self._accepted else 0
        told = {
            WHOLE_WINDOW: f"{window_seconds:.0f}",
            REST_OF_WINDOW: f"{math.ceil(rest_seconds)}",
        }
        return Answer(
            status=429, headers={"Retry-After": told.get(self.retry_after, self.retry_after)}
        )

    def _rejection(self, request: Request) -> Answer | None:
        rejection = VARIANTS[self.variant].rejection
        if self.rejects_with is not None:
            return self.rejects_with
        if request.headers.get("authorization") not in (self.token, f"Bearer {self.token}"):
            if rejection.has_codes:
                return rejected("AUTH_UNAUTHORIZED")
            return replace(refusal("无权进行此操作"), status=rejection.token_status)
        if not self.banned:
            return self._rejection_of_user_id(request)
        return rejected("AUTH_USER_DISABLED") if rejection.has_codes else banned_by_message()

    def _rejection_of_user_id(self, request: Request) -> Answer | None:
        header = VARIANTS[self.variant].user_header
        if self.user_id is None or header is None:
            return None
        if request.headers.get(header) == str(self.user_id):
            return None
        return _json({"success": False, "message": f"未提供 {header.title()}"}, status=401)

    def _account(self) -> Answer:
        if self.account is None:
            return _json(
                {"success": False, "code": "AUTH_FORBIDDEN", "message": "没有权限"}, status=403
            )
        return self._success(self.account)

    def _page(self, request: Request) -> Answer:
        if self.before_page is not None:
            self.before_page(request)
        variant = VARIANTS[self.variant]
        asked = self._asked_size(request.query)
        if variant.most_allowed is not None and asked > variant.most_allowed:
            return refusal(f"size is more than {variant.most_allowed}")
        size = min(asked, self.page_cap)
        page = request.page or 1
        keys = sorted(self.keys, key=lambda key: key["id"], reverse=True)
        items = [variant.key(key) for key in keys[(page - 1) * size : page * size]]
        shown = PageShown(
            number=page - 1 + variant.first_page,
            size=size,
            total=self._claimed_total(page, keys),
            items=None if self.null_items and not items else items,
        )
        return self._success(variant.data(shown))

    def _claimed_total(self, page: int, keys: list[dict[str, Any]]) -> int:
        if callable(self.total):
            return self.total(page)
        return len(keys) if self.total is None else self.total

    def _page_number(self, query: Mapping[str, str]) -> int:
        """Read the asked page, counted from 1; what is no number or too low means the first."""
        variant = VARIANTS[self.variant]
        asked = _integer(query.get(variant.page_parameter), variant.first_page)
        return max(asked - variant.first_page, 0) + 1

    def _asked_size(self, query: Mapping[str, str]) -> int:
        asked = _integer(query.get(VARIANTS[self.variant].size_parameter or ""), 0)
        return asked if asked > 0 else UNASKED_PAGE_SIZE


def _integer(text: str | None, otherwise: int) -> int:
    try:
        return otherwise if text is None else int(text)
    except ValueError:
        return otherwise

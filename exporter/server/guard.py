"""Ask visitors for a password, and send the configured headers with every answer.

Talks to: a thread for bcrypt. May not know: files, TLS, what is behind the door. The two probes stay outside: they
reveal one word, and who probes has no password.
"""

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping

import bcrypt
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.server.web_config import WebConfig

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
LONGEST_CREDENTIALS = 1024
BCRYPT_BYTES = 72
MAX_REMEMBERED = 128
MAX_WAITING = 32
# Salt and digest of no password at all: what the password of an unknown user is compared with.
NOBODY = "." * 53

CheckPassword = Callable[[bytes, bytes], bool]


class Guard:
    """An ASGI application in front of *app*; *read_config* is asked at each request, so that users change live."""

    def __init__(
        self, app: ASGIApp, read_config: Callable[[], WebConfig], *, check_password: CheckPassword = bcrypt.checkpw
    ) -> None:
        self._app = app
        self._read_config = read_config
        self._passwords = Passwords(check_password)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        config = self._read_config()
        send = _with_headers(send, config.headers) if config.headers else send
        await (await self._choose(scope, config.users))(scope, receive, send)

    async def _choose(self, scope: Scope, users: Mapping[str, str]) -> ASGIApp:
        if not users or scope["path"] in OPEN_PATHS:
            return self._app
        credentials = read_credentials(Headers(scope=scope).get("authorization", ""))
        if credentials is None:
            return _unauthorized()
        try:
            welcome = await self._passwords.accept(*credentials, users)
        except TooManyLogins:
            return PlainTextResponse(
                "too many logins at once\n", 503, {"Retry-After": "5", "Cache-Control": "no-store"}
            )
        return self._app if welcome else _unauthorized()


def _unauthorized() -> ASGIApp:
    headers = {"WWW-Authenticate": 'Basic realm="cometapi-exporter", charset="UTF-8"', "Cache-Control": "no-store"}
    return PlainTextResponse("unauthorized\n", 401, headers)


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return dressed


def read_credentials(authorization: str) -> tuple[str, str] | None:
    """Return user and password of an `Authorization` header, None if it has none. Source: RFC 7617."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic" or len(token) > LONGEST_CREDENTIALS:
        return None
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


class TooManyLogins(Exception):
    """More passwords wait to be hashed than is good for anybody."""


class Passwords:
    """Judge passwords: one bcrypt at a time, off the event loop, and a good password only once."""

    def __init__(self, check_password: CheckPassword) -> None:
        self._check_password = check_password
        self._secret = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def accept(self, user: str, password: str, users: Mapping[str, str]) -> bool:
        """Whether *password* is that of *user*; an unknown user costs as much time as a known one."""
        hashed = users.get(user)
        digest = self._digest(user, password, hashed or "")
        if self._remembers(digest):
            return True
        if self._waiting >= MAX_WAITING:
            raise TooManyLogins
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return self._remembers(digest) or await self._judge(digest, password, hashed, users)
        finally:
            self._waiting -= 1

    async def _judge(self, digest: bytes, password: str, hashed: str | None, users: Mapping[str, str]) -> bool:
        against = hashed or _nobodys_hash(users)
        secret = password.encode()[:BCRYPT_BYTES]  # bcrypt reads no more; the library refuses more
        fits = await asyncio.to_thread(self._check_password, secret, against.encode())
        if not fits or hashed is None:
            return False
        self._good[digest] = None
        if len(self._good) > MAX_REMEMBERED:
            self._good.popitem(last=False)
        return True

    def _remembers(self, digest: bytes) -> bool:
        if digest not in self._good:
            return False
        self._good.move_to_end(digest)
        return True

    def _digest(self, *parts: str) -> bytes:
        """Tell verdicts apart without keeping a password; another hash in the file is another verdict."""
        keyed = hashlib.blake2b(key=self._secret)
        for part in parts:
            content = part.encode()
            keyed.update(len(content).to_bytes(8) + content)
        return keyed.digest()


def _nobodys_hash(users: Mapping[str, str]) -> str:
    """Return a hash that costs what the costliest of *users* costs."""
    cost = max(hashed.split("$")[2] for hashed in users.values())
    return f"$2b${cost}${NOBODY}"

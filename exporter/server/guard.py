"""Ask clients for a password, and send the configured headers with every response.

Talks to: a thread for bcrypt. Knows no files, no TLS, nothing of what is served. The two probes
require no password: they reveal only their status, and Kubernetes probes cannot authenticate.
"""

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import bcrypt
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.server.web_config import WebConfig

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
LONGEST_CREDENTIALS, BCRYPT_BYTES = 1024, 72
MAX_REMEMBERED, MAX_WAITING, MAX_WAITING_PER_CLIENT = 128, 32, 4
# Salt and digest of no password: what the password of an unknown user is compared with.
NO_DIGEST = "." * 53


class Guard:
    """An ASGI application in front of *app*; each request calls *read_config*, so that users change live."""

    def __init__(self, app: ASGIApp, read_config: Callable[[], WebConfig]) -> None:
        self._app = app
        self._read_config = read_config
        self._passwords = Passwords(bcrypt.checkpw)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 503, or pass the request on."""
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
            is_known = await self._passwords.accept(
                *credentials, users, client=(scope.get("client") or ("",))[0]
            )
        except TooManyLogins:
            return PlainTextResponse(
                "too many logins\n", 503, {"Retry-After": "5", "Cache-Control": "no-store"}
            )
        return self._app if is_known else _unauthorized()


def _unauthorized() -> ASGIApp:
    headers = {
        "WWW-Authenticate": 'Basic realm="cometapi-exporter", charset="UTF-8"',
        "Cache-Control": "no-store",
    }
    return PlainTextResponse("unauthorized\n", 401, headers)


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = MutableHeaders(scope=message)
            for name, value in headers.items():
                given.setdefault(name, value)  # what a page sets itself fits it better
        await send(message)

    return send_with_headers


def read_credentials(authorization: str) -> tuple[str, str] | None:
    """Return user and password of an `Authorization` header, None if it has none. Source: RFC 7617."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic" or len(token) > LONGEST_CREDENTIALS:
        return None
    try:
        user, colon, password = (
            base64.b64decode(token.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


class TooManyLogins(Exception):
    """Too many passwords wait to be hashed."""


class Passwords:
    """Check passwords: one bcrypt at a time in its own thread, and a good password only once."""

    def __init__(self, check_password: Callable[[bytes, bytes], bool]) -> None:
        self._check_password = check_password
        self._secret = secrets.token_bytes(32)
        self._good: dict[bytes, None] = {}
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._waiting: Counter[str] = Counter()

    async def accept(
        self, user: str, password: str, users: Mapping[str, str], *, client: str
    ) -> bool:
        """Whether *password* is that of *user*; an unknown user costs as much time as a known one.

        Raises TooManyLogins where the line of the address *client*, or that of all, is full.
        """
        hashed = users.get(user)
        # Tells results apart without keeping a password; another hash in the file is another
        # result.
        digest = hashlib.blake2b(repr((user, password, hashed)).encode(), key=self._secret).digest()
        if digest in self._good:
            return True
        if self._waiting[client] >= MAX_WAITING_PER_CLIENT or self._waiting.total() >= MAX_WAITING:
            raise TooManyLogins
        self._waiting[client] += 1
        check = partial(self._check, digest, password, hashed, users)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, check)
        finally:
            self._waiting -= Counter([client])  # forgets addresses that have none left

    def _check(
        self, digest: bytes, password: str, hashed: str | None, users: Mapping[str, str]
    ) -> bool:
        if digest in self._good:  # meanwhile
            return True
        cost = max(each.split("$")[2] for each in users.values())
        against = hashed or f"$2b${cost}${NO_DIGEST}"  # what the costliest of the users costs
        secret = password.encode()[:BCRYPT_BYTES]  # bcrypt reads no more; the library refuses more
        if not self._check_password(secret, against.encode()) or hashed is None:
            return False
        self._good[digest] = None
        if len(self._good) > MAX_REMEMBERED:
            del self._good[next(iter(self._good))]
        return True

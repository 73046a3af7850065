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
from functools import partial

import bcrypt
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.server.web_config import WebConfig
from exporter.workers import Threads

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
# Of the encoded user and password: far more than any password manager makes.
LONGEST_CREDENTIALS = 1024
# bcrypt ignores further bytes of a password.
BCRYPT_BYTES = 72
# Passwords that were right, so that a scrape costs no hash. More than there are users.
MAX_REMEMBERED = 128
# Logins that wait for their hash: 32 of cost 10 take about two seconds.
MAX_WAITING = 32
# One client leaves most of the queue to others.
MAX_WAITING_PER_CLIENT = 4
# Salt and digest of no password: what the password of an unknown user is compared with.
NO_DIGEST = "." * 53


class Guard:
    """An ASGI application in front of *app* that asks for a password if users are configured.

    Each request calls *read_config*, so changes of the users take effect at once.
    """

    def __init__(self, app: ASGIApp, read_config: Callable[[], WebConfig]) -> None:
        self._app = app
        self._read_config = read_config
        self._passwords = Passwords(bcrypt.checkpw)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 401 or 503, or pass the request on."""
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
                # The page's own value fits it better.
                given.setdefault(name, value)
        await send(message)

    return send_with_headers


def read_credentials(authorization: str) -> tuple[str, str] | None:
    """Return user and password of an `Authorization` header; None if it has none.

    Source: RFC 7617.
    """
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
        self._thread = Threads(1, "passwords")
        self._waiting: Counter[str] = Counter()

    async def accept(
        self, user: str, password: str, users: Mapping[str, str], *, client: str
    ) -> bool:
        """Return whether *password* is that of *user*.

        An unknown user costs as much time as a known one. Raises TooManyLogins if too many logins
        of the address *client*, or of all clients, are waiting.
        """
        hashed = users.get(user)
        # Identifies a result without keeping the password. A changed hash is another result.
        digest = hashlib.blake2b(repr((user, password, hashed)).encode(), key=self._secret).digest()
        if digest in self._good:
            return True
        if self._waiting[client] >= MAX_WAITING_PER_CLIENT or self._waiting.total() >= MAX_WAITING:
            raise TooManyLogins
        self._waiting[client] += 1
        check = partial(self._check, digest, password, hashed, users)
        try:
            return await asyncio.wrap_future(self._thread.submit(check))
        finally:
            # Counter subtraction drops addresses that have none left.
            self._waiting -= Counter([client])

    def _check(
        self, digest: bytes, password: str, hashed: str | None, users: Mapping[str, str]
    ) -> bool:
        # Another request may have brought the same password while this one waited.
        if digest in self._good:
            return True
        cost = max(each.split("$")[2] for each in users.values())
        # For an unknown user: as expensive as the most expensive hash of a known one.
        against = hashed or f"$2b${cost}${NO_DIGEST}"
        # The library rejects longer passwords; other implementations ignore the rest.
        secret = password.encode()[:BCRYPT_BYTES]
        if not self._check_password(secret, against.encode()) or hashed is None:
            return False
        self._good[digest] = None
        if len(self._good) > MAX_REMEMBERED:
            del self._good[next(iter(self._good))]
        return True

"""A client as the program makes it, pointed at a simulated gateway over real sockets."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import httpx
import pytest
import stamina
from builders import CANARY_TOKEN

from exporter.cometapi.client import CometClient
from exporter.cometapi.connections import Connections
from exporter.cometapi.rate_limit import RateLimit
from exporter.credentials import Secret
from exporter.errors import ApiError
from exporter.model import Balance, Listing

Read = TypeVar("Read")


@dataclass
class Reading:
    """How to read one account, and what was counted while it was read."""

    timeout: float = 5.0
    concurrency: int = 4
    per_minute: int = 10_000
    user_id: int | None = None
    trust: ssl.SSLContext | bool = True
    token: str = CANARY_TOKEN
    counted: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def keys(self, url: str) -> Listing:
        """List every key of the gateway at *url*."""
        return self._run(url, lambda client: client.list_keys(Secret(self.token)))

    def balance(self, url: str) -> Balance:
        """Read the account of the gateway at *url*."""
        return self._run(url, lambda client: client.read_balance(Secret(self.token)))

    def failure(self, url: str) -> ApiError:
        """List the keys in vain and return the error, which must not tell the token."""
        with pytest.raises(ApiError) as caught:
            self.keys(url)
        assert "CANARY" not in str(caught.value)
        return caught.value

    def _run(self, url: str, work: Callable[[CometClient], Awaitable[Read]]) -> Read:
        def http_client() -> httpx.AsyncClient:
            return httpx.AsyncClient(
                base_url=url,
                verify=self.trust,
                timeout=None,  # noqa: S113 - as in the program: each whole exchange has a deadline of its own
                limits=httpx.Limits(max_connections=self.concurrency + 1),
                trust_env=False,
            )

        async def run() -> Read:
            async with Connections(http_client) as connections:
                return await work(self._client(connections))

        started = time.monotonic()
        try:
            return asyncio.run(run())
        finally:
            self.seconds = time.monotonic() - started

    def _client(self, connections: Connections) -> CometClient:
        return CometClient(
            connections,
            user_id=self.user_id,
            rate_limit=RateLimit(self.per_minute, clock=time.monotonic, sleep=asyncio.sleep),
            timeout=self.timeout,
            concurrency=self.concurrency,
            on_request=lambda _path, code: self.counted.append(code),
        )


@pytest.fixture
def reading() -> type[Reading]:
    """Make readings: the class itself, since test folders are no packages to import from."""
    return Reading


@pytest.fixture(autouse=True)
def _tries_again_at_once():
    with stamina.set_testing(testing=True, attempts=3):
        yield

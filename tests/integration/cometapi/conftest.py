"""A client as the program makes it, pointed at a simulated gateway over real sockets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import stamina
from builders import CANARY_TOKEN

from exporter.cometapi.client import CometClient
from exporter.cometapi.rate_limit import RateLimit
from exporter.credentials import Secret
from exporter.errors import ApiError
from exporter.model import Listing

Read = TypeVar("Read")


@dataclass
class Reading:
    """How to read one account, and what was counted while it was read."""

    timeout: float = 5.0
    concurrency: int = 4
    user_id: int | None = None
    ca_file: Path | None = None
    token: str = CANARY_TOKEN
    counted: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def keys(self, url: str) -> Listing:
        """List every key of the gateway at *url*."""
        return self.use(url, lambda client: client.list_keys(Secret(self.token)))

    def failure(self, url: str) -> ApiError:
        """List the keys in vain and return the error, which must not tell the token."""
        with pytest.raises(ApiError) as caught:
            self.keys(url)
        assert "CANARY" not in str(caught.value)
        return caught.value

    def use(self, url: str, work: Callable[[CometClient], Awaitable[Read]]) -> Read:
        """Run *work* with a client of the gateway at *url*."""

        async def run() -> Read:
            async with aclosing(
                CometClient(
                    base_url=url,
                    user_id=self.user_id,
                    ca_file=self.ca_file,
                    timeout=self.timeout,
                    concurrency=self.concurrency,
                    rate_limit=RateLimit(100_000, clock=time.monotonic, sleep=asyncio.sleep),
                    on_request=lambda _path, code: self.counted.append(code),
                )
            ) as client:
                return await work(client)

        started = time.monotonic()
        try:
            return asyncio.run(run())
        finally:
            self.seconds = time.monotonic() - started


@pytest.fixture
def reading() -> type[Reading]:
    """Make readings: the class itself, since test folders are no packages to import from."""
    return Reading


@pytest.fixture(autouse=True)
def _tries_again_at_once():
    with stamina.set_testing(testing=True, attempts=3):
        yield

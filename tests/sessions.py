"""A client as the program makes it, used for one account, and what was counted meanwhile."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import stamina
from builders import CANARY_TOKEN

from exporter.cometapi.client import CometClient
from exporter.cometapi.proxies import Proxy
from exporter.cometapi.rate_limit import RateLimit
from exporter.cometapi.trust import GivenFile
from exporter.credentials import HeadersFile, Secret
from exporter.errors import ApiError
from exporter.model import Listing, ListingProgress

Read = TypeVar("Read")


@dataclass(kw_only=True)
class Session:
    """How to read the account at *url*; retries come at once."""

    url: str
    timeout: float = 5.0
    concurrency: int = 4
    max_keys: int = 100_000
    user_id: int | None = None
    ca_file: Path | None = None
    proxy: Proxy | None = None
    auth_scheme: str = "raw"
    headers_file: Path | None = None
    token: str = CANARY_TOKEN
    counted: list[str] = field(default_factory=list)
    pages_seen: int = 0
    seconds: float = 0.0

    def keys(self) -> Listing:
        """List every key."""
        return self.use(
            lambda client: client.list_keys(Secret(self.token), progress=self._one_more)
        )

    def failure(self) -> ApiError:
        """List the keys in vain and return the error, which must not tell the token."""
        with pytest.raises(ApiError) as caught:
            self.keys()
        assert "CANARY" not in str(caught.value)
        return caught.value

    def use(self, work: Callable[[CometClient], Awaitable[Read]]) -> Read:
        """Run *work* with a client."""

        async def run() -> Read:
            async with contextlib.aclosing(self.client()) as client:
                return await work(client)

        began = time.monotonic()
        try:
            with stamina.set_testing(testing=True, attempts=9, cap=True):
                return asyncio.run(run())
        finally:
            self.seconds = time.monotonic() - began

    def client(self) -> CometClient:
        """Make the client; the caller closes it."""
        return CometClient(
            base_url=self.url,
            user_id=self.user_id,
            ca_file=None if self.ca_file is None else GivenFile(self.ca_file),
            proxy=self.proxy,
            auth_scheme=self.auth_scheme,
            headers_file=None if self.headers_file is None else HeadersFile(self.headers_file),
            timeout=self.timeout,
            concurrency=self.concurrency,
            max_keys=self.max_keys,
            rate_limit=RateLimit(100_000, clock=self.clock, sleep=self.sleep),
            on_request=lambda path, code: self.counted.append(f"{path} {code}"),
        )

    def clock(self) -> float:
        """Tell the time that the rate limit goes by."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for a turn."""
        await asyncio.sleep(seconds)

    def _one_more(self, _: ListingProgress) -> None:
        self.pages_seen += 1

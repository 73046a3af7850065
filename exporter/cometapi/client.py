"""Read one account: its keys page by page, its balance, and what changes slowly, within the rate limit.

Talks to: the API, through `connections`. Knows no snapshots, metrics or schedules; a call returns the whole of what it
reads, or raises one ApiError. The access token is an argument of each call and is kept nowhere.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path

import stamina.instrumentation

from exporter.cometapi.connections import Connections, connect
from exporter.cometapi.facts import Status, parse_groups, parse_status, parse_subscriptions, parse_usage
from exporter.cometapi.paging import MOST_KEYS, Walk, union
from exporter.cometapi.rate_limit import RateLimit
from exporter.cometapi.requests import Requests
from exporter.cometapi.wire import Page, parse_balance, parse_page
from exporter.credentials import Secret
from exporter.model import Balance, Facts, Listing, UsageRow
from exporter.workers import decode

KEYS_PATH = "/api/token/"
ACCOUNT_PATH = "/api/user/self"
STATUS_PATH = "/api/status"
GROUPS_PATH = "/api/user/self/groups"
SUBSCRIPTIONS_PATH = "/api/subscription/self"
USAGE_PATH = "/api/data/self"
USAGE_BY_KEY_PATH = "/api/data/flow/self"
PAGE_SIZE = 100
RELISTINGS = 2


class CometClient:
    """The API of one account.

    Mutable are the number of the gateway's *first_page* and whether the last listing changed while it was read.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        user_id: int | None,
        rate_limit: RateLimit,
        timeout: float,
        concurrency: int,
        max_keys: int = MOST_KEYS,
        on_request: Callable[[str, str], None],
    ) -> None:
        self._requests = Requests(
            connections, user_id=user_id, rate_limit=rate_limit, timeout=timeout, on_request=on_request
        )
        self._concurrency = concurrency
        self._max_keys = max_keys
        self._is_moving = False
        self.first_page = 1

    @property
    def clock_skew(self) -> float | None:
        """How many seconds this machine's clock is ahead of the gateway's; None until an answer names the time."""
        return self._requests.clock_skew

    async def read_balance(self, token: Secret) -> Balance:
        """Read the account's own quota; raises ApiError."""
        return await self._requests.get(token, ACCOUNT_PATH, parse_balance)

    async def read_facts(self, token: Secret) -> Facts:
        """Read what changes slowly; what is refused or has another shape is None, and asked again after an hour.

        Raises the ApiError of trouble that passes.
        """
        status = await self._requests.get_if_offered(token, STATUS_PATH, parse_status) or Status()
        return Facts(
            version=status.version or None,
            quota_units_per_usd=status.quota_per_unit or None,
            groups=await self._requests.get_if_offered(token, GROUPS_PATH, parse_groups),
            subscriptions=await self._requests.get_if_offered(token, SUBSCRIPTIONS_PATH, parse_subscriptions),
            has_usage=status.enable_data_export,
        )

    async def read_usage(self, token: Secret, first: int, last: int, *, by_key: bool) -> tuple[UsageRow, ...] | None:
        """Read what was used in the hours that begin from unix time *first* to *last*; None where it is not reported.

        Raises the ApiError of trouble that passes.
        """
        path = USAGE_BY_KEY_PATH if by_key else USAGE_PATH
        params = {"start_timestamp": str(first), "end_timestamp": str(last)}
        parse, kind = partial(parse_usage, by_key=by_key), "" if first == last else " of days"
        return await self._requests.get_if_offered(token, path, parse, params, kind=kind)

    async def list_keys(self, token: Secret, *, progress: Callable[[], None] = lambda: None) -> Listing:
        """Read every page, again where it is not proven that all keys came; *progress* is called for each page.

        Raises the ApiError of the first page that cannot be had, or TooManyKeys.
        """
        listings: list[Listing] = []
        while len(listings) <= RELISTINGS:
            listing = await self._list_once(token, progress, careful=self._is_moving or bool(listings))
            if listing.settled:
                self._is_moving = not listing.quiet
                return listing
            listings.append(listing)
        self._is_moving = True
        return union(listings)

    async def _list_once(self, token: Secret, progress: Callable[[], None], *, careful: bool) -> Listing:
        walk = Walk(max_keys=self._max_keys, careful=careful)
        await self._read_pages(token, walk, progress, at_once=1, most=1)
        first_page = 0 if walk.is_bare_list else 1
        if first_page != self.first_page:
            self.first_page = first_page
            walk = Walk(max_keys=self._max_keys, careful=careful)
        await self._read_pages(token, walk, progress, at_once=self._concurrency)
        return await decode(walk.listing)

    async def _read_pages(
        self,
        token: Secret,
        walk: Walk,
        progress: Callable[[], None],
        *,
        at_once: int,
        most: int | None = None,
    ) -> None:
        """Keep up to *at_once* requests under way until the walk names no further page, or *most* were read."""
        under_way: dict[asyncio.Task[Page], int] = {}
        left = most
        try:
            while True:
                while len(under_way) < at_once and left != 0 and (number := walk.next_page()) is not None:
                    under_way[asyncio.create_task(self._page(token, number))] = number
                    left = None if left is None else left - 1
                if not under_way:
                    return
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    walk.receive(under_way.pop(task), task.result())
                    progress()
        finally:
            await _cancel(under_way)

    async def _page(self, token: Secret, index: int) -> Page:
        """Read the page *index*, counted from 0; some gateways read the one name of the size, some the other."""
        params = {"p": str(index + self.first_page), "page_size": str(PAGE_SIZE), "size": str(PAGE_SIZE)}
        return await self._requests.get(token, KEYS_PATH, parse_page, params)


@contextlib.asynccontextmanager
async def open_client(
    *,
    base_url: str,
    user_id: int | None,
    ca_file: Path | None,
    timeout: float,  # noqa: ASYNC109 - of each request
    concurrency: int,
    max_keys: int = MOST_KEYS,
    rate_limit: RateLimit,
    on_request: Callable[[str, str], None],
) -> AsyncIterator[CometClient]:
    """Give the client of one account, whose connections close at the end; raises StartError.

    *rate_limit* is shared by all accounts of one host.
    """
    stamina.instrumentation.set_on_retry_hooks([])
    async with connect(base_url, ca_file=ca_file, at_once=concurrency + 1) as connections:
        yield CometClient(
            connections,
            user_id=user_id,
            rate_limit=rate_limit,
            timeout=timeout,
            concurrency=concurrency,
            max_keys=max_keys,
            on_request=on_request,
        )


async def _cancel(tasks: Iterable[asyncio.Task[Page]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""Read one account: its keys page by page, and the other endpoints, within the rate limit.

Talks to: the API, through `connections`. Knows no snapshots, metrics or schedules; a call returns
the whole of what it reads, or raises one ApiError. The access token is an argument of each call and
is kept nowhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import stamina
import stamina.instrumentation

from exporter.cometapi.answer import Answer, age, clock_skew
from exporter.cometapi.connections import Connections
from exporter.cometapi.facts import (
    parse_balance,
    parse_groups,
    parse_status,
    parse_subscriptions,
    parse_usage,
    parse_usage_by_hour,
)
from exporter.cometapi.paging.walks import MOST_KEYS, expected_pages, listing_of, union, walk
from exporter.cometapi.proxies import Proxy
from exporter.cometapi.rate_limit import LONGEST_WAIT_SECONDS, RateLimit
from exporter.cometapi.trust import GivenFile
from exporter.cometapi.wire import Page, parse_page
from exporter.credentials import HeadersFile, Secret
from exporter.endpoint import ApiPath
from exporter.errors import ApiError, InvalidResponse
from exporter.model import (
    Amounts,
    Balance,
    GatewayStatus,
    Listing,
    ListingProgress,
    Series,
    Subscriptions,
)
from exporter.workers import decode

PAGE_SIZE = 100
# The first listing is quick. If the list changes meanwhile, two careful ones may follow. More would
# not help: what they miss, the next refresh reads.
LISTINGS = 3
ATTEMPTS = 3

Content_co = TypeVar("Content_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Content_co]):
    """A path of the API, and how to read its answers."""

    path: ApiPath
    parse: Callable[[Answer], Content_co]


KEYS = Endpoint(ApiPath.KEYS, parse_page)
BALANCE = Endpoint(ApiPath.BALANCE, parse_balance)
STATUS = Endpoint(ApiPath.STATUS, parse_status)
GROUPS = Endpoint(ApiPath.GROUPS, parse_groups)
SUBSCRIPTIONS = Endpoint(ApiPath.SUBSCRIPTIONS, parse_subscriptions)


@dataclass(slots=True)
class Dialect:
    """What was learned of a gateway from its responses.

    *first_page* is the number of the first page of keys, 0 for older gateways. *is_moving* tells
    whether the last listing changed while it was read. *clock_skew* is how many seconds this
    machine's clock was ahead of the gateway's at the last response, None before any and where it
    had no date. *cached_seconds* is how long a cache had kept the last page of keys. *unread_rows*
    counts the rows of usage that the last response left unread, by path.
    """

    first_page: int = 1
    is_moving: bool = False
    clock_skew: float | None = None
    cached_seconds: float = 0.0
    unread_rows: dict[ApiPath, int] = field(default_factory=dict)


def _is_worth_another_try(error: Exception) -> bool:
    """Whether to try again at once.

    After trouble that passes, or a pause short enough to wait for.
    """
    if not isinstance(error, ApiError):
        return False
    if error.retry_after is not None:
        return error.retry_after <= LONGEST_WAIT_SECONDS
    return error.transient


def _ignore(_: ListingProgress) -> None:
    """Do nothing with a page."""


class CometClient:
    """The API of one account.

    *timeout* is of each request; *rate_limit* is shared by all accounts of one host. *on_request*
    gets the path of every request, and the HTTP status, `none` where no answer came, or
    `cancelled`. *free_connections* limits those of all accounts. Mutable is *dialect*.
    """

    def __init__(
        self,
        *,
        base_url: str,
        user_id: int | None,
        ca_file: GivenFile | None,
        proxy: Proxy | None,
        timeout: float,
        concurrency: int,
        max_keys: int = MOST_KEYS,
        auth_scheme: str,
        headers_file: HeadersFile | None,
        rate_limit: RateLimit,
        on_request: Callable[[str, str], None],
        free_connections: asyncio.Semaphore | None = None,
    ) -> None:
        stamina.instrumentation.set_on_retry_hooks([])
        self._connections = Connections(
            base_url,
            user_id=user_id,
            ca_file=ca_file,
            proxy=proxy,
            timeout=timeout,
            at_once=concurrency + 1,
            auth_scheme=auth_scheme,
            headers_file=headers_file,
            free=free_connections,
        )
        self._rate_limit = rate_limit
        self._concurrency = concurrency
        self._max_keys = max_keys
        self._on_request = on_request
        self.dialect = Dialect()

    async def aclose(self) -> None:
        """Close the connections, none of which is open before the first request."""
        await self._connections.aclose()

    async def read_balance(self, token: Secret) -> Balance:
        """Read the account's own quota; raises ApiError."""
        return await self._get(token, BALANCE)

    def share_connections(self, most: int) -> None:
        """Open at most *most* connections; where that is 0, one at a time, and keep none open."""
        self._connections.share(most)

    async def read_status(self, token: Secret) -> GatewayStatus:
        """Read what the gateway says of itself; raises ApiError."""
        return await self._get(token, STATUS)

    async def read_groups(self, token: Secret) -> Mapping[str, float | None]:
        """Read the groups open to the account, with their price factors; raises ApiError."""
        return await self._get(token, GROUPS)

    async def read_subscriptions(self, token: Secret) -> Subscriptions:
        """Read the running subscriptions, and how the account prefers to pay; raises ApiError."""
        return await self._get(token, SUBSCRIPTIONS)

    async def read_usage(
        self, token: Secret, first: int, last: int, *, by_key: bool
    ) -> Mapping[Series, Amounts]:
        """Sum what was used in the hours that begin from unix time *first* to *last*.

        Raises ApiError.
        """
        endpoint = Endpoint(
            ApiPath.USAGE_BY_KEY if by_key else ApiPath.USAGE,
            partial(parse_usage, first=first, last=last, by_key=by_key),
        )
        usage = await self._get(
            token, endpoint, start_timestamp=str(first), end_timestamp=str(last)
        )
        self.dialect.unread_rows[endpoint.path] = usage.unread_rows
        return usage.sums

    async def read_usage_by_hour(
        self, token: Secret, first: int, last: int
    ) -> Mapping[int, Mapping[Series, Amounts]]:
        """Read what models used in each of the hours from unix time *first* to *last*.

        Raises ApiError.
        """
        endpoint = Endpoint(ApiPath.USAGE, partial(parse_usage_by_hour, first=first, last=last))
        return await self._get(token, endpoint, start_timestamp=str(first), end_timestamp=str(last))

    async def list_keys(
        self, token: Secret, *, progress: Callable[[ListingProgress], None] = _ignore
    ) -> Listing:
        """Read every page, again where it is not proven that all keys came.

        *progress* is called for each page.

        Raises the ApiError of the first page that cannot be had, or TooManyKeys.
        """
        listings: list[Listing] = []
        while len(listings) < LISTINGS:
            listing = await self._list_once(self._page_reader(token, progress))
            self.dialect.is_moving = listing.changed_while_read is True
            if listing.is_complete:
                return listing
            listings.append(listing)
        return union(listings)

    def _page_reader(
        self, token: Secret, progress: Callable[[ListingProgress], None]
    ) -> Callable[[int], Awaitable[Page]]:
        """Return what reads a page of one listing by its number, counted from 0, and reports it."""
        pages = 0
        expected: int | None = None

        async def read(index: int) -> Page:
            nonlocal pages, expected
            # Each gateway reads one of the names and ignores the other.
            number = str(index + self.dialect.first_page)
            page = await self._get(
                token,
                KEYS,
                p=number,
                page=number,
                page_size=str(PAGE_SIZE),
                size=str(PAGE_SIZE),
            )
            pages += 1
            if index == 0:
                expected = expected_pages(page)
            progress(ListingProgress(pages=pages, expected=expected))
            return page

        return read

    async def _list_once(self, read: Callable[[int], Awaitable[Page]]) -> Listing:
        page = await read(0)
        if page.is_bare_list is not (self.dialect.first_page == 0):
            self.dialect.first_page = 0 if page.is_bare_list else 1
            page = await read(0)
        if page.is_null:
            raise InvalidResponse("expected a page of keys, got null - at `$.data`")
        pages = walk(page, max_keys=self._max_keys, careful=self.dialect.is_moving)

        async def go_on() -> None:
            while (number := pages.next_page()) is not None:
                pages.receive(number, await read(number))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(go_on())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return await decode(partial(listing_of, pages))

    @stamina.retry(on=_is_worth_another_try, attempts=ATTEMPTS, timeout=None)
    async def _get(
        self, token: Secret, endpoint: Endpoint[Content_co], **params: str
    ) -> Content_co:
        """Ask the *endpoint*, again after trouble that passes; raises ApiError."""
        try:
            return await self._ask(token, endpoint, params)
        except ApiError as error:
            if error.retry_after is not None:
                self._rate_limit.pause(error.retry_after)
            raise error.without_traceback() from None

    async def _ask(
        self, token: Secret, endpoint: Endpoint[Content_co], params: Mapping[str, str]
    ) -> Content_co:
        answer = await self._send(token, endpoint.path, params)
        self.dialect.clock_skew = clock_skew(answer)
        if endpoint.path is ApiPath.KEYS:
            self.dialect.cached_seconds = age(answer)
        return await decode(partial(endpoint.parse, answer))  # apart from the event loop

    async def _send(self, token: Secret, path: str, params: Mapping[str, str]) -> Answer:
        await self._rate_limit.acquire()
        code = "none"
        try:
            answer = await self._connections.fetch(path, params, token)
            code = str(answer.status)
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        finally:
            self._on_request(path, code)
        return answer

"""Walk the pages of one account's list, and judge whether what came is the whole list.

Pure: no HTTP, no JSON, no clock. Pages go in, numbers of the next pages come out.

How the end is found. A page that is full may have a successor, whatever the total says; an empty page, or one that
shows nothing new, has none. The first page's total only tells how many pages may be asked for at the same time: up to
the one that must be short or empty. Bare lists name no total and are walked page by page.

How the whole is judged. Paging is by offset, newest key first: a key made meanwhile shows one key twice, a key deleted
meanwhile hides one. A listing is whole where every page named the same total, that many distinct ids came, and none of
them is newer than page one, which was read first: they all existed then, as many as then existed, so they are all.
"""

from collections.abc import Iterable

from exporter.cometapi.wire import Page
from exporter.errors import InvalidResponse
from exporter.model import ApiKey, Listing

MOST_PAGES = 20_000


class Walk:
    """One walk through the pages, numbered from 0; the only mutable thing in this file, used by one listing."""

    def __init__(self) -> None:
        self._keys: dict[int, ApiKey] = {}
        self._unreadable: set[int] = set()
        self._ids: set[int] = set()
        self._nameless = 0
        self._totals: set[int | None] = set()
        self._lengths: dict[int, int] = {}
        self._asked = 0
        self._planned = 1
        self._size = 0
        self._ended = False
        self._repeated = False
        self._newest: int | None = None
        self._began_with_null = False
        self.is_bare_list = False

    def next_page(self) -> int | None:
        """Name the next page to ask for, and count it as asked; None while there is none, or none yet."""
        if self._ended or not self._may_ask():
            return None
        if self._asked >= MOST_PAGES:
            raise InvalidResponse(f"the list does not end: more than {MOST_PAGES} pages")
        self._asked += 1
        return self._asked - 1

    def receive(self, number: int, page: Page) -> None:
        """Take in page *number*."""
        if number == 0:
            self._begin(page)
        before = self._distinct
        self._totals.add(page.total)
        self._lengths[number] = page.length
        self._keys.update((key.id, key) for key in page.keys)
        self._unreadable.update(page.unreadable)
        self._ids.update((key.id for key in page.keys), page.unreadable)
        self._nameless += page.nameless
        news = self._distinct - before
        self._repeated = self._repeated or news < page.length
        if news == 0:
            self._ended = True

    def listing(self) -> Listing:
        """Return what this walk has read, with its verdict; raises InvalidResponse where even page one was null."""
        if self._began_with_null:
            raise InvalidResponse("expected a page of keys, got null - at `$.data`")
        return Listing(
            keys=tuple(self._keys.values()),
            unreadable=frozenset(self._unreadable - self._keys.keys()),
            nameless=self._nameless,
            settled=self._is_settled,
            verified=self._totals != {None},
        )

    def _begin(self, page: Page) -> None:
        self._began_with_null = page.is_null
        self.is_bare_list = page.is_bare_list
        ids = [key.id for key in page.keys]
        if ids == sorted(ids, reverse=True):
            self._newest = max((*ids, *page.unreadable), default=None)
        self._size = page.size if page.size is not None and page.size > 0 else page.length
        if page.total is not None and page.total > 0 and page.length > 0:
            self._planned = page.total // max(self._size, 1) + 1

    def _may_ask(self) -> bool:
        if self._asked < self._planned:
            return True
        if len(self._lengths) < self._asked:
            return False
        last = self._lengths[self._asked - 1]
        claimed = max((total for total in self._totals if total is not None), default=0)
        return last >= self._size or claimed > self._distinct

    @property
    def _distinct(self) -> int:
        return len(self._ids) + self._nameless

    @property
    def _is_settled(self) -> bool:
        if self._totals == {None}:
            return not self._repeated
        has_newer = self._newest is not None and any(key_id > self._newest for key_id in self._ids)
        return self._totals == {self._distinct} and not has_newer


def union(listings: Iterable[Listing]) -> Listing:
    """Join the listings of one refresh that did not settle: of a key read twice the later reading counts."""
    keys: dict[int, ApiKey] = {}
    unreadable: frozenset[int] = frozenset()
    nameless, verified = 0, True
    for listing in listings:
        keys.update((key.id, key) for key in listing.keys)
        unreadable |= listing.unreadable
        nameless, verified = listing.nameless, listing.verified
    return Listing(
        keys=tuple(keys.values()),
        unreadable=unreadable - keys.keys(),
        nameless=nameless,
        settled=False,
        verified=verified,
    )

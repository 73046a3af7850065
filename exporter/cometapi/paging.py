"""Walk the pages of one account's list, and judge whether what came is the whole list.

Pure: no HTTP, no JSON, no clock. Pages go in, numbers of the next pages come out.

Paging is by offset, newest key first. A creation moves every later key down: one is seen twice,
none is missed. A deletion moves the keys below it up: one crosses the border between two pages
unseen.

A quick walk asks for many pages at the same time, as far as page one's total reaches, then for one
at a time until a page is the last. It is whole where as many ids came as page one's total says, not
counting those newer than page one: they all existed then, as many as then existed, so they are all.

A careful walk asks for one page at a time. Between two pages keys cross the border unseen only if
more of those above it were deleted than were created, so at most as many as the total fell by.
Where the total fell by n, the walk steps back as many pages as n keys fill, and one more, and goes
on from there. It is whole where it ends exactly at the total of the last page, whatever came and
went, provided that a page's total and its items are of one moment. Gateways list and count in two
queries, so after a careful walk under change a key that is absent is likely, not certainly, gone.

A bare list names no total. It is walked page by page, and never proves that a key is gone.
"""

from collections.abc import Sequence

import msgspec

from exporter.cometapi.wire import Page
from exporter.errors import TooManyKeys
from exporter.model import ApiKey, Listing

MOST_KEYS = 100_000
EXTRA_REREADS = 10
NO_FURTHER = -1


class Walk:
    """One walk through the pages, numbered from 0, used by one listing; *first* is page 0.

    Pages up to the *last* one may be asked for by now.
    """

    def __init__(self, first: Page, *, max_keys: int = MOST_KEYS, careful: bool = False) -> None:
        ids = [key.id for key in first.keys]
        is_newest_first = ids == sorted(ids, reverse=True)
        total = first.total or 0
        size = first.length if total > first.length > 0 else max(first.size or first.length, 1)
        self._newest = max((*ids, *first.unreadable), default=None) if is_newest_first else None
        self._first = first
        self._size = size
        self._max_keys = max_keys
        self._found = _Found()
        self._cover = _Cover(size, first.total) if careful and first.total is not None else None
        self._next = self._waiting = 1
        self._last = max(0, total) // size
        self._tail_length = 0
        self._is_stuck = False
        self.receive(0, first)

    def next_page(self) -> int | None:
        """Return the next page to ask for, and count it as asked for; None while there is none, or none yet."""
        if self._next > self._last:
            return None
        self._waiting += 1
        self._next += 1
        return self._next - 1

    def receive(self, number: int, page: Page) -> None:
        """Take in page *number*; raises TooManyKeys."""
        self._waiting -= 1
        news = self._found.take(page)
        if self._found.count > self._max_keys:
            raise TooManyKeys(f"the account has more than {self._max_keys} keys")
        if self._cover is not None:
            self._last = self._cover.follow(number, page, news=news, found=self._found.count)
            self._next = max(self._last, 0)
        elif self._last != NO_FURTHER:
            self._go_on(number, page, news)

    def _go_on(self, number: int, page: Page, news: int) -> None:
        """End a quick walk at a page that shows nothing new, and after the last one only if it was the end."""
        if number == self._last:
            self._tail_length = page.length
        if news == 0:
            self._last, self._is_stuck = NO_FURTHER, page.length > 0
        elif self._waiting == 0 and self._next > self._last:
            lacks_some = any((total or 0) > self._found.count for total in self._found.totals)
            if self._tail_length >= self._size or (
                lacks_some and not self._has_all_of_page_one_s_total
            ):
                self._last = self._next

    def listing(self) -> Listing:
        """Return what this walk has read, and what it proves."""
        found = self._found
        is_bare_list = found.totals == {None}
        is_quiet = found.totals == {found.count} and not found.newer_than(self._newest)
        if is_bare_list:
            is_whole = not self._is_stuck
        elif self._cover is not None:
            is_whole = self._cover.is_whole and self._newest is not None
        else:
            is_whole = self._has_all_of_page_one_s_total
        return Listing(
            keys=tuple(found.keys.values()),
            unreadable=frozenset(found.unreadable),
            nameless=found.nameless,
            settled=is_quiet or is_whole,
            quiet=is_quiet,
            verified=not is_bare_list and (self._newest is not None or self._first.length == 0),
        )

    @property
    def _has_all_of_page_one_s_total(self) -> bool:
        newest, found = self._newest, self._found
        return (
            newest is not None
            and found.count - found.newer_than(newest) == self._first.total
            and not found.nameless
        )


class _Found:
    """What the pages held, each key once by its latest reading."""

    def __init__(self) -> None:
        self.keys: dict[int, ApiKey] = {}
        self.unreadable: set[int] = set()
        self.nameless = 0
        self.totals: set[int | None] = set()

    def take(self, page: Page) -> int:
        """Take in *page*; return how many of its keys are new."""
        before = self.count
        self.totals.add(page.total)
        self.keys.update((key.id, key) for key in page.keys)
        self.unreadable.difference_update(key.id for key in page.keys)
        self.unreadable.update(key_id for key_id in page.unreadable if key_id not in self.keys)
        self.nameless += page.nameless
        return self.count - before

    @property
    def count(self) -> int:
        return len(self.keys) + len(self.unreadable) + self.nameless

    def newer_than(self, newest: int | None) -> int:
        """Count the ids above *newest*."""
        return (
            0
            if newest is None
            else sum(key_id > newest for key_id in (*self.keys, *self.unreadable))
        )


class _Cover:
    """How far a careful walk has seen everything: when the list had *total* keys, all at offsets below *end*."""

    def __init__(self, size: int, total: int) -> None:
        self.is_whole = False
        self._is_doubtful = False
        self._size = size
        self._end = 0
        self._total = self._first_total = total
        self._furthest = -1
        self._rereads_left = max(total, 0) // size + EXTRA_REREADS

    def follow(self, number: int, page: Page, *, news: int, found: int) -> int:
        """Take in page *number*, whose *news* make *found* keys; return the next one to ask for."""
        is_reread = number <= self._furthest
        offset, total = number * self._size, self._total if page.total is None else page.total
        self._furthest = max(self._furthest, number)
        self._rereads_left -= is_reread
        self._is_doubtful = self._is_doubtful or page.total is None or self._rereads_left < 0
        seen = max(0, self._end - max(0, self._total - total))
        if offset > seen and not self._is_doubtful:
            return max(0, seen // self._size - 1)
        self._end, self._total = offset + page.length, total
        created = max(0, total - self._first_total)
        is_number_ignored = news == 0 and not is_reread and offset >= found + created
        if page.length >= self._size and not is_number_ignored:
            return number + 1
        self.is_whole = self._end == total and not self._is_doubtful
        return NO_FURTHER


def union(listings: Sequence[Listing]) -> Listing:
    """Join the listings of one refresh that did not settle: of a key read twice the later reading counts."""
    keys = {key.id: key for listing in listings for key in listing.keys}
    unreadable = (
        frozenset[int]().union(*(listing.unreadable for listing in listings)).difference(keys)
    )
    return msgspec.structs.replace(listings[-1], keys=tuple(keys.values()), unreadable=unreadable)

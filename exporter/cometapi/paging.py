"""Walk the pages of one account's list, and judge whether what came is the whole list.

Pure: no HTTP, no JSON, no clock. Pages go in, numbers of the next pages come out.

Paging is by offset, newest key first. A creation moves every later key down: one is seen twice, none is missed. A
deletion moves the keys below it up: one crosses the border between two pages unseen.

A quick walk asks for many pages at the same time. It is whole where as many ids came as page one's total says, not
counting those newer than page one: they all existed then, as many as then existed, so they are all.

A careful walk asks for one page at a time. Between two pages keys cross the border unseen only if more of those above
it were deleted than were created, so at most as many as the total fell by. Where the total fell by n, the walk steps
back as many pages as n keys fill, and one more, and goes on from there. It is whole where it ends exactly at the total
of the last page, whatever came and went, provided that a page's total and its items are of one moment. Gateways list
and count in two queries, so after a careful walk under change a key that is absent is likely, not certainly, gone.

A bare list names no total. It is walked page by page, and never proves that a key is gone.
"""

from collections.abc import Iterable
from enum import Enum

from exporter.cometapi.wire import Page
from exporter.errors import InvalidResponse, TooManyKeys
from exporter.model import ApiKey, Listing

MOST_KEYS = 100_000
EXTRA_REREADS = 10


class State(Enum):
    """How a walk goes on: FIRST, then AHEAD or STEP, at last DONE."""

    FIRST = "page one decides how to go on"
    AHEAD = "pages up to the planned last one may be asked for at the same time"
    STEP = "one page at a time, each decides about the next"
    DONE = "no further page"


class Walk:
    """One walk through the pages, numbered from 0, used by one listing."""

    def __init__(self, *, max_keys: int = MOST_KEYS, careful: bool = False) -> None:
        self._max_keys = max_keys
        self._careful = careful
        self._state = State.FIRST
        self._next = self._last = 0
        self._waiting = 0
        self._size = 1
        self._tail_length = 0
        self._is_stuck = False
        self._cover: _Cover | None = None
        self._found = _Found()
        self._first = Page(keys=())

    @property
    def is_bare_list(self) -> bool:
        """Whether page one was a bare list, as the older API variants send it."""
        return self._first.is_bare_list

    def next_page(self) -> int | None:
        """Return the next page to ask for, and count it as asked for; None while there is none, or none yet."""
        is_held = self._waiting > 0 and self._state is not State.AHEAD
        if is_held or self._state is State.DONE or self._next > self._last:
            return None
        self._waiting += 1
        self._next += 1
        return self._next - 1

    def receive(self, number: int, page: Page) -> None:
        """Take in page *number*; raises TooManyKeys."""
        self._waiting -= 1
        news = self._found.take(page)
        if self._state is State.FIRST:
            self._begin(page)
        self._check_count(number, page)
        if number == self._last:
            self._tail_length = page.length
        if self._state is State.STEP:
            self._step(number, page, news)
        elif self._state is State.AHEAD:
            self._go_ahead(news)

    def listing(self) -> Listing:
        """Return what this walk has read, and what it proves; raises InvalidResponse where even page one was null."""
        if self._first.is_null:
            raise InvalidResponse("expected a page of keys, got null - at `$.data`")
        found = self._found
        is_quiet = found.totals == {found.count} and not found.newer_than(self._newest)
        if found.totals == {None}:
            is_settled = not self._is_stuck
        elif self._cover is not None:
            is_settled = is_quiet or (self._cover.is_whole and self._newest is not None)
        else:
            is_settled = is_quiet or self._has_all_of_page_one_s_total
        return Listing(
            keys=tuple(found.keys.values()),
            unreadable=frozenset(found.unreadable - found.keys.keys()),
            nameless=found.nameless,
            settled=is_settled,
            quiet=is_quiet,
            verified=found.totals != {None} and (self._newest is not None or self._first.length == 0),
        )

    def _begin(self, page: Page) -> None:
        self._first = page
        total = page.total or 0
        self._size = page.length if total > page.length > 0 else max(page.size or page.length, 1)
        if page.total is None:
            self._state = State.STEP
        elif self._careful:
            self._state, self._cover = State.STEP, _Cover(self._size, page.total)
        else:
            self._state, self._last = State.AHEAD, max(0, total if page.length else 0) // self._size

    def _check_count(self, number: int, page: Page) -> None:
        """Raise TooManyKeys by what came, not by the total, which may be wrong."""
        if self._found.count > self._max_keys or (page.length and number * self._size + page.length > self._max_keys):
            raise TooManyKeys(f"the account has more than {self._max_keys} keys")

    def _go_ahead(self, news: int) -> None:
        """End at a page that shows nothing new; after the last planned page go on only if it was not the end."""
        if news == 0:
            self._state = State.DONE
        elif self._waiting == 0 and self._next > self._last:
            self._step(self._last, None, news)

    def _step(self, number: int, page: Page | None, news: int) -> None:
        if page is not None and self._cover is not None:
            following = self._cover.follow(number, page, news=news, found=self._found.count)
        else:
            shows_all = self._found.largest_total <= self._found.count or self._has_all_of_page_one_s_total
            self._is_stuck = news == 0 and self._tail_length > 0
            following = None if news == 0 or (shows_all and self._tail_length < self._size) else number + 1
        if following is None:
            self._state = State.DONE
        else:
            self._state, self._next, self._last = State.STEP, following, following

    @property
    def _newest(self) -> int | None:
        """The highest id of page one; None where it does not list the newest first."""
        ids = [key.id for key in self._first.keys]
        return max((*ids, *self._first.unreadable), default=None) if ids == sorted(ids, reverse=True) else None

    @property
    def _has_all_of_page_one_s_total(self) -> bool:
        newest, found = self._newest, self._found
        return newest is not None and found.count - found.newer_than(newest) == self._first.total and not found.nameless


class _Found:
    """What the pages held, each key once by its latest reading."""

    def __init__(self) -> None:
        self.keys: dict[int, ApiKey] = {}
        self.unreadable: set[int] = set()
        self.nameless = 0
        self.totals: set[int | None] = set()
        self._ids: set[int] = set()

    def take(self, page: Page) -> int:
        """Take in *page*; return how many of its keys are new."""
        before = self.count
        self.totals.add(page.total)
        self.keys.update((key.id, key) for key in page.keys)
        self.unreadable.update(page.unreadable)
        self._ids.update((key.id for key in page.keys), page.unreadable)
        self.nameless += page.nameless
        return self.count - before

    @property
    def count(self) -> int:
        return len(self._ids) + self.nameless

    @property
    def largest_total(self) -> int:
        return max((total for total in self.totals if total is not None), default=0)

    def newer_than(self, newest: int | None) -> int:
        """Count the ids above *newest*."""
        return 0 if newest is None else sum(key_id > newest for key_id in self._ids)


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

    def follow(self, number: int, page: Page, *, news: int, found: int) -> int | None:
        """Take in page *number*, whose *news* make *found* keys; return the next one to ask for, None at the end."""
        total = self._total if page.total is None else page.total
        fallen = max(0, self._total - total)
        is_stuck = news == 0 and page.length > 0 and number > self._furthest and self._is_too_far(number, found, total)
        self._rereads_left -= number <= self._furthest
        self._furthest = max(self._furthest, number)
        connects = number * self._size <= max(0, self._end - fallen)
        self._is_doubtful = self._is_doubtful or page.total is None or self._rereads_left < 0
        if not connects and not self._is_doubtful:
            return max(0, (self._end - fallen) // self._size - 1)
        self._end, self._total = number * self._size + page.length, total
        if page.length >= self._size and not is_stuck:
            return number + 1
        self.is_whole = self._end == total and not self._is_doubtful
        return None

    def _is_too_far(self, number: int, found: int, total: int) -> bool:
        """Whether page *number* is beyond what was found and what was created: the gateway ignores the number."""
        return number * self._size >= found + max(0, total - self._first_total)


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
        quiet=False,
        verified=verified,
    )

"""Collect what the pages of one walk held, and compare it with the totals that they named.

Pure: no HTTP, no JSON, no clock. Knows pages, not their order and not which page comes next.
"""

from exporter.cometapi.wire import Page
from exporter.errors import TooManyKeys
from exporter.model import ApiKey, Listing, Unread

# Enough to see what they have in common; a page of 10,000 keys can have as many of each field.
MOST_UNREAD = 1_000


class KeysRead:
    """Every key of the pages read so far, each once, as it was read last.

    *unreadable* are the ids of keys that could not be read, *nameless* counts those without even an
    id, *unread* names fields that could not be read, and *totals* holds each total that a page
    named, None for a page that named none. *newest_of_page_one* is None where page one is empty or
    not sorted from the newest key down.
    """

    def __init__(self, first: Page, *, max_keys: int) -> None:
        self.keys: dict[int, ApiKey] = {}
        self.unreadable: set[int] = set()
        self.nameless = 0
        self.unread: set[Unread] = set()
        self.totals: set[int | None] = set()
        self.newest_of_page_one = _newest(first)
        self._is_page_one_empty = first.length == 0
        self._max_keys = max_keys

    def take(self, page: Page) -> int:
        """Add *page* and return how many of its keys are new; raises TooManyKeys."""
        count_before = self.count
        self.totals.add(page.total)
        for key in page.keys:
            self.keys[key.id] = key
            self.unreadable.discard(key.id)
        # A key that was read on another page stays readable.
        self.unreadable.update(key_id for key_id in page.unreadable if key_id not in self.keys)
        self.nameless += page.nameless
        if len(self.unread) < MOST_UNREAD:
            self.unread.update(page.unread[:MOST_UNREAD])
        if self.count > self._max_keys:
            raise TooManyKeys(f"the account has more than {self._max_keys} keys")
        return self.count - count_before

    @property
    def count(self) -> int:
        """How many keys came, readable or not."""
        return len(self.keys) + len(self.unreadable) + self.nameless

    @property
    def newer_than_page_one(self) -> int:
        """How many keys were created after page one was read."""
        newest = self.newest_of_page_one
        if newest is None:
            return 0
        ids = (*self.keys, *self.unreadable)
        return sum(key_id > newest for key_id in ids)

    @property
    def names_a_total(self) -> bool:
        """Whether any page named a total."""
        return self.totals != {None}

    @property
    def matches_every_total(self) -> bool:
        """Whether all pages named one total, exactly that many keys came, and none is new."""
        return self.totals == {self.count} and self.newer_than_page_one == 0

    @property
    def changed_while_read(self) -> bool | None:
        """Whether keys came or went between the pages; None where that cannot be known.

        Without a total there is nothing to compare with. In a list that is sorted from the oldest
        key down, a creation can make up for a deletion: the totals match though a key is missing.
        """
        is_order_known = self.newest_of_page_one is not None or self._is_page_one_empty
        if not self.names_a_total or not is_order_known:
            return None
        return not self.matches_every_total

    def listing(self, *, is_complete: bool) -> Listing:
        """Return the keys as one listing; the walk knows whether it *is_complete*."""
        return Listing(
            keys=tuple(self.keys.values()),
            unreadable=frozenset(self.unreadable),
            nameless=self.nameless,
            unread=frozenset(self.unread),
            is_complete=is_complete,
            changed_while_read=self.changed_while_read,
        )


def _newest(first: Page) -> int | None:
    """Return the highest id of page one, None where its keys do not come newest first."""
    ids = [key.id for key in first.keys]
    if ids != sorted(ids, reverse=True):
        return None
    return max((*ids, *first.unreadable), default=None)

"""Choose the walk for a list, and make one listing of what it read.

Pure: no HTTP, no JSON, no clock. The only file that knows both walks.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from exporter.cometapi.paging.careful_walk import CarefulWalk
from exporter.cometapi.paging.keys_read import KeysRead
from exporter.cometapi.paging.quick_walk import QuickWalk
from exporter.cometapi.wire import Page
from exporter.model import ApiKey, Listing, Unread

# The default of --keys.max: a list of this length is what benchmarks/README.md measures.
MOST_KEYS = 100_000


class Walk(Protocol):
    """What both walks have in common; pages are counted from 0."""

    keys_read: KeysRead

    def next_page(self) -> int | None:
        """Return the number of a page to ask for, None where none is due now."""

    def receive(self, number: int, page: Page) -> None:
        """Take in page *number*; raises TooManyKeys."""

    def is_complete(self) -> bool:
        """Return whether every key that existed during the whole walk was read."""


def walk(first: Page, *, max_keys: int = MOST_KEYS, careful: bool = False) -> Walk:
    """Begin a walk with its *first* page; raises TooManyKeys.

    A *careful* walk follows the total, so a list without one is always walked quickly.
    """
    keys_read = KeysRead(first, max_keys=max_keys)
    size = _page_size(first)
    chosen: Walk
    if careful and first.total is not None:
        chosen = CarefulWalk(keys_read, size=size, total=first.total)
    else:
        chosen = QuickWalk(keys_read, size=size, total=first.total)
    chosen.receive(0, first)
    return chosen


def expected_pages(first: Page) -> int | None:
    """Return how many pages there are by the *first* one, None where it names no total."""
    if first.total is None:
        return None
    return max(0, first.total) // _page_size(first) + 1


def _page_size(first: Page) -> int:
    """Return how many keys a full page holds, whatever size the gateway says it has."""
    if first.total is not None and first.total > first.length > 0:
        return first.length
    return max(first.size or first.length, 1)


def listing_of(ended: Walk) -> Listing:
    """Return what a walk has read, and what that proves."""
    return ended.keys_read.listing(is_complete=ended.is_complete())


def union(listings: Sequence[Listing]) -> Listing:
    """Join listings none of which is complete: of a key in two of them the later reading counts."""
    keys: dict[int, ApiKey] = {}
    unreadable: set[int] = set()
    unread: set[Unread] = set()
    for listing in listings:
        keys.update((key.id, key) for key in listing.keys)
        unreadable |= listing.unreadable
        unread |= listing.unread
    return msgspec.structs.replace(
        listings[-1],
        keys=tuple(keys.values()),
        unreadable=frozenset(unreadable - keys.keys()),
        unread=frozenset(unread),
    )

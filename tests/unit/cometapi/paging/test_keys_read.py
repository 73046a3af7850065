"""Which keys a walk has read, which of them could not be read, and how many are too many."""

import pytest
from domain import an_api_key, keys
from pages import a_page, ids_of, walk_through

from exporter.cometapi.paging.walks import listing_of, walk
from exporter.cometapi.wire import Page
from exporter.errors import TooManyKeys


def test_keys_that_cannot_be_read_count_towards_the_whole_and_end_no_walk():
    listing, asked = walk_through(
        a_page([], total=4, unreadable=(9, 8)),
        a_page([6], total=4, nameless=1),
        a_page([], total=4),
    )

    assert (asked, listing.is_complete) == (3, True)
    assert (listing.unreadable, listing.nameless, listing.skipped) == (frozenset({8, 9}), 1, 3)


def test_a_nameless_key_among_changes_proves_nothing():
    listing, _ = walk_through(
        a_page([4], total=3, nameless=1), a_page([4, 2], total=3), a_page([], total=4)
    )

    assert not listing.is_complete


@pytest.mark.parametrize(
    "pages", [([9, 8], [], (8,)), ([9], [8], (8,))], ids=["read first", "read last"]
)
def test_a_key_that_was_read_once_is_not_called_unreadable(pages):
    first, second, unreadable = pages
    later = Page(keys=keys(*second), total=3, size=2, unreadable=() if second else unreadable)
    listing, _ = walk_through(
        a_page(first, total=3, unreadable=unreadable if second else ()), later
    )

    assert listing.unreadable == frozenset()
    assert ids_of(listing) == [8, 9]


def test_of_a_key_seen_twice_the_later_reading_counts():
    pages = walk(Page(keys=(an_api_key(id=2, used_quota=10),), total=2, size=1))
    pages.receive(1, Page(keys=(an_api_key(id=2, used_quota=11),), total=2, size=1))

    assert listing_of(pages).keys == (an_api_key(id=2, used_quota=11),)


@pytest.mark.parametrize("careful", [False, True])
def test_a_list_without_end_is_given_up_at_the_first_key_beyond_the_maximum(careful):
    pages = walk(a_page([100, 99], total=10**9), max_keys=4, careful=careful)
    pages.receive(pages.next_page(), a_page([98, 97], total=10**9))

    with pytest.raises(TooManyKeys, match="more than 4 keys"):
        pages.receive(pages.next_page(), a_page([96], total=10**9))

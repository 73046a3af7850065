"""One page at a time, and back where the total fell."""

import pytest
from pages import a_page, asked_together, ids_of, walk_through

from exporter.cometapi.paging.walks import listing_of, walk
from exporter.cometapi.wire import Page
from exporter.model import Listing


def a_careful_walk(first: Page, *later: tuple[int, Page]) -> Listing:
    """Answer each page asked for, which must be the number beside it, and end there."""
    walked = walk(first, careful=True)
    for number, page in later:
        assert asked_together(walked) == [number]
        walked.receive(number, page)
    assert walked.next_page() is None
    return listing_of(walked)


def test_a_careful_walk_asks_for_one_page_at_a_time_and_can_prove_absence():
    listing = a_careful_walk(
        a_page([4, 3], total=4), (1, a_page([2, 1], total=4)), (2, a_page([], total=4))
    )

    assert (listing.is_complete, listing.changed_while_read) == (True, False)


def test_where_the_total_fell_a_careful_walk_steps_back_a_page_more_than_the_keys_fill():
    """Before page four 8 is deleted: 2 moves onto page three, which is read again, and the one before it."""
    listing = a_careful_walk(
        a_page([8, 7], total=8),
        (1, a_page([6, 5], total=8)),
        (2, a_page([4, 3], total=8)),
        (3, a_page([1], total=7)),
        (1, a_page([5, 4], total=7)),
        (2, a_page([3, 2], total=7)),
        (3, a_page([1], total=7)),
    )

    assert (listing.is_complete, listing.changed_while_read) == (True, True)
    assert ids_of(listing) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_careful_walk_steps_back_to_page_one_at_most():
    """Before page two 4 is deleted: 2 moves onto page one."""
    listing = a_careful_walk(
        a_page([4, 3], total=4),
        (1, a_page([1], total=3)),
        (0, a_page([3, 2], total=3)),
        (1, a_page([1], total=3)),
    )

    assert listing.is_complete
    assert ids_of(listing) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("first", "second", "total"),
    [([4, 3], [2, 1], 5), ([4, 3], [2, 1], None), ([1, 2], [4, 5], 4)],
    ids=[
        "the end is not the total's",
        "a page without a total",
        "the oldest first: creations hide deletions there",
    ],
)
def test_a_careful_walk_proves_nothing_where(first, second, total):
    listing = a_careful_walk(
        a_page(first, total=total or 4),
        (1, a_page(second, total=total)),
        (2, a_page([], total=total or 4)),
    )

    assert not listing.proves_absence
    assert listing.changed_while_read is not False


def test_creations_hide_a_deletion_in_a_list_that_starts_with_the_oldest_key():
    """Before page two 1 is deleted, 5 and 6 are created: 3 moves onto page one, the total grows."""
    listing = a_careful_walk(
        a_page([1, 2], total=4), (1, a_page([4, 5], total=5)), (2, a_page([6], total=5))
    )

    assert not listing.is_complete


def test_a_careful_walk_of_a_list_that_never_stops_falling_goes_on_and_is_incomplete():
    total, read = 1_000, 1
    pages = walk(a_page([2_000, 1_999], total=total), careful=True)
    while (number := pages.next_page()) is not None and read < 5_000:
        read, total = read + 1, total - 1
        pages.receive(
            number,
            a_page([2_000 - 2 * number, 1_999 - 2 * number] if number < 100 else [], total=total),
        )

    assert read <= 1_000 + 10 + 101
    assert not listing_of(pages).is_complete


def test_a_careful_walk_of_one_page_over_and_over_ends_incomplete():
    listing, read = walk_through(a_page([2, 1], total=900), careful=True)

    assert (read, listing.is_complete) == (2, False)

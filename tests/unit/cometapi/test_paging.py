"""Which pages a walk asks for, where it ends, and whether it calls the list whole."""

import pytest
from domain import an_api_key, keys

from exporter.cometapi.paging import Walk, union
from exporter.cometapi.wire import Page
from exporter.errors import TooManyKeys
from exporter.model import Listing


def a_page(ids, *, total: int | None = None, size: int | None = 2, **over) -> Page:
    return Page(keys=keys(*ids), total=total, size=size, **over)


def a_bare_page(ids) -> Page:
    return a_page(ids, size=None, is_bare_list=True)


def asked_together(walk: Walk, most: int = 10) -> list[int]:
    """Return the pages that the walk wants now, before any of them arrives."""
    asked = []
    while len(asked) < most and (number := walk.next_page()) is not None:
        asked.append(number)
    return asked


def walk_through(*pages: Page, **options) -> tuple[Listing, int]:
    """Answer each request with its page, beyond them with the last; return the listing and how many were read."""
    walk, read = Walk(pages[0], **options), 1
    while (number := walk.next_page()) is not None:
        walk.receive(number, pages[min(number, len(pages) - 1)])
        read += 1
        assert read < 100, "the walk does not end"
    return walk.listing(), read


def ids_of(listing: Listing) -> list[int]:
    return sorted(key.id for key in listing.keys)


# A quick walk


@pytest.mark.parametrize(
    ("total", "size", "first", "further"),
    [
        (1, 2, [9], []),
        (2, 2, [9, 8], [1]),
        (4, 2, [9, 8], [1, 2]),
        (5, 2, [9, 8], [1, 2]),
        (6, 2, [9, 8], [1, 2, 3]),
        (9, 100, [9, 8, 7], [1, 2, 3]),
        (9, None, [9, 8, 7], [1, 2, 3]),
        (9, -5, [9, 8, 7], [1, 2, 3]),
    ],
)
def test_page_one_tells_how_many_pages_may_be_asked_for_at_once(total, size, first, further):
    assert asked_together(Walk(a_page(first, total=total, size=size))) == further


@pytest.mark.parametrize(
    ("pages", "total", "size", "read"),
    [
        ([[]], 0, 2, 1),
        ([[1]], 1, 2, 1),
        ([[2, 1], []], 2, 2, 2),
        ([[3, 2], [1]], 3, 2, 2),
        ([[4, 3], [2, 1], []], 4, 2, 3),
        ([[5, 4], [3, 2], [1]], 5, 100, 3),
        ([[5, 4, 3], [2]], 4, 1, 2),
        ([[1, 2], [3, 4], []], 4, 2, 3),
    ],
    ids=[
        "none",
        "a short one",
        "one full",
        "full and short",
        "two full",
        "a size that lies high",
        "a size that lies low",
        "oldest first",
    ],
)
def test_a_quiet_list_is_read_whole_and_one_page_beyond_a_full_one(pages, total, size, read):
    listing, asked = walk_through(*(a_page(ids, total=total, size=size) for ids in pages))

    assert (asked, listing.settled, listing.quiet) == (read, True, True)
    assert listing.verified is (pages[0] != [1, 2])
    assert ids_of(listing) == sorted(key_id for ids in pages for key_id in ids)


@pytest.mark.parametrize(
    ("total", "pages", "read"),
    [
        (0, [[5, 4], [3, 2], [1]], 3),
        (1, [[5, 4], [3, 2], [1]], 3),
        (1_000, [[3, 2], [1], []], 3),
        (900, [[2, 1], [2, 1]], 2),
        (2**70, [[2, 1], []], 2),
        (-1, [[2, 1], []], 2),
        (-(2**70), [[2, 1], []], 2),
    ],
    ids=["zero", "low", "high", "the number is ignored", "huge", "negative", "far below"],
)
def test_a_total_that_lies_hides_no_key_and_settles_nothing(total, pages, read):
    listing, asked = walk_through(*(a_page(ids, total=total) for ids in pages))

    assert (asked, listing.settled) == (read, False)
    assert ids_of(listing) == sorted({key_id for ids in pages for key_id in ids})


def test_an_empty_page_ends_the_walk_though_more_were_planned_and_others_arrive_later():
    walk = Walk(a_page([9, 8], total=8))
    asked = [walk.next_page(), walk.next_page()]
    walk.receive(2, a_page([], total=8))
    walk.receive(1, a_page([7, 6], total=8))

    assert asked == [1, 2]
    assert walk.next_page() is None


def test_beyond_the_plan_the_walk_waits_for_what_is_under_way():
    walk = Walk(a_page([9, 8], total=5))

    assert asked_together(walk) == [1, 2]
    walk.receive(2, a_page([5, 4], total=6))
    assert asked_together(walk) == []
    walk.receive(1, a_page([7, 6], total=6))
    assert asked_together(walk) == [3]


@pytest.mark.parametrize(
    ("pages", "settled"),
    [
        ([([4, 3], 4), ([3, 2], 5), ([1], 5)], True),
        ([([4, 3], 4), ([1], 3)], False),
        ([([4, 3], 4), ([3, 2], 4), ([], 4)], False),
        ([([4, 3], 4), ([2, 1], None), ([], 4)], True),
    ],
    ids=[
        "5 is created: 3 is seen twice",
        "4 is deleted: 2 slides onto page one, unseen",
        "5 is created and 1 deleted: every total is 4, and 3 came twice",
        "a page without a total is no part of a quiet list",
    ],
)
def test_what_changes_between_the_pages_of_a_quick_walk_unquiets_it_and_unsettles_it_where_a_key_may_hide(
    pages, settled
):
    listing, _ = walk_through(*(a_page(ids, total=total) for ids, total in pages))

    assert (listing.settled, listing.quiet) == (settled, False)


# Keys that cannot be read, and too many of them


def test_keys_that_cannot_be_read_count_towards_the_whole_and_end_no_walk():
    listing, asked = walk_through(
        a_page([], total=4, unreadable=(9, 8)),
        a_page([6], total=4, nameless=1),
        a_page([], total=4),
    )

    assert (asked, listing.settled) == (3, True)
    assert (listing.unreadable, listing.nameless, listing.skipped) == (frozenset({8, 9}), 1, 3)


def test_a_nameless_key_among_changes_proves_nothing():
    listing, _ = walk_through(
        a_page([4], total=3, nameless=1), a_page([4, 2], total=3), a_page([], total=4)
    )

    assert not listing.settled


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
    walk = Walk(Page(keys=(an_api_key(id=2, used_quota=10),), total=2, size=1))
    walk.receive(1, Page(keys=(an_api_key(id=2, used_quota=11),), total=2, size=1))

    assert walk.listing().keys == (an_api_key(id=2, used_quota=11),)


@pytest.mark.parametrize("careful", [False, True])
def test_a_list_without_end_is_given_up_at_the_first_key_beyond_the_maximum(careful):
    walk = Walk(a_page([100, 99], total=10**9), max_keys=4, careful=careful)
    walk.receive(walk.next_page(), a_page([98, 97], total=10**9))

    with pytest.raises(TooManyKeys, match="more than 4 keys"):
        walk.receive(walk.next_page(), a_page([96], total=10**9))


# A bare list


@pytest.mark.parametrize(
    ("pages", "read", "settled"),
    [
        ([[]], 1, True),
        ([[1], []], 2, True),
        ([[2, 1], []], 2, True),
        ([[3, 2], [1]], 2, True),
        ([[4, 3], [2, 1], []], 3, True),
        ([[4, 3], [3, 2], [1]], 3, True),
        ([[4, 3], [4, 3]], 2, False),
    ],
    ids=[
        "none",
        "one",
        "one page",
        "a short second",
        "two pages",
        "a key is created",
        "a page repeats",
    ],
)
@pytest.mark.parametrize(
    "page", [a_bare_page, a_page], ids=["bare list", "envelope without a total"]
)
def test_a_list_without_a_total_is_walked_page_by_page_and_never_verified(
    page, pages, read, settled
):
    listing, asked = walk_through(*(page(ids) for ids in pages))

    assert (listing.settled, listing.quiet, listing.verified) == (settled, False, False)
    assert ids_of(listing) == sorted({key_id for ids in pages for key_id in ids})
    if page is a_bare_page:
        assert asked == read


def test_a_bare_list_that_repeats_its_only_key_is_unsettled():
    assert not walk_through(a_bare_page([1]))[0].settled


def test_a_bare_list_is_asked_for_one_page_at_a_time():
    walk = Walk(a_bare_page([5, 4]))
    assert asked_together(walk) == [1]
    walk.receive(1, a_bare_page([3, 2]))

    assert asked_together(walk) == [2]


# A careful walk: one page at a time, and back where the total fell


def a_careful_walk(first: Page, *pages: tuple[int, Page]) -> Listing:
    """Answer each page asked for, which must be the number beside it, and end there."""
    walk = Walk(first, careful=True)
    for number, page in pages:
        assert asked_together(walk) == [number]
        walk.receive(number, page)
    assert walk.next_page() is None
    return walk.listing()


def test_a_careful_walk_asks_for_one_page_at_a_time_and_can_be_quiet():
    listing = a_careful_walk(
        a_page([4, 3], total=4), (1, a_page([2, 1], total=4)), (2, a_page([], total=4))
    )

    assert (listing.settled, listing.quiet, listing.verified) == (True, True, True)


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

    assert (listing.settled, listing.quiet) == (True, False)
    assert ids_of(listing) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_careful_walk_steps_back_to_page_one_at_most():
    """Before page two 4 is deleted: 2 moves onto page one."""
    listing = a_careful_walk(
        a_page([4, 3], total=4),
        (1, a_page([1], total=3)),
        (0, a_page([3, 2], total=3)),
        (1, a_page([1], total=3)),
    )

    assert listing.settled
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

    assert not (listing.settled and listing.verified)


def test_a_careful_walk_of_a_list_that_never_stops_falling_goes_on_and_is_unsettled():
    total, read = 1_000, 1
    walk = Walk(a_page([2_000, 1_999], total=total), careful=True)
    while (number := walk.next_page()) is not None and read < 5_000:
        read, total = read + 1, total - 1
        walk.receive(
            number,
            a_page([2_000 - 2 * number, 1_999 - 2 * number] if number < 100 else [], total=total),
        )

    assert read <= 1_000 + 10 + 101
    assert not walk.listing().settled


def test_a_careful_walk_of_one_page_over_and_over_ends_unsettled():
    listing, read = walk_through(a_page([2, 1], total=900), careful=True)

    assert (read, listing.settled) == (2, False)


def test_a_union_has_every_key_once_by_its_latest_reading():
    joined = union(
        [
            Listing(
                keys=keys(1, 2),
                unreadable=frozenset({3, 4}),
                nameless=7,
                settled=False,
                quiet=False,
            ),
            Listing(
                keys=(an_api_key(id=2, used_quota=6), *keys(3)),
                unreadable=frozenset({5}),
                nameless=2,
                settled=False,
                quiet=False,
                verified=False,
            ),
        ]
    )

    assert joined.keys == (*keys(1), an_api_key(id=2, used_quota=6), *keys(3))
    assert joined.unreadable == frozenset({4, 5})
    assert (joined.nameless, joined.settled, joined.verified) == (2, False, False)

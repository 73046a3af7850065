"""Which pages a walk asks for, where it ends, and whether it calls the list whole."""

import pytest

from exporter.cometapi.paging import Walk, union
from exporter.cometapi.wire import Page
from exporter.errors import InvalidResponse, TooManyKeys
from exporter.model import ApiKey, Listing


def a_key(key_id: int, *, used: int = 0) -> ApiKey:
    return ApiKey(
        id=key_id,
        name="",
        group="",
        status=1,
        remaining_quota=1,
        used_quota=used,
        expires_at=None,
        created_at=None,
        last_used_at=None,
        has_model_limits=False,
        has_ip_allowlist=False,
        has_cross_group_retry=False,
    )


def a_page(ids, *, total: int | None = None, size: int | None = 2, **over) -> Page:
    return Page(keys=tuple(a_key(key_id) for key_id in ids), total=total, size=size, **over)


def a_bare_page(ids) -> Page:
    return a_page(ids, size=None, is_bare_list=True)


def asked_together(walk: Walk, most: int = 10) -> list[int]:
    """Return the pages that the walk wants now, before any of them arrives."""
    asked = []
    while len(asked) < most and (number := walk.next_page()) is not None:
        asked.append(number)
    return asked


def walk_through(*pages: Page, **options) -> tuple[Walk, int]:
    """Answer each request with the next of *pages*, after them with the last; return the walk and how many it read."""
    walk, read = Walk(**options), 0
    while (number := walk.next_page()) is not None:
        walk.receive(number, pages[min(number, len(pages) - 1)])
        read += 1
    return walk, read


def ids_of(listing: Listing) -> list[int]:
    return sorted(key.id for key in listing.keys)


def test_only_page_one_is_asked_for_before_it_has_come():
    assert asked_together(Walk()) == [0]


@pytest.mark.parametrize(
    ("total", "first", "further"),
    [
        (0, [], []),
        (1, [9], []),
        (2, [9, 8], [1]),
        (3, [9, 8], [1]),
        (4, [9, 8], [1, 2]),
        (5, [9, 8], [1, 2]),
        (6, [9, 8], [1, 2, 3]),
    ],
)
def test_the_total_tells_how_many_pages_may_be_asked_for_at_once(total, first, further):
    walk = Walk()
    walk.receive(walk.next_page(), a_page(first, total=total))

    assert asked_together(walk) == further


@pytest.mark.parametrize(
    ("pages", "read"),
    [
        ([a_page([], total=0)], 1),
        ([a_page([1], total=1)], 1),
        ([a_page([2, 1], total=2), a_page([], total=2)], 2),
        ([a_page([3, 2], total=3), a_page([1], total=3)], 2),
        ([a_page([4, 3], total=4), a_page([2, 1], total=4), a_page([], total=4)], 3),
    ],
    ids=["none", "a short one", "one full", "full and short", "two full"],
)
def test_a_quiet_list_is_read_whole_and_one_page_beyond_a_full_one(pages, read):
    walk, asked = walk_through(*pages)

    assert asked == read
    assert walk.listing().settled
    assert ids_of(walk.listing()) == sorted(key.id for page in pages for key in page.keys)


def test_a_total_of_zero_beside_items_ends_nothing_and_settles_nothing():
    walk, asked = walk_through(a_page([5, 4], total=0), a_page([3, 2], total=0), a_page([1], total=0))

    assert asked == 3
    assert ids_of(walk.listing()) == [1, 2, 3, 4, 5]
    assert not walk.listing().settled


def test_a_total_that_lies_low_ends_nothing():
    walk, asked = walk_through(a_page([5, 4], total=1), a_page([3, 2], total=1), a_page([1], total=1))

    assert asked == 3
    assert ids_of(walk.listing()) == [1, 2, 3, 4, 5]
    assert not walk.listing().settled


def test_a_total_that_lies_high_ends_with_the_first_empty_page():
    walk, asked = walk_through(a_page([3, 2], total=1_000), a_page([1], total=1_000), a_page([], total=1_000))

    assert asked == 3
    assert not walk.listing().settled


@pytest.mark.parametrize("total", [2**70, -1, -(2**70)])
def test_an_absurd_total_does_no_harm(total):
    walk, asked = walk_through(a_page([2, 1], total=total), a_page([], total=total))

    assert asked == 2
    assert not walk.listing().settled


def test_a_gateway_that_ignores_the_page_number_is_asked_twice():
    walk, asked = walk_through(a_page([2, 1], total=900))

    assert asked == 2
    assert not walk.listing().settled


def test_a_smaller_size_than_asked_for_is_the_one_that_counts():
    walk = Walk()
    walk.receive(walk.next_page(), a_page([9, 8, 7], total=9, size=3))

    assert asked_together(walk) == [1, 2, 3]


@pytest.mark.parametrize("size", [None, 0, -5])
def test_without_a_size_the_first_page_is_the_measure(size):
    walk = Walk()
    walk.receive(walk.next_page(), a_page([9, 8, 7], total=9, size=size))

    assert asked_together(walk) == [1, 2, 3]


def test_a_size_that_lies_high_does_not_end_the_walk_early():
    walk, asked = walk_through(
        a_page([5, 4], total=5, size=100), a_page([3, 2], total=5, size=100), a_page([1], total=5, size=100)
    )

    assert asked == 3
    assert walk.listing().settled
    assert ids_of(walk.listing()) == [1, 2, 3, 4, 5]


def test_a_size_that_lies_low_asks_for_no_page_too_many():
    walk, asked = walk_through(a_page([5, 4, 3], total=4, size=1), a_page([2], total=4, size=1))

    assert asked == 2
    assert walk.listing().settled


def test_an_empty_page_ends_the_walk_though_more_were_planned():
    walk = Walk()
    walk.receive(walk.next_page(), a_page([9, 8], total=8))
    asked = [walk.next_page(), walk.next_page()]
    walk.receive(2, a_page([], total=8))

    assert asked == [1, 2]
    assert walk.next_page() is None


def test_beyond_the_plan_the_walk_waits_for_what_is_under_way():
    walk = Walk()
    walk.receive(walk.next_page(), a_page([9, 8], total=3))

    assert asked_together(walk) == [1]
    walk.receive(1, a_page([7, 6], total=3))
    assert asked_together(walk) == [2]


@pytest.mark.parametrize("careful", [False, True])
def test_a_list_without_end_is_given_up_at_the_first_page_beyond_the_maximum(careful):
    walk = Walk(max_keys=5, careful=careful)
    for number in range(2):
        walk.receive(walk.next_page(), a_page([100 - 2 * number, 99 - 2 * number], total=10**9))

    with pytest.raises(TooManyKeys, match="more than 5 keys"):
        walk.receive(walk.next_page(), a_page([96, 95], total=10**9))


def test_the_maximum_itself_is_allowed():
    walk, _ = walk_through(a_page([4, 3], total=4), a_page([2, 1], total=4), a_page([], total=4), max_keys=4)

    assert walk.listing().settled


def test_a_key_created_meanwhile_is_seen_twice_and_unsettles_nothing():
    """Before page two key 5 is created: 3 moves onto page two, and 1 beyond what was planned."""
    walk, _ = walk_through(a_page([4, 3], total=4), a_page([3, 2], total=5), a_page([1], total=5))

    assert ids_of(walk.listing()) == [1, 2, 3, 4]
    assert (walk.listing().settled, walk.listing().quiet) == (True, False)


def test_a_key_deleted_meanwhile_hides_one_and_unsettles():
    """Before page two key 4 is deleted: 2 slides onto page one, unseen."""
    walk, _ = walk_through(a_page([4, 3], total=4), a_page([1], total=3))

    assert not walk.listing().settled


def test_one_made_and_one_deleted_keep_the_total_and_still_unsettle():
    """Before page two 5 is made and 1 deleted: every total is 4, and 3 came twice."""
    walk, _ = walk_through(a_page([4, 3], total=4), a_page([3, 2], total=4), a_page([], total=4))

    assert not walk.listing().settled


def test_an_old_key_missing_behind_newer_ones_unsettles():
    """Page three is read first; then 3 is deleted, 5 and 4 are made and 1 is deleted: key 2 is on no page read."""
    walk = Walk()
    walk.receive(walk.next_page(), a_page([3], total=3, size=1))
    assert asked_together(walk, 3) == [1, 2, 3]
    walk.receive(2, a_page([1], total=3, size=1))
    walk.receive(1, a_page([4], total=3, size=1))
    walk.receive(3, a_page([], total=3, size=1))

    assert not walk.listing().settled


def test_a_gateway_that_lists_the_oldest_first_can_settle():
    walk, _ = walk_through(a_page([1, 2], total=4), a_page([3, 4], total=4), a_page([], total=4))

    assert walk.listing().settled


def test_pages_may_arrive_in_any_order():
    walk = Walk()
    walk.receive(walk.next_page(), a_page([6, 5], total=6))
    assert asked_together(walk) == [1, 2, 3]
    for number, ids in ((3, []), (2, [2, 1]), (1, [4, 3])):
        walk.receive(number, a_page(ids, total=6))

    assert walk.next_page() is None
    assert walk.listing().settled
    assert ids_of(walk.listing()) == [1, 2, 3, 4, 5, 6]


def test_keys_that_cannot_be_read_count_towards_the_whole():
    walk, _ = walk_through(a_page([9], total=4, unreadable=(8,)), a_page([6], total=4, nameless=1), a_page([], total=4))
    listing = walk.listing()

    assert listing.settled
    assert (listing.unreadable, listing.nameless, listing.skipped) == (frozenset({8}), 1, 2)


def test_a_page_of_unreadable_keys_does_not_end_the_walk():
    walk, asked = walk_through(
        a_page([], total=3, unreadable=(9, 8)), a_page([], total=3, nameless=1), a_page([], total=3)
    )

    assert asked == 2
    assert walk.listing().settled


def test_a_key_that_was_read_once_is_not_called_unreadable():
    walk, _ = walk_through(a_page([9, 8], total=3), a_page([], total=3, unreadable=(8,)))

    assert walk.listing().unreadable == frozenset()
    assert ids_of(walk.listing()) == [8, 9]


def test_of_a_key_seen_twice_the_later_reading_counts():
    walk = Walk()
    walk.receive(0, Page(keys=(a_key(2, used=10),), total=2, size=1))
    walk.receive(1, Page(keys=(a_key(2, used=11),), total=2, size=1))

    assert walk.listing().keys == (a_key(2, used=11),)


def test_a_bare_list_is_walked_page_by_page():
    walk = Walk()
    for number, ids in enumerate(([5, 4], [3, 2])):
        assert asked_together(walk) == [number]
        walk.receive(number, a_bare_page(ids))
    assert asked_together(walk) == [2]
    walk.receive(2, a_bare_page([1]))

    assert asked_together(walk) == []
    assert ids_of(walk.listing()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("pages", "read"),
    [([[]], 1), ([[1], []], 2), ([[2, 1], []], 2), ([[3, 2], [1]], 2), ([[4, 3], [2, 1], []], 3)],
    ids=["none", "one", "one page", "a short second", "two pages"],
)
def test_a_quiet_bare_list_settles_but_is_not_verified(pages, read):
    walk, asked = walk_through(*(a_bare_page(ids) for ids in pages))

    assert asked == read
    assert walk.is_bare_list
    assert (walk.listing().settled, walk.listing().verified) == (True, False)


def test_null_after_the_last_page_of_a_bare_list_ends_it():
    walk, asked = walk_through(a_bare_page([2, 1]), a_page([], size=None, is_bare_list=True, is_null=True))

    assert asked == 2
    assert walk.listing().settled
    assert ids_of(walk.listing()) == [1, 2]


def test_null_instead_of_the_first_page_is_no_empty_account():
    walk, asked = walk_through(a_page([], size=None, is_bare_list=True, is_null=True))

    assert (asked, walk.is_bare_list) == (1, True)
    with pytest.raises(InvalidResponse, match="got null"):
        walk.listing()


def test_a_key_created_meanwhile_unsettles_no_bare_list():
    walk, _ = walk_through(a_bare_page([4, 3]), a_bare_page([3, 2]), a_bare_page([1]))

    assert ids_of(walk.listing()) == [1, 2, 3, 4]
    assert (walk.listing().settled, walk.listing().verified) == (True, False)


def test_a_bare_list_that_repeats_its_page_ends_unsettled():
    walk, asked = walk_through(a_bare_page([4, 3]))

    assert asked == 2
    assert not walk.listing().settled


def test_an_envelope_without_a_total_is_judged_as_a_bare_list_is():
    walk, _ = walk_through(a_page([3, 2]), a_page([1]))

    assert (walk.listing().settled, walk.listing().verified) == (True, False)


def test_a_total_makes_a_listing_verified():
    walk, _ = walk_through(a_page([1], total=1))

    assert walk.listing().verified


@pytest.mark.parametrize("careful", [False, True])
def test_a_page_without_a_total_is_no_part_of_a_quiet_list(careful):
    pages = (a_page([4, 3], total=4), a_bare_page([2, 1]), a_page([], total=4))
    walk, _ = walk_through(*pages, careful=careful)

    assert (walk.listing().settled, walk.listing().quiet) == (not careful, False)


# A careful walk: one page at a time, and back where the total fell


def a_careful_walk(*pages: tuple[int, Page]) -> Walk:
    """Answer each page asked for, which must be the number beside it, and end there."""
    walk = Walk(careful=True)
    for number, page in pages:
        assert walk.next_page() == number
        assert walk.next_page() is None
        walk.receive(number, page)
    return walk


def test_a_careful_walk_asks_for_one_page_at_a_time_and_can_be_quiet():
    walk = a_careful_walk((0, a_page([4, 3], total=4)), (1, a_page([2, 1], total=4)), (2, a_page([], total=4)))

    assert walk.next_page() is None
    assert (walk.listing().settled, walk.listing().quiet) == (True, True)


def test_where_the_total_fell_a_careful_walk_steps_back_a_page_more_than_the_keys_fill():
    """Before page four 8 is deleted: 2 moves onto page three, which is read again, and the one before it."""
    walk = a_careful_walk(
        (0, a_page([8, 7], total=8)),
        (1, a_page([6, 5], total=8)),
        (2, a_page([4, 3], total=8)),
        (3, a_page([1], total=7)),
        (1, a_page([5, 4], total=7)),
        (2, a_page([3, 2], total=7)),
        (3, a_page([1], total=7)),
    )

    assert walk.next_page() is None
    assert (walk.listing().settled, walk.listing().quiet) == (True, False)
    assert ids_of(walk.listing()) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_careful_walk_whose_last_page_is_not_the_total_s_end_is_unsettled():
    walk = a_careful_walk((0, a_page([4, 3], total=5)), (1, a_page([2, 1], total=5)), (2, a_page([], total=5)))

    assert walk.next_page() is None
    assert not walk.listing().settled


def test_a_careful_walk_of_a_list_that_never_stops_falling_goes_on_and_is_unsettled():
    walk, read, total = Walk(careful=True), 0, 1_000
    while (number := walk.next_page()) is not None and read < 5_000:
        walk.receive(number, a_page([2_000 - 2 * number, 1_999 - 2 * number] if number < 100 else [], total=total))
        read, total = read + 1, total - 1

    assert read <= 1_000 + 10 + 101
    assert not walk.listing().settled


def test_a_careful_walk_of_one_page_over_and_over_ends_unsettled():
    walk, read = walk_through(a_page([2, 1], total=900), careful=True)

    assert read == 2
    assert not walk.listing().settled


def test_a_list_with_the_oldest_first_proves_nothing_by_a_careful_walk():
    """Creations hide deletions there: 1 is deleted and 5 created, so that 3 is on no page read."""
    walk = a_careful_walk((0, a_page([1, 2], total=4)), (1, a_page([4, 5], total=4)), (2, a_page([], total=4)))

    assert not walk.listing().verified


def test_a_union_has_every_key_once_by_its_latest_reading():
    joined = union(
        [
            Listing(keys=(a_key(1, used=5), a_key(2, used=5)), unreadable=frozenset({3, 4}), nameless=7, settled=False),
            Listing(keys=(a_key(2, used=6), a_key(3, used=6)), unreadable=frozenset({5}), nameless=2, settled=False),
        ]
    )

    assert joined.keys == (a_key(1, used=5), a_key(2, used=6), a_key(3, used=6))
    assert joined.unreadable == frozenset({4, 5})
    assert joined.nameless == 2
    assert (joined.settled, joined.verified) == (False, True)


def test_a_union_of_unverified_listings_is_unverified():
    assert not union([Listing(keys=(), settled=False, verified=False)]).verified

"""Which pages a quick walk asks for at once, where it ends, and when it is complete."""

import pytest
from pages import a_bare_page, a_page, asked_together, ids_of, walk_through

from exporter.cometapi.paging.walks import walk


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
    assert asked_together(walk(a_page(first, total=total, size=size))) == further


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

    is_newest_first = pages[0] != [1, 2]
    assert (asked, listing.is_complete) == (read, True)
    assert listing.changed_while_read is (False if is_newest_first else None)
    assert listing.proves_absence is is_newest_first
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
def test_a_total_that_lies_hides_no_key_and_leaves_the_listing_incomplete(total, pages, read):
    listing, asked = walk_through(*(a_page(ids, total=total) for ids in pages))

    assert (asked, listing.is_complete) == (read, False)
    assert ids_of(listing) == sorted({key_id for ids in pages for key_id in ids})


def test_an_empty_page_ends_the_walk_though_more_were_planned_and_others_arrive_later():
    pages = walk(a_page([9, 8], total=8))
    asked = [pages.next_page(), pages.next_page()]
    pages.receive(2, a_page([], total=8))
    pages.receive(1, a_page([7, 6], total=8))

    assert asked == [1, 2]
    assert pages.next_page() is None


def test_beyond_the_plan_the_walk_waits_for_what_is_under_way():
    pages = walk(a_page([9, 8], total=5))

    assert asked_together(pages) == [1, 2]
    pages.receive(2, a_page([5, 4], total=6))
    assert asked_together(pages) == []
    pages.receive(1, a_page([7, 6], total=6))
    assert asked_together(pages) == [3]


@pytest.mark.parametrize(
    ("pages", "is_complete"),
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
        "a page without a total",
    ],
)
def test_a_quick_walk_under_change_is_complete_where_no_key_can_hide(pages, is_complete):
    listing, _ = walk_through(*(a_page(ids, total=total) for ids, total in pages))

    assert (listing.is_complete, listing.changed_while_read) == (is_complete, True)


def test_no_further_page_is_read_for_a_key_newer_than_page_one():
    """5 is created: its total is never reached, but each of page one's four keys came."""
    _, read = walk_through(a_page([4, 3], total=4), a_page([3, 2], total=5), a_page([1], total=5))

    assert read == 3


# A list without a total


@pytest.mark.parametrize(
    ("pages", "read", "is_complete"),
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
def test_a_list_without_a_total_is_walked_page_by_page_and_never_proves_absence(
    page, pages, read, is_complete
):
    listing, asked = walk_through(*(page(ids) for ids in pages))

    assert (listing.is_complete, listing.changed_while_read) == (is_complete, None)
    assert not listing.proves_absence
    assert ids_of(listing) == sorted({key_id for ids in pages for key_id in ids})
    if page is a_bare_page:
        assert asked == read


def test_a_bare_list_that_repeats_its_only_key_is_incomplete():
    assert not walk_through(a_bare_page([1]))[0].is_complete


def test_a_bare_list_is_asked_for_one_page_at_a_time():
    pages = walk(a_bare_page([5, 4]))
    assert asked_together(pages) == [1]
    pages.receive(1, a_bare_page([3, 2]))

    assert asked_together(pages) == [2]

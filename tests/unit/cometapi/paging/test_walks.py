"""Which walk a list gets, and what several listings that prove nothing have in common."""

from domain import an_api_key, keys
from pages import a_bare_page, a_page, asked_together

from exporter.cometapi.paging.walks import union, walk
from exporter.model import Listing


def test_a_careful_walk_asks_for_one_page_where_a_quick_one_asks_for_all():
    first = a_page([6, 5], total=6)

    assert asked_together(walk(first)) == [1, 2, 3]
    assert asked_together(walk(first, careful=True)) == [1]


def test_without_a_total_a_careful_walk_is_a_quick_one():
    """A careful walk follows the total, and would call this list, which ends here, incomplete."""
    walked = walk(a_bare_page([2, 1]), careful=True)
    walked.receive(walked.next_page(), a_bare_page([]))

    assert walked.is_complete()


def test_a_union_has_every_key_once_by_its_latest_reading():
    joined = union(
        [
            Listing(
                keys=keys(1, 2),
                unreadable=frozenset({3, 4}),
                nameless=7,
                is_complete=False,
                changed_while_read=True,
            ),
            Listing(
                keys=(an_api_key(id=2, used_quota=6), *keys(3)),
                unreadable=frozenset({5}),
                nameless=2,
                is_complete=False,
                changed_while_read=None,
            ),
        ]
    )

    assert joined.keys == (*keys(1), an_api_key(id=2, used_quota=6), *keys(3))
    assert joined.unreadable == frozenset({4, 5})
    assert (joined.nameless, joined.is_complete, joined.proves_absence) == (2, False, False)

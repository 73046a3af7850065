"""Whatever happens to a list while it is read page by page, a listing called complete is complete.

The gateway is simulated purely: it pages by offset, newest key first. Between any two pages keys
may be created (with a new highest id) or deleted (any); a page's total and items are of one moment.
Pages are rendered and arrive in any order, as they do when several are asked for at the same time.
Each decision comes out of one drawn list of numbers, so that a failure shrinks well.
"""

from collections.abc import Iterator

from domain import keys
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.cometapi.paging.walks import Walk, listing_of, walk
from exporter.cometapi.wire import Page
from exporter.model import Listing

QUICK = settings(database=None, deadline=None, max_examples=400)


class PurePages:
    """The list of one account, and the ids that have been there all along."""

    def __init__(self, ids: set[int], size: int) -> None:
        self.ids = set(ids)
        self.stayed = set(ids)
        self.size = size
        self.newest = max(ids, default=0)

    def create(self) -> None:
        self.newest += 1
        self.ids.add(self.newest)

    def delete(self, choice: int) -> None:
        if self.ids:
            victim = sorted(self.ids)[choice % len(self.ids)]
            self.ids.remove(victim)
            self.stayed.discard(victim)

    def render(self, number: int, *, total: int | None = None, is_bare_list: bool = False) -> Page:
        shown = keys(*sorted(self.ids, reverse=True)[number * self.size :][: self.size])
        if is_bare_list:
            return Page(keys=shown, is_bare_list=True)
        return Page(keys=shown, total=len(self.ids) if total is None else total, size=self.size)


def read(
    gateway: PurePages,
    decisions: list[int],
    *,
    at_once: int = 1,
    changes: str = "CD",
    careful: bool = False,
) -> Listing:
    """Walk the whole list; *decisions* say what happens between, and where they run out the rest is quiet.

    *changes* may be creations (C), deletions (D), both or none.
    """
    pages = walk(gateway.render(0), careful=careful)
    asked: list[int] = []
    rendered: list[tuple[int, Page]] = []
    left = iter(decisions)
    for _ in range(2_000):
        while len(asked) + len(rendered) < at_once and (number := pages.next_page()) is not None:
            asked.append(number)
        if not asked and not rendered:
            return listing_of(pages)
        _step(gateway, pages, asked, rendered, left, changes=changes)
    raise AssertionError("the walk does not end")


def _step(
    gateway: PurePages,
    pages: Walk,
    asked: list[int],
    rendered: list[tuple[int, Page]],
    left: Iterator[int],
    *,
    changes: str,
) -> None:
    """Let one thing happen: a change, a page rendered, or a page arriving."""
    what, choice = next(left, 2), next(left, 0)
    if "C" in changes and what == 0:
        gateway.create()
    elif "D" in changes and what == 1:
        gateway.delete(choice)
    elif asked and (what % 2 == 0 or not rendered):
        number = asked.pop(choice % len(asked))
        rendered.append((number, gateway.render(number)))
    elif rendered:
        pages.receive(*rendered.pop(choice % len(rendered)))


IDS = st.sets(st.integers(1, 40), max_size=14)
SIZES = st.integers(1, 5)
AT_ONCE = st.integers(1, 5)
DECISIONS = st.lists(st.integers(0, 5), max_size=80)


# Page three first, then the newest deleted, two made and the oldest deleted: key 2 lives on, and is
# on no page read.
@example(ids={1, 2, 3}, size=1, at_once=3, decisions=[2, 0, 3, 0, 2, 1, 1, 2, 0, 0, 0, 0, 1, 0])
@given(ids=IDS, size=SIZES, at_once=AT_ONCE, decisions=DECISIONS)
@QUICK
def test_a_complete_listing_misses_no_key_that_was_there_all_along(ids, size, at_once, decisions):
    gateway = PurePages(ids, size)
    listing = read(gateway, decisions, at_once=at_once)
    found = [key.id for key in listing.keys]

    assert len(found) == len(set(found))
    if listing.is_complete:
        assert gateway.stayed <= set(found)


@given(ids=IDS, size=SIZES, at_once=AT_ONCE, decisions=DECISIONS)
@QUICK
def test_a_quiet_list_is_always_complete_and_exact(ids, size, at_once, decisions):
    listing = read(PurePages(ids, size), decisions, at_once=at_once, changes="")

    assert listing.is_complete
    assert listing.changed_while_read is False
    assert sorted(key.id for key in listing.keys) == sorted(ids)


@given(ids=IDS, size=SIZES, decisions=DECISIONS)
@QUICK
def test_a_complete_careful_walk_misses_no_key_that_was_there_all_along(ids, size, decisions):
    gateway = PurePages(ids, size)
    listing = read(gateway, decisions, careful=True)

    if listing.is_complete:
        assert gateway.stayed <= {key.id for key in listing.keys}


@given(ids=IDS, size=SIZES, decisions=DECISIONS)
@QUICK
def test_creations_alone_leave_a_careful_walk_complete(ids, size, decisions):
    gateway = PurePages(ids, size)
    listing = read(gateway, decisions, changes="C", careful=True)

    assert gateway.stayed <= {key.id for key in listing.keys}
    assert listing.is_complete


@given(ids=IDS, size=SIZES, totals=st.lists(st.integers(-3, 60) | st.just(2**70), max_size=20))
@QUICK
def test_no_lie_about_the_total_hides_a_key_of_a_quiet_list(ids, size, totals):
    gateway, lies = PurePages(ids, size), iter(totals)
    pages = walk(gateway.render(0, total=next(lies, None)))
    for _ in range(100):
        if (number := pages.next_page()) is None:
            break
        pages.receive(number, gateway.render(number, total=next(lies, None)))

    assert pages.next_page() is None
    assert {key.id for key in listing_of(pages).keys} == ids


@given(ids=IDS, size=SIZES)
@QUICK
def test_a_quiet_bare_list_is_exact(ids, size):
    gateway = PurePages(ids, size)
    pages = walk(gateway.render(0, is_bare_list=True))
    for _ in range(60):
        if (number := pages.next_page()) is None:
            break
        pages.receive(number, gateway.render(number, is_bare_list=True))

    assert listing_of(pages).is_complete
    assert sorted(key.id for key in listing_of(pages).keys) == sorted(ids)

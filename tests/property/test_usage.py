"""Whatever the order of readings, flushes and restarts of the gateway: counters never fall, and end at what was booked.

The gateway is simulated purely: bookings wait in memory until they are flushed into the sums of
their hour, also by a restart. A restored backup takes back what was flushed since.
"""

import copy
from typing import Any

from books import Books
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import UsageRow
from exporter.refresh.usage import HOUR, Ledger

QUICK = settings(database=None, deadline=None, max_examples=200)
START = 1_000 * HOUR + 1_234
BOOK, FLUSH, READ, WAIT, RESTORE = range(5)
STEPS = st.lists(st.tuples(st.integers(BOOK, RESTORE), st.integers(1, 4)), max_size=60)


def as_read(row: dict[str, Any]) -> UsageRow:
    return UsageRow(
        model=row["model_name"], quota=row["quota"], tokens=row["token_used"], requests=row["count"]
    )


def read(ledger: Ledger, books: Books, now: float) -> dict[str, int]:
    readings = [(span, [as_read(row) for row in books.by_hour(*span)]) for span in ledger.due(now)]
    usage = ledger.record(readings, now)
    return {row.model: row.quota for row in usage.rows}


def fell(before: dict[str, int], after: dict[str, int]) -> bool:
    return any(after.get(model, 0) < amount for model, amount in before.items())


@given(steps=STEPS)
@QUICK
def test_counters_never_fall_and_equal_the_books_once_all_is_quiet(steps):
    """While time goes on, what waits is flushed every five minutes, as real gateways do."""
    books, ledger, now, known = Books(), Ledger(max_series=10), START, {}
    for what, amount in steps:
        if what == BOOK:
            books.book(now, f"model-{amount % 2}", amount)
        elif what == READ:
            after = read(ledger, books, now)
            assert not fell(known, after)
            known = after
        else:
            now += 300 * amount if what == WAIT else 0
            books.flush()
    books.flush()
    read(ledger, books, now)

    assert read(ledger, books, now) == books.booked


@given(steps=STEPS, jumps=st.lists(st.integers(-30, 30), max_size=60))
@QUICK
def test_backups_and_clocks_that_jump_make_no_counter_fall_and_count_nothing_twice(steps, jumps):
    books, ledger, now, known = Books(), Ledger(max_series=10), START, {}
    backup, hops = copy.deepcopy(books.sums), iter(jumps)
    for what, amount in steps:
        if what == BOOK:
            books.book(now, f"model-{amount % 2}", amount)
        elif what == READ:
            after = read(ledger, books, now + next(hops, 0) * HOUR)
            assert not fell(known, after)
            known = after
        elif what == WAIT:
            now += 600 * amount
            backup = copy.deepcopy(books.sums)
        elif what == RESTORE:
            books.sums = copy.deepcopy(backup)
        else:
            books.flush()

    assert not fell(known, books.booked)

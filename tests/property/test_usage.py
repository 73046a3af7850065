"""Whatever the order of readings, flushes and restarts of the gateway: usage is counted once.

The gateway is simulated purely: bookings wait in memory until they are flushed into the sums of
their hour, also by a restart. A restored backup takes back what was flushed since.
"""

import copy
from dataclasses import dataclass, field

from books import Books
from domain import an_api_key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.model import Amounts, ApiKey, Series, Usage
from exporter.refresh.usage import HOUR, Ledger

THOROUGH = settings(database=None, deadline=None, max_examples=400)
START = 1_000 * HOUR + 1_234
BOOK, FLUSH, READ, WAIT, RESTORE, JUMP, RENAME = range(7)

# How far a clock is set: minutes, hours, days and decades, forth and back.
JUMPS = (
    st.integers(-30, 30).map(lambda hours: hours * HOUR)
    | st.sampled_from([-600, 600, HOUR - 1, 40 * 24 * HOUR, -40 * 24 * HOUR])
    | st.sampled_from([12 * 365 * 24 * HOUR, -100 * 24 * HOUR])
)


def steps(*kinds: int) -> st.SearchStrategy:
    """Give steps of these kinds, each with a small amount and a jump that it may use."""
    return st.lists(st.tuples(st.sampled_from(kinds), st.integers(1, 4), JUMPS), max_size=60)


@dataclass
class Scraper:
    """What a scraper makes of the counters: it adds up their growth, and a fall is a reset to 0."""

    last: dict[tuple[str, str], int] = field(default_factory=dict)
    increase: int = 0

    def scrape(self, usage: Usage) -> None:
        seen = {(row.model, row.key_name): row.quota for row in usage.rows}
        assert len(seen) == len(usage.rows)
        for series, quota in seen.items():
            before = self.last.get(series, 0)
            self.increase += quota - before if quota >= before else quota
        self.last |= seen


def read(ledger: Ledger, books: Books, now: float, keys: dict[int, ApiKey] | None = None) -> Usage:
    readings = []
    for span in ledger.due(now):
        sums: dict[Series, Amounts] = {}
        rows = books.by_hour(*span) if keys is None else books.by_key(*span)
        for row in rows:
            key_id = 0 if keys is None else row["token_id"]
            series = Series(model=row["model_name"], key_id=key_id)
            amounts = Amounts(quota=row["quota"], tokens=row["token_used"], requests=1)
            sums[series] = sums.get(series, Amounts()).plus(amounts)
        readings.append((span, sums))
    return ledger.record(readings, now, keys)


@given(steps=steps(BOOK, FLUSH, READ, WAIT))
@THOROUGH
def test_counters_end_at_what_was_booked_since_the_first_reading(steps):
    """While time goes on, what waits is flushed every five minutes, as real gateways do."""
    books = Books()
    ledger = Ledger(max_series=10)
    now = START
    read(ledger, books, now)
    known: dict[str, int] = {}
    for what, amount, _ in steps:
        if what == BOOK:
            books.book(now, f"model-{amount % 2}", amount)
        elif what == READ:
            after = {row.model: row.quota for row in read(ledger, books, now).rows}
            assert all(after[model] >= quota for model, quota in known.items())
            known = after
        elif what == WAIT:
            now += 300 * amount
            books.flush()
        else:
            books.flush()
    books.flush()
    read(ledger, books, now)

    assert {row.model: row.quota for row in read(ledger, books, now).rows} == books.booked


@given(steps=steps(BOOK, FLUSH, READ, WAIT), max_series=st.integers(1, 3))
@THOROUGH
def test_a_scraper_sees_all_growth_however_many_series_are_folded(steps, max_series):
    books = Books()
    ledger = Ledger(max_series=max_series)
    scraper = Scraper()
    now = START
    scraper.scrape(read(ledger, books, now))
    for what, amount, _ in steps:
        if what == BOOK:
            books.book(now, f"model-{amount}", amount)
        elif what == READ:
            usage = read(ledger, books, now)
            assert len(usage.rows) <= max_series + 1
            scraper.scrape(usage)
        else:
            now += 300 * amount if what == WAIT else 0
            books.flush()
    books.flush()
    scraper.scrape(read(ledger, books, now))
    scraper.scrape(read(ledger, books, now))

    assert scraper.increase == sum(books.booked.values())


@given(
    steps=steps(BOOK, FLUSH, READ, WAIT, RESTORE, JUMP),
    max_series=st.integers(1, 3),
    booked_before=st.integers(0, 3),
)
# A clock that goes an hour ahead, an hour back and is right again.
@example(
    steps=[
        (BOOK, 1, 0),
        (FLUSH, 1, 0),
        (READ, 1, 0),
        (JUMP, 1, HOUR),
        (READ, 1, 0),
        (JUMP, 1, -HOUR),
        (READ, 1, 0),
        (JUMP, 1, 0),
        (READ, 1, 0),
        (READ, 1, 0),
    ],
    max_series=3,
    booked_before=0,
)
@THOROUGH
def test_backups_and_clocks_that_jump_count_nothing_twice(steps, max_series, booked_before):
    """What a scraper adds up is never more than what was booked since the first reading."""
    books = Books()
    books.book(START, "before", booked_before)
    books.flush()
    books.booked.clear()
    ledger = Ledger(max_series=max_series)
    scraper = Scraper()
    now = START
    jump = 0
    backup = copy.deepcopy(books.sums)
    scraper.scrape(read(ledger, books, now))
    for what, amount, seconds in steps:
        if what == BOOK:
            books.book(now, f"model-{amount}", amount)
        elif what == READ:
            scraper.scrape(read(ledger, books, now + jump))
        elif what == JUMP:
            jump = seconds
        elif what == WAIT:
            now += 600 * amount
            backup = copy.deepcopy(books.sums)
        elif what == RESTORE:
            books.sums = copy.deepcopy(backup)
        else:
            books.flush()
        assert scraper.increase <= sum(books.booked.values())


@given(steps=steps(BOOK, FLUSH, READ, WAIT, RENAME), max_series=st.integers(1, 20))
@THOROUGH
def test_a_scraper_sees_all_growth_of_keys_that_are_renamed(steps, max_series):
    """At any moment all series of a key have its name as listed."""
    books = Books()
    ledger = Ledger(max_series=max_series)
    scraper = Scraper()
    now = START
    keys = {id_: an_api_key(id=id_, name=f"key {id_}") for id_ in (1, 2)}
    scraper.scrape(read(ledger, books, now, keys))
    for number, (what, amount, _) in enumerate(steps):
        key_id = 1 + number % 2
        if what == BOOK:
            books.book(now, f"model-{amount}", amount, key_id=key_id)
        elif what == READ:
            scraper.scrape(read(ledger, books, now, keys))
        elif what == RENAME:
            keys[key_id] = an_api_key(id=key_id, name=f"name {number}")
            usage = ledger.relabel(keys)
            if amount > 2:
                usage = read(ledger, books, now, keys)
            names = {row.key_id: row.key_name for row in usage.rows if row.key_id}
            assert all(keys[id_].name == name for id_, name in names.items())
            scraper.scrape(usage)
        else:
            now += 300 * amount if what == WAIT else 0
            books.flush()
    books.flush()
    scraper.scrape(read(ledger, books, now, keys))
    scraper.scrape(read(ledger, books, now, keys))

    assert scraper.increase == sum(books.booked.values())

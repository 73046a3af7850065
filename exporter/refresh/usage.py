"""Turn what a gateway recorded of an account's usage into counters that never fall, and into the spending of a month.

Pure: times are unix seconds and arguments. Knows no HTTP and no metric.

A gateway keeps sums per hour. They grow while the hour lasts and, because gateways write them in batches, for some
minutes after it. So each hour is read again until a quarter of an hour after its end; then it is closed. Growth since
the last reading is added to the counters. A sum that shrank (a gateway restored from a backup) adds nothing until it
exceeds what was already counted. Hours that could not be read are read later, those of the last day at most. An hour
that was closed and comes again, since a clock was set back, adds only what it grows by from then on.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import add, sub

import msgspec

from exporter.model import Spending, Usage, UsageRow

HOUR, DAY = 3_600, 86_400
LATE_SECONDS = 900
FORGET_SECONDS = 30 * DAY
MOST_FOLDED = 50_000
TOP_MODELS = 8
OTHER, OTHERS = "other", "other models"

Span = tuple[int, int]  # hours to read together: the beginnings of the first and of the last
Series = tuple[str, int, str]
Sums = tuple[int, ...]
NOTHING: Sums = (0, 0, 0)


@dataclass(slots=True)
class _Counter:
    row: UsageRow
    grew_at: float
    sums: Sums = NOTHING


@dataclass(slots=True)
class Ledger:
    """The counters of one account; at most *max_series* of them, later ones are summed under the model "other".

    *keys* gives the ids of the keys to count by, and is None where models alone count. Mutable, and owned by one
    account's reader; `dataclasses.replace` begins it again.
    """

    max_series: int
    keys: Callable[[], Collection[int]] | None = None
    _open_from: int | None = field(default=None, init=False)
    _counted: dict[int, dict[Series, Sums]] = field(default_factory=dict, init=False)
    _counters: dict[Series, _Counter] = field(default_factory=dict, init=False)
    _folded: set[Series] = field(default_factory=set, init=False)

    def due(self, now: float) -> list[Span]:
        """Return what to read: the hours that are closed by now as one span, each open one by itself."""
        current = hour_of(now)
        first = current - DAY
        if self._open_from is not None:
            first = max(first, min(self._open_from, current))
        still_open = max(first, hour_of(now - LATE_SECONDS))
        closed = [(first, still_open - HOUR)] if first < still_open else []
        return [*closed, *((hour, hour) for hour in range(still_open, current + HOUR, HOUR))]

    def record(self, readings: Iterable[tuple[Span, Sequence[UsageRow]]], now: float) -> Usage:
        """Take in all that `due` asked for at *now*; return the counters.

        One that is not of the first reading is 0 until the next, so that `increase()` sees its first growth. Rows and
        counters of a key that is gone are left out, counters without growth for 30 days as well.
        """
        begun = None if self._open_from is None else set(self._counters)
        ids = {0, *(self.keys() if self.keys else ())}
        for span, rows in readings:
            self._add(span, [row for row in rows if row.key_id in ids], now)
        self._open_from = still_open = hour_of(now - LATE_SECONDS)
        self._counted = {hour: sums for hour, sums in self._counted.items() if hour >= still_open}
        self._counters = {
            series: counter
            for series, counter in self._counters.items()
            if now - counter.grew_at < FORGET_SECONDS and counter.row.key_id in ids
        }
        shown = (
            _with_sums(counter.row, counter.sums if begun is None or series in begun else NOTHING)
            for series, counter in self._counters.items()
        )
        return Usage(rows=tuple(shown), folded=len(self._folded))

    def _add(self, span: Span, rows: Sequence[UsageRow], now: float) -> None:
        was_closed = self._open_from is not None and span[0] < self._open_from
        hours = [hour for hour in self._counted if span[0] <= hour <= span[1]]
        counted = _totals(item for hour in hours for item in self._counted.pop(hour).items())
        named = {_series(row): row for row in rows}
        for series, sums in _totals((_series(row), _sums(row)) for row in rows).items():
            before = counted.get(series, NOTHING)
            counted[series] = tuple(map(max, before, sums))
            growth = NOTHING if was_closed else tuple(map(sub, counted[series], before))
            self._grow(series, named[series], growth, now)
        self._counted[span[0]] = counted

    def _grow(self, series: Series, row: UsageRow, growth: Sums, now: float) -> None:
        if series in self._folded or (series not in self._counters and len(self._counters) >= self.max_series):
            if len(self._folded) < MOST_FOLDED:
                self._folded.add(series)
            row = UsageRow(model=OTHER)
        counter = self._counters.setdefault(_series(row), _Counter(row, now))
        counter.row = row
        counter.sums = tuple(map(add, counter.sums, growth))
        counter.grew_at = now if any(growth) else counter.grew_at


def hour_of(now: float) -> int:
    """Return when the hour of *now* began."""
    return int(now) // HOUR * HOUR


def days_of_month(now: float) -> list[Span]:
    """Return what to read for `spending`: the UTC day of *now*, and what of its month is before it, at most 30 days."""
    today = int(now) // DAY * DAY
    month = today - (datetime.fromtimestamp(now, UTC).day - 1) * DAY
    return [(today, hour_of(now)), *([(month, today - HOUR)] if month < today else ())]


def spending(now: float, today: Iterable[UsageRow], earlier: Iterable[UsageRow] = ()) -> Spending:
    """Sum what models cost today and in this month."""
    day, month = Counter[str](), Counter[str]()
    for row in today:
        day[row.model] += max(0, row.quota)
    for row in earlier:
        month[row.model] += max(0, row.quota)
    month.update(day)
    top = [model for model, quota in month.most_common(TOP_MODELS) if quota]
    models = [(model, day[model], month[model]) for model in top]
    day_left, month_left = (sums.total() - sum(sums[model] for model in top) for sums in (day, month))
    return Spending(read_at=now, models=(*models, *([(OTHERS, day_left, month_left)] if month_left else ())))


def _series(row: UsageRow) -> Series:
    return (row.model, row.key_id, row.group)


def _sums(row: UsageRow) -> Sums:
    return (max(0, row.quota), max(0, row.tokens), max(0, row.requests))


def _with_sums(row: UsageRow, sums: Sums) -> UsageRow:
    return msgspec.structs.replace(row, quota=sums[0], tokens=sums[1], requests=sums[2])


def _totals(items: Iterable[tuple[Series, Sums]]) -> dict[Series, Sums]:
    """Join what a gateway keeps apart by what is of no interest here, such as its channel."""
    joined: dict[Series, Sums] = {}
    for series, sums in items:
        joined[series] = tuple(map(add, joined.get(series, NOTHING), sums))
    return joined

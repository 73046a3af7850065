"""Turn what a gateway recorded of an account's usage into counters that never fall.

Pure: times are unix seconds and arguments. Knows no HTTP and no metric.

A gateway keeps sums per hour. They grow while the hour lasts and, because gateways write them in batches, for some
minutes after it. So each hour is read again until a quarter of an hour after its end; then it is closed. Growth since
the last reading is added to the counters. A sum that shrank (a gateway restored from a backup) adds nothing until it
exceeds what was already counted. Hours that could not be read are read later, those of the last day at most. An hour
that was closed and comes again, since a clock was set back, adds only what it grows by from then on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from exporter.model import Usage, UsageRow

HOUR = 3_600
LATE_SECONDS = 900
FIRST_HOURS = 24
FORGET_SECONDS = 30 * 86_400
OTHER = "other"

Series = tuple[str, int, str]
Sums = tuple[int, int, int]
NOTHING: Sums = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Span:
    """Hours to read together: from the beginning of hour *first* to the beginning of hour *last*, both included."""

    first: int
    last: int


@dataclass(slots=True)
class _Counter:
    row: UsageRow
    sums: Sums
    grew_at: float


@dataclass(slots=True)
class Ledger:
    """The counters of one account; at most *max_series* of them, later ones are summed under the model "other".

    Mutable, and owned by one account's reader.
    """

    max_series: int
    _open_from: int | None = None
    _counted: dict[int, dict[Series, Sums]] = field(default_factory=dict)
    _counters: dict[Series, _Counter] = field(default_factory=dict)
    _folded: set[Series] = field(default_factory=set)
    _other: Sums = NOTHING

    def due(self, now: float) -> list[Span]:
        """Return what to read: the hours that are closed by now as one span, each open one by itself."""
        current = _hour(now)
        first = current - FIRST_HOURS * HOUR
        if self._open_from is not None:
            first = max(first, min(self._open_from, current))
        still_open = max(first, _hour(now - LATE_SECONDS))
        closed = [Span(first, still_open - HOUR)] if first < still_open else []
        return [*closed, *(Span(hour, hour) for hour in range(still_open, current + HOUR, HOUR))]

    def record(
        self, readings: Iterable[tuple[Span, Sequence[UsageRow]]], now: float, *, exists: Callable[[int], bool]
    ) -> Usage:
        """Take in all that `due` asked for at *now*; return the counters.

        Rows and counters of a key that no longer *exists* are left out, counters without growth for 30 days as well.
        """
        for span, rows in readings:
            self._add(span, rows, now, exists)
        still_open = _hour(now - LATE_SECONDS)
        self._open_from = still_open
        self._counted = {hour: sums for hour, sums in self._counted.items() if hour >= still_open}
        self._counters = {
            series: counter
            for series, counter in self._counters.items()
            if now - counter.grew_at < FORGET_SECONDS and (not series[1] or exists(series[1]))
        }
        return self._usage()

    def _add(self, span: Span, rows: Sequence[UsageRow], now: float, exists: Callable[[int], bool]) -> None:
        hours = [hour for hour in self._counted if span.first <= hour <= span.last]
        known = [self._counted.pop(hour) for hour in hours]
        was_closed = self._open_from is not None and span.first < self._open_from
        counted: dict[Series, Sums] = {}
        for sums_of_hour in known:
            for series, sums in sums_of_hour.items():
                counted[series] = _plus(counted.get(series, NOTHING), sums)
        for series, row in _by_series(rows).items():
            if series[1] and not exists(series[1]):
                continue
            before = counted.get(series, NOTHING)
            counted[series] = after = _larger(before, _sums(row))
            self._grow(series, row, NOTHING if was_closed else _minus(after, before), now)
        self._counted[span.first] = counted

    def _grow(self, series: Series, row: UsageRow, growth: Sums, now: float) -> None:
        counter = self._counters.get(series)
        if counter is not None:
            counter.row = row
            counter.sums = _plus(counter.sums, growth)
            counter.grew_at = now if growth != NOTHING else counter.grew_at
        elif series not in self._folded and len(self._counters) < self.max_series:
            self._counters[series] = _Counter(row, growth, now)
        else:
            self._folded.add(series)
            self._other = _plus(self._other, growth)

    def _usage(self) -> Usage:
        rows = [_with_sums(counter.row, counter.sums) for counter in self._counters.values()]
        if self._folded:
            rows.append(_with_sums(UsageRow(model=OTHER), self._other))
        return Usage(rows=tuple(rows), folded=len(self._folded))


def _hour(now: float) -> int:
    return int(now) // HOUR * HOUR


def _by_series(rows: Iterable[UsageRow]) -> dict[Series, UsageRow]:
    """Join the rows that a gateway keeps apart by what is of no interest here, such as its channel."""
    joined: dict[Series, UsageRow] = {}
    for row in rows:
        series = (row.model, row.key_id, row.group)
        known = joined.get(series)
        joined[series] = row if known is None else _with_sums(row, _plus(_sums(known), _sums(row)))
    return joined


def _sums(row: UsageRow) -> Sums:
    return (max(0, row.quota), max(0, row.tokens), max(0, row.requests))


def _with_sums(row: UsageRow, sums: Sums) -> UsageRow:
    return msgspec.structs.replace(row, quota=sums[0], tokens=sums[1], requests=sums[2])


def _plus(one: Sums, other: Sums) -> Sums:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _minus(one: Sums, other: Sums) -> Sums:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])


def _larger(one: Sums, other: Sums) -> Sums:
    return (max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2]))

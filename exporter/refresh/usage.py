"""Turn what a gateway recorded of an account's usage into counters that never fall, and into the spending of a month.

Pure: times are unix seconds and arguments. Knows no HTTP and no metric.

A gateway keeps sums per hour. They grow while the hour lasts and, because gateways write them in
batches, for some minutes after it. So each hour is read again until a quarter of an hour after its
end; then it is closed. Growth since the last reading is added to the counters. A sum that shrank (a
gateway restored from a backup) adds nothing until it exceeds what was already counted. Hours that
could not be read are read later, those of the last day at most. An hour that was closed and comes
again, since a clock was set back, adds only what it grows by from then on.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from exporter.model import Spending, Usage, UsageRow

HOUR, DAY = 3_600, 86_400
LATE_SECONDS = 900
FORGET_SECONDS = 30 * DAY
MOST_FOLDED = 50_000
TOP_MODELS = 8
OTHER, OTHERS = UsageRow(model="other"), "other models"
FIELDS = ("quota", "tokens", "requests")

Span = tuple[int, int]  # hours to read together: the beginnings of the first and of the last
Series = tuple[str, int, str]  # a model, and the key and the group where they count
Sums = Counter[tuple[Series, str]]  # by series and field


@dataclass(slots=True)
class Ledger:
    """The counters of one account; at most *max_series* of them, later ones are summed under the model "other".

    *keys* gives the ids of the keys to count by, and is None where models alone count. Mutable, and
    owned by one account's reader; `dataclasses.replace` begins it again.
    """

    max_series: int
    keys: Callable[[], Collection[int]] | None = None
    _open_from: int | None = field(default=None, init=False)
    _counted: dict[int, Sums] = field(
        default_factory=dict, init=False
    )  # of the hours that can still grow
    _totals: Sums = field(default_factory=Counter, init=False)
    _series: dict[Series, tuple[UsageRow, float]] = field(
        default_factory=dict, init=False
    )  # last row and growth
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

        One that is not of the first reading is 0 until the next, so that `increase()` sees its
        first growth. Rows and counters of a key that is gone are left out, counters without growth
        for 30 days as well.
        """
        ids = {0, *(self.keys() if self.keys else ())}
        known = None if self._open_from is None else set(self._series)
        for span, rows in readings:
            self._add(span, [row for row in rows if row.key_id in ids], now)
        self._open_from = still_open = hour_of(now - LATE_SECONDS)
        self._counted = {hour: sums for hour, sums in self._counted.items() if hour >= still_open}
        self._series = {
            series: (row, grew_at)
            for series, (row, grew_at) in self._series.items()
            if now - grew_at < FORGET_SECONDS and row.key_id in ids
        }
        self._totals = Counter(
            {cell: sum_ for cell, sum_ in self._totals.items() if cell[0] in self._series}
        )
        counters = []
        for series, (row, _) in self._series.items():
            sums = self._totals if known is None or series in known else Counter()
            counters.append(
                msgspec.structs.replace(row, **{name: sums[series, name] for name in FIELDS})
            )
        return Usage(rows=tuple(counters), folded=len(self._folded))

    def _add(self, span: Span, rows: Sequence[UsageRow], now: float) -> None:
        was_closed = self._open_from is not None and span[0] < self._open_from
        before: Sums = Counter()
        for hour in [hour for hour in self._counted if span[0] <= hour <= span[1]]:
            before.update(self._counted.pop(hour))
        reported: Sums = Counter()
        for row in rows:
            reported.update({(_series(row), name): max(0, getattr(row, name)) for name in FIELDS})
        self._counted[span[0]] = before | reported
        growth = Counter() if was_closed else reported - before
        for row in {_series(row): row for row in rows}.values():
            self._grow(row, {name: growth[_series(row), name] for name in FIELDS}, now)

    def _grow(self, row: UsageRow, growth: dict[str, int], now: float) -> None:
        series = _series(row)
        if series in self._folded or (
            series not in self._series and len(self._series) >= self.max_series
        ):
            if len(self._folded) < MOST_FOLDED:
                self._folded.add(series)
            row, series = OTHER, _series(OTHER)
        grew_at = (
            now if any(growth.values()) or series not in self._series else self._series[series][1]
        )
        self._series[series] = row, grew_at
        self._totals.update({(series, name): amount for name, amount in growth.items()})


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
    day_left, month_left = (
        sums.total() - sum(sums[model] for model in top) for sums in (day, month)
    )
    return Spending(
        read_at=now, models=(*models, *([(OTHERS, day_left, month_left)] if month_left else ()))
    )


def _series(row: UsageRow) -> Series:
    return (row.model, row.key_id, row.group)

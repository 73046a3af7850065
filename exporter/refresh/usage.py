"""Turn what a gateway recorded of an account's usage into counters, and into the month's spending.

Pure: times are unix seconds by the gateway's clock, and arguments. Knows no HTTP and no metric.

A gateway keeps sums per hour. They grow while the hour lasts and, because gateways write them in
batches, for some minutes after it. The ledger therefore reads each hour again until a quarter of an
hour after its end; then the hour is closed. Growth since the last reading is added to the counters.

The first reading only says where counting begins: it closes what is before it, and every counter
is 0. Hours that could not be read are read later, those of the last day at most. An hour that was
closed and is read again, because a clock was set back, adds only what it grows by from then on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from exporter.model import Amounts, ApiKey, MonthRow, Series, Spending, Usage, UsageRow

HOUR = 3_600
DAY = 24 * HOUR

# Gateways write usage every five minutes by default, and are read every five minutes.
LATE_SECONDS = 900

# A month: a model that is used less often begins a new series each time, as after a restart.
FORGET_SECONDS = 30 * DAY

# Closed hours that are remembered one by one. Only those of the last day matter, unless a clock
# jumps; each jump adds a day of them.
MOST_CLOSED_HOURS = 7 * 24

# The month's days before today, of which a gateway returns a row for each model and hour, are read
# in parts of a week, so that few rows come at once.
LONGEST_SPAN = 7 * DAY

# A wrong clock or time zone is hours off; a date that is further off is a server's fixed or
# mistaken one, and would have the wrong days counted.
MOST_CLOCK_SKEW_SECONDS = DAY

# What the status page has space for.
TOP_MODELS = 8
OTHER_MODELS = "other models"

NO_KEY = 0
NOTHING = Amounts()

FOLDED = Series(model="other")
"""The sum of the series beyond the limit, together with a model of this name where one exists."""

Span = tuple[int, int]  # hours to read together: the beginnings of the first and of the last


@dataclass(slots=True)
class Hour:
    """What was counted of an hour that may still grow, or of several that are read together."""

    counted: dict[Series, Amounts] = field(default_factory=dict)

    def growth(self, reported: Mapping[Series, Amounts]) -> dict[Series, Amounts]:
        """Return by how much *reported* exceeds what was counted.

        A sum that shrank, as after a gateway is restored from a backup, adds nothing until it
        exceeds what was already counted.
        """
        growth = {}
        for series, amounts in reported.items():
            growth[series] = amounts.beyond(self.counted.get(series, NOTHING))
        return growth

    def add(self, growth: Mapping[Series, Amounts]) -> None:
        """Remember *growth* as counted."""
        for series, amounts in growth.items():
            self.counted[series] = self.counted.get(series, NOTHING).plus(amounts)


@dataclass(slots=True)
class SeriesCounter:
    """The counter of one series, with the name and group of its key.

    A new one shows 0 until the next reading, so that `increase()` sees its first growth.
    """

    grew_at: float
    key_name: str = ""
    group: str = ""
    total: Amounts = NOTHING
    is_new: bool = True


@dataclass(slots=True)
class Ledger:
    """The counters of one account; at most *max_series* of them and the folded one.

    Mutable, and owned by whatever reads the account. Its calls must not overlap.
    """

    max_series: int
    _counters: dict[Series, SeriesCounter] = field(default_factory=dict, init=False)
    # At most *max_series* of those that were folded, to say how many there are.
    _folded: set[Series] = field(default_factory=set, init=False)
    # The hours that may still grow, and those that never add anything again. Hours before
    # *_counts_from* are closed, too; it is None before the first reading.
    _open: dict[int, Hour] = field(default_factory=dict, init=False)
    _closed: set[int] = field(default_factory=set, init=False)
    _counts_from: int | None = field(default=None, init=False)

    def due(self, now: float) -> list[Span]:
        """Return what to read: hours that have ended as one span, each open hour by itself."""
        current = hour_of(now)
        oldest_open = hour_of(now - LATE_SECONDS)
        spans: list[Span] = []
        for hour in range(current - DAY, oldest_open, HOUR):
            if self._is_closed(hour):
                continue
            if spans and spans[-1][1] == hour - HOUR:
                spans[-1] = (spans[-1][0], hour)
            else:
                spans.append((hour, hour))
        spans.extend((hour, hour) for hour in range(oldest_open, current + HOUR, HOUR))
        return spans

    def record(
        self,
        readings: Iterable[tuple[Span, Mapping[Series, Amounts]]],
        now: float,
        keys: Mapping[int, ApiKey] | None = None,
    ) -> Usage:
        """Count all that `due` returned at *now*; return the counters.

        *keys* are the account's keys by id, None where models alone are counted. Usage of a key
        that is not among them is left out. Counters without growth for 30 days are dropped.
        """
        # Those of a key that was renamed are replaced by new ones.
        shown_before = list(self._counters.values())
        self._use_labels_of(keys)
        for counter in shown_before:
            counter.is_new = False
        if self._counts_from is None:
            self._counts_from = hour_of(now) + HOUR
        known = set(self._counters)
        for span, reported in readings:
            folded = self._fold(reported, keys or {}, now)
            self._count(span, folded, known, now)
        self._close_hours(now)
        for series, counter in list(self._counters.items()):
            if now - counter.grew_at >= FORGET_SECONDS:
                self._drop(series)
        return self._usage()

    def relabel(self, keys: Mapping[int, ApiKey]) -> Usage:
        """Follow a new listing of *keys*: return the counters with their names and groups.

        All series of a renamed key begin at 0 at once. Those of a key that is gone are dropped.
        """
        self._use_labels_of(keys)
        return self._usage()

    def _use_labels_of(self, keys: Mapping[int, ApiKey] | None) -> None:
        for series, counter in list(self._counters.items()):
            if series.key_id == NO_KEY:
                continue
            key = None if keys is None else keys.get(series.key_id)
            if key is None:
                self._drop(series)
            elif (counter.key_name, counter.group) != (key.name, key.group):
                self._counters[series] = SeriesCounter(
                    grew_at=counter.grew_at,
                    key_name=key.name,
                    group=key.group,
                    # What the old name has not shown yet.
                    total=counter.total if counter.is_new else NOTHING,
                )

    def _drop(self, series: Series) -> None:
        del self._counters[series]
        for hour in self._open.values():
            hour.counted.pop(series, None)

    def _fold(
        self, reported: Mapping[Series, Amounts], keys: Mapping[int, ApiKey], now: float
    ) -> dict[Series, Amounts]:
        """Sum what is beyond the limit before it is kept; make counters for the rest."""
        folded: dict[Series, Amounts] = {}
        for series, amounts in reported.items():
            if series.key_id != NO_KEY and series.key_id not in keys:
                continue
            place = self._place(series)
            if place not in self._counters:
                self._counters[place] = _new_counter(place, keys, now)
            folded[place] = folded.get(place, NOTHING).plus(amounts)
        return folded

    def _place(self, series: Series) -> Series:
        """Return the series that counts *series*: itself, or the folded one where all are taken."""
        if series in self._counters or series == FOLDED:
            return series
        taken = len(self._counters) - (FOLDED in self._counters)
        if taken < self.max_series:
            self._folded.discard(series)
            return series
        if len(self._folded) < self.max_series:
            self._folded.add(series)
        return FOLDED

    def _count(
        self, span: Span, reported: Mapping[Series, Amounts], known: set[Series], now: float
    ) -> None:
        """Add the growth of *span* to the counters; those not *known* were made by this reading."""
        first, last = span
        is_closed = self._is_closed(first)
        together = Hour()
        for hour in range(first, last + HOUR, HOUR):
            together.add(self._open.pop(hour, Hour()).counted)
            self._closed.add(hour)
        # What was folded until now was counted there, so it must not count again by itself.
        has_folded = FOLDED in together.counted
        growth = together.growth(reported)
        together.add(growth)
        if first == last:
            self._closed.discard(first)
            self._open[first] = together
        if is_closed:
            return
        for series, amounts in growth.items():
            if amounts == NOTHING or (has_folded and series not in known):
                continue
            counter = self._counters[series]
            counter.total = counter.total.plus(amounts)
            counter.grew_at = now

    def _is_closed(self, hour: int) -> bool:
        if hour in self._open or self._counts_from is None:
            return False
        return hour < self._counts_from or hour in self._closed

    def _close_hours(self, now: float) -> None:
        """Close the hours that cannot grow at *now*, and forget the oldest of many closed ones."""
        oldest_open = hour_of(now - LATE_SECONDS)
        for hour in list(self._open):
            if not oldest_open <= hour <= now:
                del self._open[hour]
                self._closed.add(hour)
        while len(self._closed) > MOST_CLOSED_HOURS:
            oldest = min(self._closed)
            self._closed.remove(oldest)
            self._counts_from = max(self._counts_from or 0, oldest + HOUR)

    def _usage(self) -> Usage:
        rows = []
        for series, counter in self._counters.items():
            shown = NOTHING if counter.is_new else counter.total
            row = UsageRow(
                model=series.model,
                key_id=series.key_id,
                key_name=counter.key_name,
                group=counter.group,
                quota=shown.quota,
                tokens=shown.tokens,
                requests=shown.requests,
            )
            rows.append(row)
        return Usage(rows=tuple(rows), folded=len(self._folded))


def _new_counter(series: Series, keys: Mapping[int, ApiKey], now: float) -> SeriesCounter:
    if series.key_id == NO_KEY:
        return SeriesCounter(grew_at=now)
    key = keys[series.key_id]
    return SeriesCounter(grew_at=now, key_name=key.name, group=key.group)


def hour_of(now: float) -> int:
    """Return when the hour of *now* began."""
    return int(now) // HOUR * HOUR


def gateway_time(now: float, clock_skew: float | None) -> float:
    """Return unix time *now* by the gateway's clock.

    *clock_skew* is how many seconds this machine's clock is ahead of it, None where it is unknown.
    One of more than a day is not believed.
    """
    if clock_skew is None or abs(clock_skew) > MOST_CLOCK_SKEW_SECONDS:
        return now
    return now - clock_skew


def days_of_month(now: float, longest_span: int = LONGEST_SPAN) -> list[Span]:
    """Return what to read for `spending`: the UTC day of *now*, then the month before that day.

    No span is longer than *longest_span* seconds, which is a number of whole days.
    """
    today = int(now) // DAY * DAY
    first = today - (datetime.fromtimestamp(now, UTC).day - 1) * DAY
    spans = [(today, hour_of(now))]
    for begin in range(first, today, longest_span):
        end = min(begin + longest_span, today)
        spans.append((begin, end - HOUR))
    return spans


def spending(
    now: float,
    today: Mapping[Series, Amounts],
    *earlier: Mapping[Series, Amounts],
    by_key: bool = False,
) -> Spending:
    """Sum what models cost today and, with what is *earlier* in it, in this month.

    With *by_key*, the month is summed by key, too.
    """
    day = _quota_by_model(today)
    month = _quota_by_model(today, *earlier)
    models = [(model, day.get(model, 0), quota) for model, quota in month.items() if quota]
    models.sort(key=_month_quota, reverse=True)
    top = models[:TOP_MODELS]
    rest = models[TOP_MODELS:]
    if rest:
        day_rest = sum(quota for _, quota, _ in rest)
        month_rest = sum(quota for _, _, quota in rest)
        top.append((OTHER_MODELS, day_rest, month_rest))
    month_by_key = _quota_by_key(today, *earlier) if by_key else None
    return Spending(read_at=now, models=tuple(top), month_by_key=month_by_key)


def quota_by_series(*sums: Mapping[Series, Amounts], max_series: int) -> dict[Series, int]:
    """Sum quota units by series, what is beyond the *max_series* most expensive ones as "other"."""
    quota: dict[Series, int] = {}
    for each in sums:
        for series, amounts in each.items():
            quota[series] = quota.get(series, 0) + amounts.quota
    most_expensive = sorted(quota, key=quota.__getitem__, reverse=True)
    for series in most_expensive[max_series:]:
        if series != FOLDED:
            quota[FOLDED] = quota.get(FOLDED, 0) + quota.pop(series)
    return quota


def month_rows(
    quota: Mapping[Series, int], keys: Mapping[int, ApiKey] | None
) -> tuple[MonthRow, ...]:
    """Return a row for each series, with the name and group that its key has among *keys*.

    Usage of a key that is not among them is left out, as in the counters.
    """
    rows = []
    for series, units in quota.items():
        if series.key_id == NO_KEY:
            rows.append(MonthRow(model=series.model, quota=units))
            continue
        key = None if keys is None else keys.get(series.key_id)
        if key is None:
            continue
        row = MonthRow(
            model=series.model,
            key_id=series.key_id,
            key_name=key.name,
            group=key.group,
            quota=units,
        )
        rows.append(row)
    return tuple(rows)


def _month_quota(model: tuple[str, int, int]) -> int:
    return model[2]


def _quota_by_key(*sums: Mapping[Series, Amounts]) -> dict[int, int]:
    quota: dict[int, int] = {}
    for each in sums:
        for series, amounts in each.items():
            quota[series.key_id] = quota.get(series.key_id, 0) + amounts.quota
    return quota


def _quota_by_model(*sums: Mapping[Series, Amounts]) -> dict[str, int]:
    quota: dict[str, int] = {}
    for each in sums:
        for series, amounts in each.items():
            quota[series.model] = quota.get(series.model, 0) + amounts.quota
    return quota

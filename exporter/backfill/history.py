"""Hold what one account used, hour by hour, for a period of the past.

Pure: times are unix seconds and arguments. Knows no HTTP, no file, no text format.

A gateway keeps sums per hour. The history has an array for each series and each of the three
amounts, with an item for each hour of the period, so that its size is known: 24 bytes an hour and
series.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.model import Amounts, ApiKey, Series
from exporter.refresh.usage import DAY, FOLDED, HOUR, NO_KEY

# What an array can hold, and more than any gateway records.
LARGEST = 2**63 - 1

AMOUNTS = ("quota", "tokens", "requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time to write: from *first*, the beginning of an hour, to *end*.

    *now* is when the gateway is asked: what it recorded of the hour of *now* is what was used in it
    until then.
    """

    first: int
    end: int
    now: float

    @classmethod
    def until(cls, end: float, days: int, now: float) -> "Period":
        """Return the whole hours of the last *days* before *end*, and the part of its own hour."""
        first = math.ceil((end - days * DAY) / HOUR) * HOUR
        return cls(first=first, end=int(end), now=now)

    @property
    def hours(self) -> range:
        """The beginnings of the hours in which something may have been used before the end."""
        return range(self.first, self.end, HOUR)

    def seconds_of(self, hour: int) -> int:
        """Return how many seconds of *hour* are over: the time over which its growth is spread."""
        return max(1, min(HOUR, int(self.now) - hour))


@dataclass(frozen=True, slots=True)
class Labels:
    """The label values of a series as the exporter exposes it; None for the usage of no key."""

    model: str
    key: ApiKey | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much one series grew in each hour of the period: an array for each of `AMOUNTS`."""

    quota: "array[int]"
    tokens: "array[int]"
    requests: "array[int]"

    def of(self, amount: str) -> "array[int]":
        """Return the growth of one of `AMOUNTS`."""
        found: array[int] = getattr(self, amount)
        return found

    @property
    def first_hour(self) -> int | None:
        """The position of the first hour in which anything grew, None where nothing did."""
        for position, amounts in enumerate(
            zip(self.quota, self.tokens, self.requests, strict=True)
        ):
            if any(amounts):
                return position
        return None


@dataclass(slots=True)
class History:
    """What one account used in *period*, in at most *max_series* series and the folded one.

    Mutable. *keys* are the account's keys by id, None where models alone are counted. Usage of a
    key that is not among them is left out, as the exporter does.
    """

    account: str
    period: Period
    max_series: int
    keys: Mapping[int, ApiKey] | None = None
    growth: dict[Series, Growth] = field(default_factory=dict)

    def add(self, hour: int, sums: Mapping[Series, Amounts]) -> None:
        """Add what was used in *hour*; what is of another hour than the period's is left out."""
        if hour not in self.period.hours:
            return
        position = (hour - self.period.first) // HOUR
        for series, amounts in sums.items():
            is_of_key = series.key_id != NO_KEY
            if is_of_key and (self.keys is None or series.key_id not in self.keys):
                continue
            if amounts == Amounts():
                continue
            growth = self._growth_of(series)
            _add(growth.quota, position, amounts.quota)
            _add(growth.tokens, position, amounts.tokens)
            _add(growth.requests, position, amounts.requests)

    def labelled(self) -> Iterator[tuple[Labels, Growth]]:
        """Return all series, with the name and group that their keys have now."""
        for series, growth in self.growth.items():
            key = None if self.keys is None else self.keys.get(series.key_id)
            yield Labels(series.model, key), growth

    def _growth_of(self, series: Series) -> Growth:
        """Return the growth of *series*, or of the folded one where all places are taken."""
        taken = len(self.growth) - (FOLDED in self.growth)
        if series not in self.growth and taken >= self.max_series:
            series = FOLDED
        if series not in self.growth:
            hours = len(self.period.hours)
            self.growth[series] = Growth(_zeros(hours), _zeros(hours), _zeros(hours))
        return self.growth[series]


def _zeros(length: int) -> "array[int]":
    return array("q", bytes(8 * length))


def _add(growth: "array[int]", position: int, amount: int) -> None:
    growth[position] = min(LARGEST, growth[position] + amount)


def used_hours(by_hour: Mapping[int, Mapping[Series, Amounts]], period: Period) -> Sequence[int]:
    """Return the hours of *period* in which anything was used.

    The others need no request by key.
    """
    return [hour for hour in period.hours if by_hour.get(hour)]

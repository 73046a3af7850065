"""The usage that a simulated gateway has recorded, kept and reported as New API does.

Pure: times are arguments. What is booked waits in memory until it is flushed into the sums of its
hour; the gateway reports those sums by model and hour, or by key and model, of at most 30 days a
request.

    Gateway(offers=books.offers())
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway import STATUS_PATH, USAGE_BY_KEY_PATH, USAGE_PATH, Answer, refusal

HOUR = 3_600
LONGEST_RANGE = 30 * 24 * HOUR


@dataclass(kw_only=True)
class Books:
    """What was *booked* by model, and how much of it is in the *sums* by hour, model and key."""

    booked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[tuple[int, str, int], int] = field(default_factory=lambda: defaultdict(int))
    waiting: list[tuple[int, str, int, int]] = field(default_factory=list)

    def book(self, now: float, model: str, quota: int, *, key_id: int = 0) -> None:
        """Record one request."""
        self.waiting.append((int(now) // HOUR * HOUR, model, key_id, quota))
        self.booked[model] += quota

    def flush(self) -> None:
        """Write what waits, as gateways do every five minutes."""
        for hour, model, key_id, quota in self.waiting:
            self.sums[hour, model, key_id] += quota
        self.waiting.clear()

    def offers(self) -> dict[str, Any]:
        """Return what a `Gateway` offers of these books."""
        return {
            STATUS_PATH: {"enable_data_export": True},
            USAGE_PATH: lambda query: _answer(query, self.by_hour),
            USAGE_BY_KEY_PATH: lambda query: _answer(query, self.by_key),
        }

    def by_hour(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return a row for each model and hour."""
        rows: dict[tuple[int, str], int] = defaultdict(int)
        for hour, model, _, quota in self._between(first, last):
            rows[hour, model] += quota
        return [
            _row(model, quota) | {"created_at": hour, "token_id": 0}
            for (hour, model), quota in rows.items()
        ]

    def by_key(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return a row for each key and model, without an hour."""
        rows: dict[tuple[str, int], int] = defaultdict(int)
        for _, model, key_id, quota in self._between(first, last):
            rows[model, key_id] += quota
        return [
            _row(model, quota)
            | {"token_id": key_id, "token_name": f"key {key_id}", "use_group": "default"}
            for (model, key_id), quota in rows.items()
        ]

    def _between(self, first: int, last: int) -> Iterator[tuple[int, str, int, int]]:
        return ((*place, quota) for place, quota in self.sums.items() if first <= place[0] <= last)


def _row(model: str, quota: int) -> dict[str, Any]:
    return {"model_name": model, "quota": quota, "token_used": 2 * quota, "count": 1}


def _answer(query: Mapping[str, str], rows: Any) -> Answer | list[dict[str, Any]] | None:
    first, last = (int(query.get(f"{end}_timestamp") or 0) for end in ("start", "end"))
    if not first or not last or last - first > LONGEST_RANGE:
        return refusal("时间跨度不能超过 1 个月")
    return rows(first, last) or None

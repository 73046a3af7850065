"""The usage that a simulated gateway has recorded, kept and reported as New API does.

Pure: times are arguments. What is booked waits in memory until it is flushed into the sums of its
hour; the gateway reports those sums by model and hour, or by key, group and model, of at most 30
days a request.

    Gateway(offers=books.offers())
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway import STATUS_PATH, USAGE_BY_KEY_PATH, USAGE_PATH, Answer, refusal

HOUR = 3_600
LONGEST_RANGE = 30 * 24 * HOUR


class Spender(NamedTuple):
    """Who spent: a key by the name that it had then and the group that was used; id 0 is no key."""

    key_id: int
    key_name: str
    group: str


class Sums(NamedTuple):
    """Quota units and requests."""

    quota: int = 0
    requests: int = 0


Place = tuple[int, str, Spender]
"""The hour (unix time of its start), the model and who spent."""


@dataclass(kw_only=True)
class Books:
    """What was *booked* by model, and how much of it is in the *sums* by hour, model and spender.

    *ignores_range* answers with all hours, whatever is asked. *is_exported* false: /api/status
    says `enable_data_export: false` and the gateway records nothing.
    """

    booked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[Place, Sums] = field(default_factory=dict)
    waiting: list[tuple[Place, int]] = field(default_factory=list)
    ignores_range: bool = False
    is_exported: bool = True

    def book(
        self,
        now: float,
        model: str,
        quota: int,
        *,
        key_id: int = 0,
        key_name: str | None = None,
        group: str = "default",
    ) -> None:
        """Record one request; *key_name* None is "key" and the id, "" where the id is 0."""
        if not self.is_exported:
            return
        if key_name is None:
            key_name = f"key {key_id}" if key_id else ""
        spender = Spender(key_id, key_name, group)
        self.waiting.append(((int(now) // HOUR * HOUR, model, spender), quota))
        self.booked[model] += quota

    def flush(self) -> None:
        """Write what waits, as gateways do every five minutes."""
        for place, quota in self.waiting:
            _add(self.sums, place, Sums(quota, 1))
        self.waiting.clear()

    def offers(self) -> dict[str, Any]:
        """Return what a `Gateway` offers of these books."""
        return {
            STATUS_PATH: {"enable_data_export": self.is_exported},
            USAGE_PATH: lambda query: self._answer(query, self.by_hour),
            USAGE_BY_KEY_PATH: lambda query: self._answer(query, self.by_key),
        }

    def by_hour(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return a row for each model and hour."""
        rows: dict[tuple[int, str], Sums] = {}
        for (hour, model, _), sums in self._between(first, last):
            _add(rows, (hour, model), sums)
        return [
            _row(model, sums) | {"created_at": hour, "token_id": 0}
            for (hour, model), sums in rows.items()
        ]

    def by_key(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return a row for each key, name, group used and model, without an hour."""
        rows: dict[tuple[str, Spender], Sums] = {}
        for (_, model, spender), sums in self._between(first, last):
            _add(rows, (model, spender), sums)
        return [
            _row(model, sums)
            | {
                "token_id": spender.key_id,
                "token_name": spender.key_name,
                "use_group": spender.group,
            }
            for (model, spender), sums in rows.items()
        ]

    def _between(self, first: int, last: int) -> Iterator[tuple[Place, Sums]]:
        for place, sums in self.sums.items():
            if self.ignores_range or first <= place[0] <= last:
                yield place, sums

    def _answer(
        self, query: Mapping[str, str], rows: Callable[[int, int], list[dict[str, Any]]]
    ) -> Answer | list[dict[str, Any]] | None:
        first = int(query.get("start_timestamp") or 0)
        last = int(query.get("end_timestamp") or 0)
        if not first or not last or last - first > LONGEST_RANGE:
            return refusal("时间跨度不能超过 1 个月")
        return rows(first, last) or None


def _add(rows: dict[Any, Sums], place: Any, sums: Sums) -> None:
    before = rows.get(place, Sums())
    rows[place] = Sums(before.quota + sums.quota, before.requests + sums.requests)


def _row(model: str, sums: Sums) -> dict[str, Any]:
    return {
        "model_name": model,
        "quota": sums.quota,
        "token_used": 2 * sums.quota,
        "count": sums.requests,
    }

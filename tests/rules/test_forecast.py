"""How far the forecast of a month is off, beside that of a straight line, in months of which the truth is known.

The rule that ships is asked of a real Prometheus, at noon of several days of March 2026, which
begins on a Sunday. The history begins with February.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from processes import Prometheus, fill

RULES = Path(__file__).parents[2] / "deploy/prometheus/rules/records.yml"
HOUR, DAY = 3_600, 86_400
HISTORY = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
BEGIN = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
END = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp())
QUARTER = 900
ASKED_AT = {day: BEGIN + (day - 1) * DAY + DAY // 2 for day in (3, 6, 10, 15, 20, 27)}
"""Noon of these days of the month."""


def office(at: int) -> int:
    """Spend 1,000 units an hour in working hours, and 50 in all others."""
    when = datetime.fromtimestamp(at, UTC)
    works = when.weekday() < 5 and 8 <= when.hour < 18
    return 1_000 if works else 50


def evenly(_: int) -> int:
    """Spend the same in every hour."""
    return 300


def at_weekends(at: int) -> int:
    """Spend at weekends alone."""
    return 1_000 if datetime.fromtimestamp(at, UTC).weekday() >= 5 else 0


@dataclass(frozen=True, kw_only=True)
class Month:
    """What an account spends, since when Prometheus knows of it, and what it missed.

    *error* is how far the forecast may be off, as a share of the truth.
    """

    spends: Callable[[int], int]
    known_since: int = HISTORY
    gap: range = range(0)
    error: float = 0.01


MONTHS = {
    "office": Month(spends=office),
    "evenly": Month(spends=evenly),
    "at-weekends": Month(spends=at_weekends),
    # Prometheus knows nothing before noon of the 12th.
    "started-on-12th": Month(spends=office, known_since=BEGIN + 11 * DAY + DAY // 2, error=0.02),
    # The exporter was away from Saturday morning, the 7th, to Tuesday evening, the 10th.
    "gap": Month(
        spends=office,
        gap=range(BEGIN + 6 * DAY + 9 * HOUR, BEGIN + 9 * DAY + 20 * HOUR),
        error=0.04,
    ),
}


def spent(month: Month, since: int, until: int) -> float:
    """Return what is spent in a time, evenly within each hour."""
    hours = range(since // HOUR * HOUR, until, HOUR)
    return sum(
        month.spends(hour) * (min(hour + HOUR, until) - max(hour, since)) / HOUR for hour in hours
    )


def history(name: str, month: Month) -> Iterator[str]:
    """Write the counter of an account as an exporter exposes it: from 0 after each start."""
    total = 0.0
    for at in range(month.known_since, END + 1, QUARTER):
        if at in month.gap:
            total = 0.0
            continue
        yield f'cometapi_usage_quota_total{{account="{name}",model="m"}} {total} {at}\n'
        total += spent(month, at, at + QUARTER)


def samples() -> Iterator[str]:
    """Write the history of every month, and how much of the month remains when it is asked."""
    for name, month in MONTHS.items():
        yield from history(name, month)
    for at in ASKED_AT.values():
        yield f"cometapi:month:remaining_seconds {END - at} {at}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def forecasts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], float]:
    """Return what the rule says of the rest of the month, by account and day."""
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    (rest,) = [
        rule["expr"]
        for rule in rules
        if rule["record"] == "account:cometapi_usage_quota:rest_of_month"
    ]
    folder = tmp_path_factory.mktemp("forecast")
    fill(folder, samples(), block="4000h")
    found: dict[tuple[str, int], float] = {}
    with Prometheus(
        folder, {"scrape_configs": []}, "--storage.tsdb.retention.time=30y"
    ) as prometheus:
        for day, at in ASKED_AT.items():
            answer = prometheus.ask("v1/query", query=rest, time=str(at))
            for series in answer["data"]["result"]:
                found[series["metric"]["account"], day] = float(series["value"][1])
    return found


def errors_of(name: str, forecasts: dict[tuple[str, int], float]) -> dict[int, tuple[float, float]]:
    """Return by day how far the forecast and a straight line are off, as shares of what was spent.

    Days without a week of history are left out: there the forecast is the straight line.
    """
    month = MONTHS[name]
    truth = spent(month, BEGIN, END)
    errors: dict[int, tuple[float, float]] = {}
    for day, at in ASKED_AT.items():
        if (name, day) not in forecasts:
            continue
        so_far = spent(month, BEGIN, at)
        forecast = so_far + forecasts[name, day]
        straight = so_far * (END - BEGIN) / (at - BEGIN)
        errors[day] = forecast / truth - 1, straight / truth - 1
    return errors


@pytest.mark.parametrize("name", MONTHS)
def test_the_forecast_is_near_the_truth(name: str, forecasts: dict[tuple[str, int], float]) -> None:
    errors = errors_of(name, forecasts)
    print(name, {day: f"{ours:+.1%} / {line:+.1%}" for day, (ours, line) in errors.items()})

    assert all(abs(ours) <= MONTHS[name].error for ours, _ in errors.values())


@pytest.mark.parametrize("name", ["office", "at-weekends", "gap", "started-on-12th"])
def test_the_forecast_is_nearer_than_a_straight_line(
    name: str, forecasts: dict[tuple[str, int], float]
) -> None:
    errors = errors_of(name, forecasts).values()

    assert max(abs(ours) for ours, _ in errors) < max(abs(line) for _, line in errors)


def test_less_than_a_week_of_history_gives_no_forecast_by_weekdays(
    forecasts: dict[tuple[str, int], float],
) -> None:
    days = {day for name, day in forecasts if name == "started-on-12th"}

    assert days == {20, 27}

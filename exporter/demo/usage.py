"""Say what the demo's models cost, hour by hour and by key, as the gateway's books have it.

Pure: no clock, no randomness; times are arguments. Before the demo began, its keys spent about a
twentieth of what they spend since: more in office hours (UTC), less at night and at weekends. The
books go back as far as anyone asks, and are written every five minutes.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from exporter.demo.scenario import DAY, DEMO, HOUR, DemoAccount, DemoKey

MODELS = {
    "gpt-5.2": (0.46, 0.4, 900),
    "claude-opus-4.6": (0.31, 0.1, 2_500),
    "gemini-3-pro": (0.17, 0.6, 500),
    "text-embedding-3-small": (0.06, 30.0, 40),
}
"""Each model's share of all spending, the tokens for a unit, and the units for a request."""
BATCH_SECONDS = 300

# Before the start, the keys spent a twentieth of what they spend in the first hour after it, times
# a factor for the time of the day and one for the day of the week. On average over a week both are
# about 1.
SHARE_BEFORE = 1 / 20
OFFICE_HOURS = range(8, 18)
OFFICE_FACTOR, OTHER_FACTOR = 1.7, 0.5
WEEKDAY_FACTOR, WEEKEND_FACTOR = 1.24, 0.4
# The 1st of January 1970 was a Thursday.
SATURDAY, SUNDAY = 2, 3

Row = dict[str, object]


def usage_at(
    started_at: float,
    now: float,
    first: int,
    last: int,
    *,
    by_key: bool,
    account: DemoAccount = DEMO,
) -> list[Row]:
    """Return the sums of the hours of *first* to *last* for each model.

    *by_key* sums over all of these hours for each key, and names the group that was used; else
    each hour has rows of its own.
    """
    written = int(now) // BATCH_SECONDS * BATCH_SECONDS
    begin = first // HOUR * HOUR
    rows = []
    if by_key:
        end = min(last + HOUR, written)
        for key in account.keys:
            labels = _labels(key, account)
            units = _spent([key], started_at, begin, end)
            rows += [row | labels for row in _rows(units)]
        return rows
    for hour in range(begin, min(last, int(now)) + 1, HOUR):
        end = min(hour + HOUR, written)
        units = _spent(account.keys, started_at, hour, end)
        rows += [row | {"created_at": hour} for row in _rows(units)]
    return rows


def _labels(key: DemoKey, account: DemoAccount) -> Row:
    used = account.group_used(key) or key.group
    return {"token_id": key.id, "token_name": key.name, "use_group": used}


def _spent(keys: Sequence[DemoKey], started_at: float, since: float, until: float) -> float:
    """Return what *keys* spent between two unix times."""
    spent = 0.0
    busy = _busy_seconds(since, min(until, started_at))
    if busy > 0:
        rate = sum(key.spent(HOUR) for key in keys) / HOUR * SHARE_BEFORE
        spent += busy * rate
    if until > started_at:
        first = since - started_at
        last = until - started_at
        spent += sum(key.spent(last) - key.spent(first) for key in keys)
    return spent


@lru_cache(maxsize=64)
def _busy_seconds(since: float, until: float) -> float:
    """Return the seconds between two unix times, each weighted by how busy its hour is."""
    busy = 0.0
    hour = int(since) // HOUR * HOUR
    while hour < until:
        seconds = min(until, hour + HOUR) - max(since, hour)
        busy += seconds * _factor(hour)
        hour += HOUR
    return busy


def _factor(hour: int) -> float:
    """Return how much more is spent in the *hour* than in an average one."""
    is_office = hour // HOUR % 24 in OFFICE_HOURS
    is_weekend = hour // DAY % 7 in (SATURDAY, SUNDAY)
    of_hour = OFFICE_FACTOR if is_office else OTHER_FACTOR
    of_day = WEEKEND_FACTOR if is_weekend else WEEKDAY_FACTOR
    return of_hour * of_day


def _rows(units: float) -> Iterable[Row]:
    for name, (share, tokens, price) in MODELS.items():
        if (quota := int(units * share)) > 0:
            yield {
                "model_name": name,
                "quota": quota,
                "token_used": int(quota * tokens),
                "count": quota // price + 1,
            }

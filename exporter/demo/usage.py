"""Say what the demo's models cost, hour by hour and by key, as the gateway's books have it.

Pure: no clock, no randomness; times are arguments. Before the demo began, its keys spent a
twentieth of what they spend since. The books are written every five minutes.
"""

from collections.abc import Iterable, Sequence

from exporter.demo.scenario import HOUR, KEYS, DemoKey

FACTORS = {"production": 1.0, "staging": 1.0, "research": 0.8}
"""The groups open to the account, with their price factors."""
MODELS = {
    "gpt-5.2": (0.46, 0.4, 900),
    "claude-opus-4.6": (0.31, 0.1, 2_500),
    "gemini-3-pro": (0.17, 0.6, 500),
    "text-embedding-3-small": (0.06, 30.0, 40),
}
"""Each model's share of all spending, the tokens that a unit pays for, and the units that a request costs."""
BATCH_SECONDS = 300
RATES_BEFORE = {key.id: key.spent(HOUR) / HOUR / 20 for key in KEYS}

Row = dict[str, object]


def usage_at(started_at: float, now: float, first: int, last: int, *, by_key: bool) -> list[Row]:
    """Return the sums of the hours of *first* to *last* for each model: *by_key* over all of them, else for each."""
    written = int(now) // BATCH_SECONDS * BATCH_SECONDS
    hours = range(first // HOUR * HOUR, min(last, int(now)) + 1, HOUR)
    sums: list[tuple[Row, Sequence[DemoKey], int, int]] = [
        ({"created_at": at}, KEYS, at, at + HOUR) for at in hours
    ]
    if by_key:
        names = [
            {"token_id": key.id, "token_name": key.name, "use_group": key.group} for key in KEYS
        ]
        sums = [
            (name, [key], hours.start, last + HOUR) for name, key in zip(names, KEYS, strict=True)
        ]
    return [
        row | labels
        for labels, keys, since, until in sums
        for row in _rows(_spent(keys, since - started_at, min(until, written) - started_at))
    ]


def _spent(keys: Sequence[DemoKey], since: float, until: float) -> float:
    """Return what *keys* spent between two times, in seconds from the start."""
    before = max(0.0, min(until, 0.0) - since) * sum(RATES_BEFORE[key.id] for key in keys)
    return before + (sum(key.spent(until) - key.spent(since) for key in keys) if until > 0 else 0)


def _rows(units: float) -> Iterable[Row]:
    for name, (share, tokens, price) in MODELS.items():
        if (quota := int(units * share)) > 0:
            yield {
                "model_name": name,
                "quota": quota,
                "token_used": int(quota * tokens),
                "count": quota // price + 1,
            }

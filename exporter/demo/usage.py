"""Say what the demo's models cost, hour by hour and by key, as the gateway's books have it.

Pure: no clock, no randomness; times are arguments. Before the demo began, its keys spent a
twentieth of what they spend since. The books are written every five minutes.
"""

from collections.abc import Iterable, Sequence

from exporter.demo.scenario import DEMO, HOUR, DemoAccount, DemoKey

MODELS = {
    "gpt-5.2": (0.46, 0.4, 900),
    "claude-opus-4.6": (0.31, 0.1, 2_500),
    "gemini-3-pro": (0.17, 0.6, 500),
    "text-embedding-3-small": (0.06, 30.0, 40),
}
"""Each model's share of all spending, the tokens that a unit pays for, and the units that a request costs."""
BATCH_SECONDS = 300

# Before the start, the keys spent a twentieth of what they spend in the first hour after it.
SHARE_BEFORE = 1 / 20

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
            units = _spent([key], begin - started_at, end - started_at)
            rows += [row | labels for row in _rows(units)]
        return rows
    for hour in range(begin, min(last, int(now)) + 1, HOUR):
        end = min(hour + HOUR, written)
        units = _spent(account.keys, hour - started_at, end - started_at)
        rows += [row | {"created_at": hour} for row in _rows(units)]
    return rows


def _labels(key: DemoKey, account: DemoAccount) -> Row:
    used = account.group_used(key) or key.group
    return {"token_id": key.id, "token_name": key.name, "use_group": used}


def _spent(keys: Sequence[DemoKey], since: float, until: float) -> float:
    """Return what *keys* spent between two times, in seconds from the start."""
    spent = 0.0
    seconds_before = min(until, 0.0) - since
    if seconds_before > 0:
        rate = sum(key.spent(HOUR) for key in keys) / HOUR * SHARE_BEFORE
        spent += seconds_before * rate
    if until > 0:
        spent += sum(key.spent(until) - key.spent(since) for key in keys)
    return spent


def _rows(units: float) -> Iterable[Row]:
    for name, (share, tokens, price) in MODELS.items():
        if (quota := int(units * share)) > 0:
            yield {
                "model_name": name,
                "quota": quota,
                "token_used": int(quota * tokens),
                "count": quota // price + 1,
            }

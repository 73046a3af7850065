"""Say what the demo's models cost, hour by hour and by key, as the gateway's books have it.

Pure: no clock, no randomness; times are arguments. Before the demo began, its keys spent as in its first hour.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.demo.scenario import HOUR, KEYS, DemoKey

FACTORS = {"production": 1.0, "staging": 1.0, "research": 0.8}
"""The groups open to the account, with their price factors."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its share of all spending, and how many tokens a unit and units a request it takes."""

    name: str
    share: float
    tokens: float
    price: int


MODELS = (
    Model("gpt-5.2", 0.46, 0.4, 900),
    Model("claude-opus-4.6", 0.31, 0.1, 2_500),
    Model("gemini-3-pro", 0.17, 0.6, 500),
    Model("text-embedding-3-small", 0.06, 30.0, 40),
)


def usage_by_hour(started_at: float, now: float, first: int, last: int) -> list[dict[str, object]]:
    """Return one row for each model and hour that begins from *first* to *last*, the present hour as far as it goes."""
    hours = range(-(-first // HOUR) * HOUR, min(last, int(now)) + 1, HOUR)
    return [
        row | {"created_at": hour}
        for hour in hours
        for row in _rows(sum(_spent(key, started_at, hour, min(hour + HOUR, now)) for key in KEYS))
    ]


def usage_by_key(started_at: float, now: float, first: int, last: int) -> list[dict[str, object]]:
    """Return one row for each key and model, with what was spent from *first* to the end of the hour of *last*."""
    end = min((last // HOUR + 1) * HOUR, now)
    spent = ((key, _spent(key, started_at, first // HOUR * HOUR, end)) for key in KEYS)
    return [
        row | {"token_id": key.id, "token_name": key.name, "use_group": key.group}
        for key, units in spent
        for row in _rows(units)
    ]


def _spent(key: DemoKey, started_at: float, since: float, until: float) -> float:
    return _spent_by(key, until - started_at) - _spent_by(key, since - started_at)


def _spent_by(key: DemoKey, elapsed: float) -> float:
    return key.spent(elapsed) if elapsed >= 0 else key.spent(HOUR) * elapsed / HOUR


def _rows(units: float) -> Iterable[dict[str, object]]:
    for model in MODELS:
        if quota := int(units * model.share):
            tokens, requests = int(quota * model.tokens), quota // model.price + 1
            yield {"model_name": model.name, "quota": quota, "token_used": tokens, "count": requests}

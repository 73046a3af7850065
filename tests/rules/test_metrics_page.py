"""Every query of docs/metrics.md gives two replicas the same answer as one, and counts clusters apart."""

import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Prometheus, fill
from promises import METRICS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
# The page shows these in its tables.
FAMILIES = tomllib.loads((DOCS / "families.toml").read_text(encoding="utf-8"))
QUERIES = [
    *re.findall(r"```promql\n(.*?)```", PAGE, flags=re.DOTALL),
    *(family["example"] for family in FAMILIES.values()),
]
MERGING = [query for query in QUERIES if re.search(r"\b(sum|max|count|topk) ?(by|\()", query)]

REPLICA = ("instance", "pod", "node", "container", "replica", "pod_template_hash")
"""In these labels the two replicas differ."""
RATES = {"a": 500_000.0, "b": 1_000.0}
VALUES: dict[str, tuple[str, ...]] = {
    "key_id": ("1", "2"),
    "key_name": ("key",),
    "group": ("vip",),
    "model": ("fast", "good"),
    "status": ("enabled", "expired"),
    "account": tuple(RATES),
}
NOW = float(int(time.time()))
MINUTES = 20
GROWS = 1_000
"""Counters and gauges grow by this much a minute, multiplied by one more than the number of the series."""
CHOSEN = {"cometapi_exporter_shards": 3.0, "cometapi_exporter_shard_index": 0.0}


def combinations(labels: tuple[str, ...]) -> list[dict[str, str]]:
    """Return every combination of the values of *labels*; the last label changes first."""
    found: list[dict[str, str]] = [{}]
    for label in labels:
        values = VALUES.get(label, ("x",))
        found = [one | {label: value} for one in found for value in values]
    return found


def samples(name: str, labels: dict[str, str], value: float, slope: float, now: float) -> list[str]:
    """Write a sample a minute of one series, in OpenMetrics."""
    pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return [
        f"{name}{{{pairs}}} {value + slope * minute} {now - 60 * (MINUTES - minute):.3f}\n"
        for minute in range(MINUTES + 1)
    ]


def history(replicas: int, now: float) -> list[str]:
    """Write every family of the exporter, in two clusters, as so many replicas of each expose it."""
    lines = []
    for name, (_, labels) in METRICS.items():
        for number, own in enumerate(combinations(labels)):
            value, slope = CHOSEN.get(name, 10.0 * (number + 1)), GROWS * (number + 1)
            if name == "cometapi_quota_units_per_usd":
                value, slope = RATES[own["account"]], 0
            if name in CHOSEN:
                slope = 0
            for cluster, more in (("east", 0), ("west", 1)):
                for replica in range(replicas):
                    where = dict.fromkeys(REPLICA, f"{cluster}-{replica}")
                    whole = {"job": "c", "cluster": cluster, "namespace": "n"} | where | own
                    lines += samples(name, whole, value + more * bool(slope), slope, now)
    return [*lines, "# EOF\n"]


@pytest.fixture(scope="module")
def one_and_two(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Prometheus, Prometheus]]:
    """Run a Prometheus that has scraped one replica of each exporter, and one that has scraped two."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    for number, folder in enumerate(folders, start=1):
        fill(folder, history(number, NOW))
    with Prometheus(folders[0], {}) as one, Prometheus(folders[1], {}) as two:
        yield one, two


def found(prometheus: Prometheus, query: str) -> list[dict[str, Any]]:
    """Return the result of *query* at the time of the last samples."""
    return list(prometheus.ask("v1/query", query=query, time=str(NOW))["data"]["result"])


def answer(prometheus: Prometheus, query: str) -> set[tuple[Any, ...]]:
    """Return labels and values; those in which replicas differ are left out."""
    return {
        (
            *sorted(
                (label, value) for label, value in sample["metric"].items() if label not in REPLICA
            ),
            round(float(sample["value"][1]), 3),
        )
        for sample in found(prometheus, query)
    }


def at_once(prometheus: Prometheus, queries: list[str]) -> dict[str, set[tuple[Any, ...]]]:
    return {query: answer(prometheus, query) for query in queries}


def test_two_replicas_give_the_answer_of_one(
    one_and_two: tuple[Prometheus, Prometheus],
) -> None:
    one, two = one_and_two

    assert len(QUERIES) > len(METRICS)
    assert at_once(one, QUERIES) == at_once(two, QUERIES)


def test_queries_that_merge_find_something(one_and_two: tuple[Prometheus, Prometheus]) -> None:
    answers = at_once(one_and_two[0], MERGING)

    assert [query for query in answers if not answers[query]] == []


def test_spending_by_model_is_right_for_accounts_with_different_rates(
    one_and_two: tuple[Prometheus, Prometheus],
) -> None:
    """Account a has 500,000 units a dollar, and b 1,000; each exists in two clusters."""
    query = next(
        text for text in QUERIES if "cometapi_quota_units_per_usd" in text and "1d" in text
    )
    samples_found = found(one_and_two[1], query.replace("[1d]", "[10m]"))

    dollars = {one["metric"]["model"]: float(one["value"][1]) for one in samples_found}
    assert dollars == pytest.approx(
        {
            "fast": 2 * 10 * GROWS * ((1 + 2) / RATES["a"] + (5 + 6) / RATES["b"]),
            "good": 2 * 10 * GROWS * ((3 + 4) / RATES["a"] + (7 + 8) / RATES["b"]),
        }
    )

"""Every answer on disk is read as its own folder says."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from builders import CANARY_KEY

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import (
    parse_balance,
    parse_groups,
    parse_status,
    parse_subscriptions,
    parse_usage,
)
from exporter.cometapi.wire import parse_page
from exporter.errors import ApiError

# The hour of the samples that have one.
HOUR = 1_795_500_000


def usage_rows(answer: Answer, *, by_key: bool) -> list[dict]:
    sums = parse_usage(answer, first=HOUR, last=HOUR, by_key=by_key)
    rows = []
    for series, amounts in sums.sums.items():
        rows.append(msgspec.to_builtins(series) | msgspec.to_builtins(amounts))
    return rows


PARSERS = {
    "account": parse_balance,
    "status": parse_status,
    "groups": lambda answer: dict(parse_groups(answer)),
    "subscription": parse_subscriptions,
    "usage": lambda answer: usage_rows(answer, by_key=False),
    "flow": lambda answer: usage_rows(answer, by_key=True),
}
KEY = re.compile(rb'"key": ?"([^"]*)"')
HARMLESS = {CANARY_KEY.encode(), b"abcd**********wxyz", b"sk-abcd**********wxyz"}
SAMPLES = sorted(path.parent for path in Path(__file__).parents[2].glob("samples/*/meta.json"))


def recorded(case: Path) -> tuple[Answer, dict]:
    meta = json.loads((case / "meta.json").read_text(encoding="utf-8"))
    answer = Answer(
        status=meta["status"],
        headers={name.lower(): value for name, value in meta["headers"].items()},
        body=(case / "body.json").read_bytes(),
        received_at=1_750_000_000.0,
    )
    return answer, meta["expect"]


def without_nothing_unread(found: object) -> object:
    if not isinstance(found, dict) or "unread" not in found:
        return found
    unread = list(found.pop("unread"))
    return found | ({"unread": unread} if unread else {})


def what_comes_of(case: Path, answer: Answer) -> dict:
    """Say it in the words of `expect`."""
    try:
        for prefix, parse in PARSERS.items():
            if case.name.startswith(prefix):
                return {
                    prefix: without_nothing_unread(json.loads(msgspec.json.encode(parse(answer))))
                }
        page = parse_page(answer)
    except ApiError as error:
        return {"reason": error.reason.value}
    return {"keys": [key.id for key in page.keys], "skipped": len(page.unreadable) + page.nameless}


def test_samples_are_there():
    assert len(SAMPLES) >= 20


@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: case.name)
def test_a_sample_is_read_as_its_folder_says(case):
    answer, expected = recorded(case)

    assert set(KEY.findall(answer.body)) <= HARMLESS
    assert what_comes_of(case, answer) == expected

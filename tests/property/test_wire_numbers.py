"""Whatever a gateway writes in place of a number: it is read at a sane size, or not at all.

Each number of each endpoint is replaced by itself, so that no other fault hides what it does.
"""

import json
import math
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest
from builders import a_wire_account, a_wire_key
from hypothesis import given, settings
from hypothesis import strategies as st

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

HOUR = 1_795_500_000
PLACE = "$NUMBER"

# As they are written, since no JSON library writes all of them.
NUMBERS = (
    st.integers().map(str)
    | st.integers(-(2**64), 2**64).map(str)
    | st.floats().map(str)
    | st.sampled_from(["1" + "0" * 400, "-1" + "0" * 400, "1e400", "-1e400", "1e308", "5e-324"])
    | st.sampled_from(["NaN", "Infinity", "-Infinity", "nan", "1e2", "1.0", "-0", "007", "+1"])
    | st.sampled_from(['"7"', '""', "true", "false", "null", "[1]", "{}"])
)

SUBSCRIPTION = {"amount_total": 5, "amount_used": 1, "end_time": HOUR, "next_reset_time": HOUR}
ROW = {
    "model_name": "small",
    "token_id": 7,
    "created_at": HOUR,
    "quota": 5,
    "token_used": 9,
    "count": 1,
}


def each_number(value: object) -> Iterator[object]:
    """Give copies of *value*, in each of which another number is the place to fill."""
    if isinstance(value, dict):
        for name, inner in value.items():
            for copy in each_number(inner):
                yield value | {name: copy}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for copy in each_number(inner):
                yield [*value[:at], copy, *value[at + 1 :]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield PLACE


ENDPOINTS: dict[str, tuple[Callable[[Answer], object], object]] = {
    "keys": (parse_page, {"items": [a_wire_key(7)], "total": 1, "page_size": 100}),
    "bare list of keys": (parse_page, [a_wire_key(7)]),
    "account": (parse_balance, a_wire_account()),
    "status": (parse_status, {"quota_per_unit": 500_000.0, "version": "v1"}),
    "groups": (parse_groups, {"vip": {"ratio": 1.5}}),
    "subscriptions": (
        parse_subscriptions,
        {
            "billing_preference": "wallet_only",
            "subscriptions": [{"subscription": SUBSCRIPTION}, {"subscription": SUBSCRIPTION}],
        },
    ),
    "usage": (partial(parse_usage, first=HOUR, last=HOUR, by_key=False), [ROW, ROW]),
    "usage by key": (partial(parse_usage, first=HOUR, last=HOUR, by_key=True), [ROW, ROW]),
}
CASES = [
    pytest.param(parse, json.dumps(copy), id=f"{name}-{number}")
    for name, (parse, data) in ENDPOINTS.items()
    for number, copy in enumerate(each_number(data))
]


def numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers_in(name)
            yield from numbers_in(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from numbers_in(inner)
    elif isinstance(value, msgspec.Struct):
        yield from numbers_in(msgspec.structs.asdict(value))
    elif isinstance(value, int | float):
        yield value


@pytest.mark.parametrize(("parse", "data"), CASES)
@given(number=NUMBERS)
@settings(database=None, deadline=None, max_examples=25)
def test_each_number_is_of_sane_size_or_the_response_is_rejected(parse, data, number):
    """Sums over as many rows as are read still fit a float, which metrics are."""
    body = f'{{"success": true, "data": {data.replace(json.dumps(PLACE), number)}}}'
    answer = Answer(status=200, headers={}, body=body.encode(), received_at=0.0)
    try:
        found = parse(answer)
    except ApiError:
        return

    for each in numbers_in(found if isinstance(found, dict) else [found]):
        assert math.isfinite(float(each))
        assert abs(each) <= 2 * 2**63


def test_the_largest_sums_fit_a_float():
    largest = ROW | {"quota": 2**63 - 1, "token_used": 2**63 - 1, "count": 2**63 - 1}
    body = json.dumps({"success": True, "data": [largest] * 10_000}).encode()
    answer = Answer(status=200, headers={}, body=body, received_at=0.0)
    (amounts,) = parse_usage(answer, first=HOUR, last=HOUR, by_key=False).sums.values()

    assert float(amounts.quota) == pytest.approx(9.223372036854776e22)

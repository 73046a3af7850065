"""Reading the past by key, with the program's own client and a clock that a test turns."""

import asyncio

import pytest
from books import HOUR, Books
from builders import CANARY_TOKEN, wire_keys
from domain import FakeRuntime
from gateway import USAGE_BY_KEY_PATH, USAGE_PATH, Answer, Gateway, refusal

from exporter.backfill.history import Period
from exporter.backfill.run import write_history
from exporter.errors import BackfillError
from exporter.settings.load import load_settings

END = 500_000 * HOUR
DAY = 24 * HOUR


def the_books(hours):
    """Book 100 units in each of the *hours* before the end, with key 1 and key 2 by turns."""
    books = Books()
    for number in range(1, hours + 1):
        books.book(END - number * HOUR, f"m{number % 3}", 100, key_id=1 + number % 2)
    books.flush()
    return books


def written(gateway, *, usage="key-model", days=30, runtime=None, said=None):
    """Return the lines that are written."""
    runtime = runtime or FakeRuntime(now=END)
    environment = {"COMETAPI_BASE_URL": gateway.url, "COMETAPI_ACCESS_TOKEN": CANARY_TOKEN}
    settings = load_settings({"usage": usage}, environment)
    output: list[bytes] = []
    period = Period.until(END, days, END + 60)
    said = [] if said is None else said
    asyncio.run(
        write_history(
            settings, period=period, runtime=runtime, write=output.append, say=said.append
        )
    )
    return b"".join(output).decode().splitlines()


def total(lines):
    """Add up the counters of quota at the end."""
    ends = [line for line in lines if line.endswith(f" {END}") and "quota" in line]
    return sum(int(line.split()[-2]) for line in ends)


def test_by_key_no_minute_has_more_than_twenty_requests():
    runtime, moments = FakeRuntime(now=END), []
    with Gateway(offers=the_books(100).offers(), keys=wire_keys(2)) as gateway:
        gateway.faults = lambda _: moments.append(runtime.now)
        lines = written(gateway, runtime=runtime)

    assert len(moments) == 100 + 3
    busiest = max(sum(at <= each < at + 60 for each in moments) for at in moments)
    assert busiest == 20
    assert total(lines) == 100 * 100


def test_the_rest_of_the_time_is_said_while_it_runs():
    said = []
    with Gateway(offers=the_books(100).offers(), keys=wire_keys(2)) as gateway:
        written(gateway, said=said)

    assert said[0].startswith("Reading 100 hours by key, 20 a minute: about 5 minutes; ")
    assert any("of 100 hours read by key, about " in line for line in said)
    assert "100 of 100 hours read by key." in said


def test_a_gateway_without_sums_by_key_is_written_by_model():
    offers = the_books(30).offers()
    del offers[USAGE_BY_KEY_PATH]
    with Gateway(offers=offers, keys=wire_keys(2)) as gateway:
        lines = written(gateway)

    assert total(lines) == 30 * 100
    assert not any("key_id" in line for line in lines)


def test_trouble_that_passes_is_waited_for_and_nothing_is_lost():
    offers, trouble = the_books(30).offers(), [Answer(status=429, headers={"Retry-After": "90"})]
    answer = offers[USAGE_BY_KEY_PATH]
    offers[USAGE_BY_KEY_PATH] = lambda query: trouble.pop() if trouble else answer(query)
    runtime, said = FakeRuntime(now=END), []
    with Gateway(offers=offers, keys=wire_keys(2)) as gateway:
        lines = written(gateway, runtime=runtime, said=said)

    assert total(lines) == 30 * 100
    assert any("trying again in 90 s" in line for line in said)


def test_trouble_that_lasts_is_an_error_and_nothing_is_written():
    offers = the_books(3).offers()
    offers[USAGE_BY_KEY_PATH] = Answer(status=500)
    with (
        Gateway(offers=offers, keys=wire_keys(2)) as gateway,
        pytest.raises(BackfillError, match=r"(?s)default: .*fix: wait and try again"),
    ):
        written(gateway)


def test_a_month_that_is_too_large_for_one_response_is_read_in_halves():
    offers, too_long = the_books(700).offers(), []
    answer = offers[USAGE_PATH]

    def limited(query):
        first, last = int(query["start_timestamp"]), int(query["end_timestamp"])
        if last - first > 16 * DAY:
            too_long.append(last - first)
            return Answer(body=b" " * (9 << 20))
        return answer(query)

    offers[USAGE_PATH] = limited
    with Gateway(offers=offers) as gateway:
        lines = written(gateway, usage="model")

    assert len(too_long) == 1
    assert total(lines) == 700 * 100


def test_a_gateway_that_denies_the_range_is_an_error():
    offers = the_books(3).offers() | {USAGE_PATH: refusal("时间跨度不能超过 1 个月")}
    with Gateway(offers=offers) as gateway, pytest.raises(BackfillError) as raised:
        written(gateway, usage="model")

    assert "时间" not in str(raised.value)

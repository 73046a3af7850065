"""What the exporter says that the month cost is what the gateway's books say, on any day of a month."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from books import HOUR, Books
from builders import CANARY_TOKEN
from domain import FakeRuntime, a_read_state, keys
from gateway import Gateway
from scraped import Scraped

from exporter.cometapi.client import CometClient
from exporter.cometapi.rate_limit import RateLimit
from exporter.credentials import Secret
from exporter.refresh.usage_poller import UsagePoller
from exporter.snapshot import Snapshot

DAYS = {
    "the first hour of a month": datetime(2026, 3, 1, 0, 20, tzinfo=UTC),
    "the 1st": datetime(2026, 3, 1, 18, 20, tzinfo=UTC),
    "the 15th": datetime(2026, 3, 15, 9, 20, tzinfo=UTC),
    "the last day": datetime(2026, 3, 31, 23, 50, tzinfo=UTC),
}


def booked_until(now, books):
    """Book 40 days of two models by two keys; return what the month of *now* cost by model and key."""
    begin = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0).timestamp()
    month = {}
    for number in range(40 * 24):
        at = now - number * HOUR
        model, key_id, quota = f"m{number % 2}", 1 + number % 3 % 2, 1_000 + number
        books.book(at, model, quota, key_id=key_id)
        if at >= begin:
            month[model, key_id] = month.get((model, key_id), 0) + quota
    books.flush()
    return month


async def read(gateway, now, *, by_key):
    runtime = FakeRuntime(now=now)
    client = CometClient(
        base_url=gateway.url,
        user_id=None,
        ca_file=None,
        proxy=None,
        auth_scheme="raw",
        headers_file=None,
        timeout=10,
        concurrency=1,
        rate_limit=RateLimit(10_000, clock=runtime.monotonic, sleep=runtime.sleep),
        on_request=lambda _path, _code: None,
    )
    async with aclosing(client):
        poller = UsagePoller(client, max_series=100, by_key=by_key, runtime=runtime)
        return await poller.read(Secret(CANARY_TOKEN), a_read_state(*keys(1, 2)))


@pytest.mark.parametrize("by_key", [False, True], ids=["model", "key-model"])
@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_the_month_is_what_the_books_have_of_it(day, by_key):
    now = day.timestamp()
    books = Books()
    expected = booked_until(now, books)
    with Gateway(offers=books.offers(), clock=lambda: now) as gateway:
        usage = asyncio.run(read(gateway, now, by_key=by_key))
    shown = Scraped(Snapshot.of([a_read_state(*keys(1, 2), usage=usage)]), now=now)
    found = {}
    for sample in shown.samples("cometapi_usage_month_quota"):
        found[sample.labels["model"], int(sample.labels.get("key_id", 0))] = sample.value

    if not by_key:
        by_model = {}
        for (model, _), quota in expected.items():
            by_model[model, 0] = by_model.get((model, 0), 0) + quota
        expected = by_model
    assert found == expected


def test_a_month_whose_weeks_have_more_rows_than_a_response_may_is_read_by_the_day():
    """70 models in every hour are 11,760 rows a week, of at most 10,000."""
    now = DAYS["the 15th"].timestamp()
    books = Books()
    for number in range(14 * 24 + 10):
        for model in range(70):
            books.book(now - number * HOUR, f"m{model}", 5)
    books.flush()
    with Gateway(offers=books.offers(), clock=lambda: now) as gateway:
        usage = asyncio.run(read(gateway, now, by_key=False))

    # Two weeks, and the first hours of the 15th.
    assert {row.quota for row in usage.month} == {5 * (14 * 24 + 10)}
    assert len(usage.month) == 70

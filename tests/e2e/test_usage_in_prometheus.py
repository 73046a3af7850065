"""What a real Prometheus says that models cost is what the gateway's books say.

Five hours are played: the program's own client asks a simulated gateway, whose books are written
every five minutes, and every minute the exposition is kept with its time. The real Prometheus reads
them from a file.

Requests are made between the 25th and the 55th minute of each hour and the questions asked at the
20th, when all is written and counted: what is booked reaches a counter up to ten minutes later, and
a late flush later still.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from books import HOUR, Books
from builders import CANARY_TOKEN
from dashboards.queries import Moment, Prometheus
from dashboards.serving import prometheus_with_history
from domain import FakeRuntime, a_listing, a_moment, a_read_state, a_reading, an_api_key, keys
from gateway import Gateway
from scraped import Scraped

from exporter.cometapi.client import CometClient
from exporter.cometapi.rate_limit import RateLimit
from exporter.credentials import Secret
from exporter.endpoint import ApiPath
from exporter.exposition.rendering import Format
from exporter.model import Usage
from exporter.refresh.usage_poller import UsagePoller
from exporter.snapshot import Snapshot

BEGAN = 500_000 * HOUR
HOURS = 4
LATE, NEW = 1, 2
"""In the first of these hours the books are written late, in the second a new model is used."""
RENAMED = (3, 33)
"""When a key gets another name, in the midst of its use."""
NAME = "cometapi_usage_quota_total"


def requests_in(hour: int, minute: int) -> dict[str, int]:
    """Say what each model costs in this minute."""
    if not 25 <= minute < 55:
        return {}
    costs = {"steady": 1_000 + hour, "bursty": 9_000 if minute % 10 == 0 else 40}
    return costs | ({"new": 333} if (hour, minute) >= (NEW, 40) else {})


def is_flushed(hour: int, minute: int) -> bool:
    """Whether the gateway writes its books in this minute: every five, but once not for a while."""
    is_late = (LATE, 45) <= (hour, minute) < (LATE + 1, 8)
    return minute % 5 == 3 and not is_late


async def read_every_minute(
    gateway: Gateway, books: Books, runtime: FakeRuntime, *, by_key: bool
) -> dict[int, Usage]:
    """Return what was known of the usage each minute; the first key is renamed on the way."""
    async with aclosing(
        CometClient(
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
    ) as client:
        poller = UsagePoller(
            client,
            max_series=100,
            by_key=by_key,
            runtime=runtime,
        )
        state, found = a_read_state(*keys(1, 2)), {}
        for hour, minute in [divmod(elapsed, 60) for elapsed in range(HOURS * 60 + 21)]:
            for number, (model, quota) in enumerate(requests_in(hour, minute).items()):
                books.book(runtime.now, model, quota, key_id=1 + number % 2)
            if is_flushed(hour, minute):
                books.flush()
            if (hour, minute) == RENAMED:
                renamed = a_listing(an_api_key(id=1, name="another name"), *keys(2))
                state = poller.with_labels(state.succeeded(a_reading(renamed)))
            if minute % 5 == 0:
                usage = await poller.read(Secret(CANARY_TOKEN), state)
                state = state.answered(ApiPath.USAGE, usage, a_moment())
            found[int(runtime.now)] = state.usage
            runtime.pass_by(60)
        return found


def scraped(usage: Usage, at: int) -> Iterator[str]:
    """Give the lines of one scrape with its time."""
    state = a_read_state(*keys(1, 2), at=at, usage=usage)
    text = Scraped(Snapshot.of([state]), now=at).body(NAME, format_=Format.OPENMETRICS).decode()
    return (f"{line} {at}\n" for line in text.splitlines() if line.startswith(NAME))


@pytest.fixture(scope="module", params=["model", "key-model"])
def prometheus(request, tmp_path_factory):
    """Fill the real Prometheus with what was scraped in four hours."""
    books = Books()
    books.book(BEGAN - 3 * HOUR, "steady", 77_777, key_id=1)
    books.flush()
    by_key = request.param == "key-model"
    with Gateway(offers=books.offers()) as gateway:
        usages = asyncio.run(
            read_every_minute(gateway, books, FakeRuntime(now=BEGAN), by_key=by_key)
        )
    lines = [line for at, usage in usages.items() for line in scraped(usage, at)]
    with prometheus_with_history(tmp_path_factory.mktemp("usage"), [*lines, "# EOF\n"]) as client:
        yield client


def by_model(prometheus: Prometheus, query: str, at: int) -> dict[str, float]:
    found = prometheus.now(f"sum by (model) ({query})", Moment(end=at, seconds=HOUR))
    return {series["metric"]["model"]: float(series["value"][1]) for series in found}


def booked(hour: int) -> dict[str, int]:
    """Add up what the gateway books in the hour from its 20th minute on."""
    costs = [requests_in(hour, minute) for minute in range(60)]
    return {
        model: sum(cost.get(model, 0) for cost in costs) for model in ("steady", "bursty", "new")
    }


@pytest.mark.parametrize("hour", range(HOURS))
def test_an_increase_over_an_hour_is_what_the_gateway_booked(prometheus, hour):
    """Sixty samples span 59 minutes, which Prometheus extrapolates to the hour."""
    found = by_model(prometheus, f"increase({NAME}[1h])", BEGAN + (hour + 1) * HOUR + 20 * 60)

    for model, quota in booked(hour).items():
        assert quota <= found.get(model, 0) <= quota * 60 / 59 + 0.001, model


@pytest.mark.parametrize("hour", range(1, RENAMED[0]))
def test_the_counter_less_the_counter_an_hour_before_is_what_the_gateway_booked(prometheus, hour):
    """A series that is younger than an hour has nothing to take away, and began at 0.

    In the hour of a renaming it misses what the old name counted, where `increase()` does not.
    """
    query = f"{NAME} - ({NAME} offset 1h or {NAME} * 0)"

    assert by_model(prometheus, query, BEGAN + (hour + 1) * HOUR + 20 * 60) == {
        model: quota for model, quota in booked(hour).items() if quota
    }

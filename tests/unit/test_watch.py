"""All accounts together: what they need of a host."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from builders import CANARY_TOKEN
from domain import FakeWorld
from structlog.testing import capture_logs

from exporter.exposition.rendering import Form
from exporter.exposition.telemetry import Telemetry
from exporter.settings.load import load_settings
from exporter.watch import Watch


def settings_of(*names, interval=60.0, url="https://gateway.example.org", per_minute=50):
    settings = load_settings({}, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN})
    account = replace(settings.accounts[0], interval=interval, base_url=url)
    accounts = tuple(replace(account, name=name) for name in names)
    return replace(settings, accounts=accounts, max_requests_per_minute=per_minute)


@contextlib.asynccontextmanager
async def a_watch(settings):
    watch = Watch(load=lambda: settings, world=FakeWorld(), telemetry=Telemetry(version="1"))
    await watch.apply(settings)
    yield watch
    await watch.close()


@pytest.mark.parametrize(
    ("per_minute", "interval", "told"), [(6, 60.0, []), (5, 60.0, [("gateway.example.org", 6.0, 5)]), (6, 120.0, [])]
)
def test_accounts_that_do_not_fit_the_rate_limit_are_told_with_the_arithmetic(per_minute, interval, told):
    async def start():
        async with a_watch(settings_of("a", "b", "c", interval=interval, per_minute=per_minute)):
            pass

    with capture_logs() as logs:
        asyncio.run(start())

    names = ("host", "requests_per_minute_needed", "requests_per_minute_allowed")
    assert [tuple(e[name] for name in names) for e in logs if "too many accounts" in e["event"]] == told


def test_a_reload_changes_the_rate_limit_of_accounts_that_go_on():
    async def play():
        async with a_watch(settings_of("a", per_minute=50)) as watch:
            before = watch.accounts["a"]
            await watch.apply(settings_of("a", per_minute=7))
            (limit,) = watch._rate_limits.values()
            return watch.accounts["a"] is before, limit._sent.maxlen

    assert asyncio.run(play()) == (True, 7)


def test_a_reload_that_cannot_begin_leaves_no_series_behind(monkeypatch):
    async def play():
        async with a_watch(settings_of("a")) as watch:
            monkeypatch.setattr("exporter.cometapi.connections._trust", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await watch.apply(settings_of("a", "b"))
            return list(watch.accounts), b"".join([piece async for piece in watch.exposition.plain(Form.TEXT)])

    accounts, exposition = asyncio.run(play())
    assert accounts == ["a"]
    assert b'account="b"' not in exposition

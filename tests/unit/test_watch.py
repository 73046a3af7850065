"""All accounts together: what they need of a host."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CANARY_TOKEN
from domain import FakeWorld
from structlog.testing import capture_logs

from exporter.exposition.rendering import Format
from exporter.exposition.telemetry import Telemetry
from exporter.settings.load import load_settings
from exporter.watch import Watch


def settings_of(*names, interval=60.0, url="https://gateway.example.org", per_minute=50):
    settings = load_settings({}, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN})
    account = replace(settings.accounts[0], interval=interval, base_url=url)
    accounts = tuple(replace(account, name=name) for name in names)
    return replace(settings, accounts=accounts, max_requests_per_minute=per_minute)


@contextlib.asynccontextmanager
async def a_watch(settings, later=None):
    watch = Watch(
        load=lambda: later or settings, world=FakeWorld(), telemetry=Telemetry(version="1")
    )
    await watch.apply(settings)
    yield watch
    await watch.close()


@pytest.mark.parametrize(
    ("per_minute", "interval", "told"),
    [(6, 60.0, []), (5, 60.0, [("gateway.example.org", 6.0, 5)]), (6, 120.0, [])],
)
def test_accounts_that_do_not_fit_the_rate_limit_are_told_with_the_arithmetic(
    per_minute, interval, told
):
    async def start():
        async with a_watch(settings_of("a", "b", "c", interval=interval, per_minute=per_minute)):
            pass

    with capture_logs() as logs:
        asyncio.run(start())

    names = ("host", "requests_per_minute_needed", "requests_per_minute_allowed")
    assert [
        tuple(e[name] for name in names) for e in logs if "too many accounts" in e["event"]
    ] == told


def test_a_reload_changes_the_rate_limit_of_accounts_that_go_on():
    async def play():
        async with a_watch(settings_of("a", per_minute=50)) as watch:
            before = watch.accounts["a"]
            await watch.apply(settings_of("a", per_minute=7))
            (limit,) = watch._rate_limits.values()
            return watch.accounts["a"] is before, limit._sent.maxlen

    assert asyncio.run(play()) == (True, 7)


def test_a_reload_that_cannot_begin_leaves_the_rate_limit(monkeypatch):
    async def play():
        async with a_watch(settings_of("a", per_minute=50)) as watch:
            monkeypatch.setattr("exporter.cometapi.connections._trust", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await watch.apply(settings_of("a", "b", per_minute=7))
            (limit,) = watch._rate_limits.values()
            return limit._sent.maxlen

    assert asyncio.run(play()) == 50


def test_a_reload_goes_on_when_the_client_that_asked_for_it_leaves():
    async def play():
        file = Path("accounts.yml")
        first, second = (replace(settings_of(*names), config_file=file) for names in ("a", "ab"))
        async with a_watch(first, second) as watch, asyncio.timeout(5):
            begun, go_on, renew = asyncio.Event(), asyncio.Event(), watch.exposition.renew

            async def renew_later(*states):
                begun.set()
                await go_on.wait()
                await renew(*states)

            watch.exposition.renew = renew_later
            asked = asyncio.create_task(watch.reload())
            await begun.wait()
            asked.cancel()
            await asyncio.wait([asked])
            go_on.set()
            await asyncio.gather(*watch._reloads)
            return list(watch.snapshot.accounts)

    assert asyncio.run(play()) == ["a", "b"]


def test_no_reload_removes_an_account_that_is_being_withdrawn():
    async def play():
        seen = []
        async with a_watch(settings_of("a")) as watch:

            async def withdraw():
                seen.append(watch._turn.locked())

            watch.accounts["a"].withdraw_if_old = withdraw
            await watch.withdraw_old()
        return seen

    assert asyncio.run(play()) == [True]


def test_a_reload_that_cannot_begin_leaves_no_series_behind(monkeypatch):
    async def play():
        async with a_watch(settings_of("a")) as watch:
            monkeypatch.setattr("exporter.cometapi.connections._trust", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await watch.apply(settings_of("a", "b"))
            return list(watch.accounts), b"".join(
                [piece async for piece in watch.exposition.plain(Format.TEXT)]
            )

    accounts, exposition = asyncio.run(play())
    assert accounts == ["a"]
    assert b'account="b"' not in exposition


def test_a_reload_that_removes_an_account_removes_its_counters():
    async def play():
        async with a_watch(settings_of("a", "b")) as watch:
            watch.telemetry.request_sent("b", "/api/token/", "200")
            await watch.apply(settings_of("a"))
            return b"".join([piece async for piece in watch.exposition.plain(Format.TEXT)])

    exposition = asyncio.run(play())
    assert b'cometapi_exporter_refreshes_total{account="a"} 0.0' in exposition
    assert b'account="b"' not in exposition

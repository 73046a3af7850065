"""One reload at a time and one waiting, whoever asks."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CANARY_TOKEN
from domain import FakeRuntime
from structlog.testing import capture_logs

from exporter.errors import SettingsError
from exporter.exposition.telemetry import Telemetry
from exporter.reloading import Reloads
from exporter.settings.load import load_settings
from exporter.watch import Watch


def settings_of(*names):
    settings = load_settings({}, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN})
    accounts = tuple(replace(settings.accounts[0], name=name) for name in names)
    return replace(settings, accounts=accounts, config_file=Path("accounts.yml"))


class Applied:
    """A watch whose reloads begin when a test lets them."""

    def __init__(self):
        self.settings = settings_of("a")
        self.telemetry = Telemetry(version="1")
        self.go_on = asyncio.Event()
        self.times = 0

    async def apply(self, settings):
        self.times += 1
        await self.go_on.wait()
        self.settings = settings


async def settle():
    """Let every task run until it waits, and threads end."""
    for _ in range(20):
        await asyncio.sleep(0.005)


def test_who_asks_while_a_reload_is_under_way_shares_the_one_that_follows():
    async def play():
        watch = Applied()
        reloads = Reloads(watch, lambda: settings_of("a", "b"))
        first = asyncio.create_task(reloads.reload())
        await settle()
        others = [asyncio.create_task(reloads.reload()) for _ in range(300)]
        await settle()
        watch.go_on.set()
        results = await asyncio.gather(first, *others)
        return watch.times, set(results)

    with capture_logs():
        assert asyncio.run(play()) == (2, {()})


def test_a_reload_goes_on_when_the_client_that_asked_for_it_leaves():
    async def play():
        watch = Applied()
        asked = asyncio.create_task(Reloads(watch, lambda: settings_of("a", "b")).reload())
        await settle()
        asked.cancel()
        await asyncio.wait([asked])
        watch.go_on.set()
        await settle()
        return [account.name for account in watch.settings.accounts]

    with capture_logs():
        assert asyncio.run(play()) == ["a", "b"]


def wrong_settings():
    raise SettingsError(["first", "second"])


def a_bug():
    raise ZeroDivisionError("CANARY")


def too_late():
    raise TimeoutError


@pytest.mark.parametrize(
    ("load", "problems"),
    [
        (wrong_settings, ("first", "second")),
        (too_late, ("accounts.yml: could not be read in time",)),
        (a_bug, ("a bug in the exporter: ZeroDivisionError",)),
    ],
)
def test_a_reload_that_fails_changes_nothing_and_tells_every_problem(load, problems):
    async def play():
        watch = await Watch.open(
            settings_of("a"), runtime=FakeRuntime(), telemetry=Telemetry(version="1")
        )
        before = watch.refreshers["a"]
        found = await Reloads(watch, load).reload()
        await watch.close()
        return found, list(watch.refreshers.values()) == [before]

    with capture_logs() as logs:
        assert asyncio.run(play()) == (problems, True)
    assert [entry["log_level"] for entry in logs] == ["error"]

"""One reload at a time and one waiting, shared by all requests."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CANARY_TOKEN
from domain import FakeRuntime
from structlog.testing import capture_logs

from exporter.errors import SettingsError
from exporter.exposition.telemetry import Telemetry
from exporter.files import identity
from exporter.problems import Problem
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


def test_a_reload_begins_only_when_the_one_before_has_ended():
    async def play():
        watch = Applied()
        reloads = Reloads(watch, lambda: settings_of("a", "b"))
        both = [asyncio.create_task(reloads.reload())]
        await settle()
        both.append(asyncio.create_task(reloads.reload()))
        await settle()
        begun = watch.times
        watch.go_on.set()
        await asyncio.gather(*both)
        return begun, watch.times

    with capture_logs():
        assert asyncio.run(play()) == (1, 2)


async def looks(reloads, seconds=0.001):
    """Look at the file again and again, as the program does, for the time of a test."""
    asked = asyncio.Event()
    looking = asyncio.create_task(reloads.run(asked, seconds))
    await settle()
    looking.cancel()
    await asyncio.wait([looking])
    await reloads.close()


def problems_logged(logs):
    return [entry["problems"] for entry in logs if entry["log_level"] == "error"]


def test_a_reload_that_failed_is_tried_again_at_each_look_and_logged_once():
    results = [SettingsError(["late"]), SettingsError(["late"]), SettingsError(["other"])]

    def load():
        if results:
            raise results.pop(0)
        return settings_of("a", "b")

    async def play():
        watch = Applied()
        watch.go_on.set()
        reloads = Reloads(watch, load)
        await reloads.reload()
        await looks(reloads)
        return [account.name for account in watch.settings.accounts], watch.times

    with capture_logs() as logs:
        assert asyncio.run(play()) == (["a", "b"], 1)
    assert problems_logged(logs) == ["late", "other"]


def test_a_reload_on_request_logs_the_same_problems_again():
    def load():
        raise SettingsError(["broken"])

    async def play():
        reloads, asked = Reloads(Applied(), load), asyncio.Event()
        running = asyncio.create_task(reloads.run(asked, 0))
        for _ in range(2):
            asked.set()
            await settle()
        running.cancel()
        await asyncio.wait([running])

    with capture_logs() as logs:
        asyncio.run(play())
    assert problems_logged(logs) == ["broken", "broken"]


@pytest.mark.parametrize(("is_changed", "times"), [(True, 1), (False, 0)])
def test_a_change_between_the_start_and_the_first_look_is_not_missed(tmp_path, is_changed, times):
    file = tmp_path / "accounts.yml"
    file.write_text("accounts: []")

    def read():
        return replace(settings_of("a"), config_file=file, config_identity=identity(file))

    async def play():
        watch = Applied()
        watch.go_on.set()
        watch.settings = read()
        if is_changed:
            file.write_text("accounts: [{name: b}]")
        await looks(Reloads(watch, read))
        return watch.times

    with capture_logs():
        assert asyncio.run(play()) == times


def test_a_file_that_cannot_be_looked_at_in_time_is_reloaded_and_so_reported(monkeypatch):
    def hang(_):
        raise TimeoutError

    async def play():
        monkeypatch.setattr("exporter.reloading.identity", hang)
        await looks(Reloads(Applied(), too_late), 0.02)

    with capture_logs() as logs:
        asyncio.run(play())
    assert problems_logged(logs) == ["accounts.yml: could not be read in time"]


def test_a_look_for_which_no_thread_starts_is_a_look_that_failed(monkeypatch, tmp_path):
    def start(_):
        raise RuntimeError("can't start new thread")

    async def play():
        watch = Applied()
        watch.settings = replace(watch.settings, config_file=tmp_path / "accounts.yml")
        reloads = Reloads(watch, lambda: settings_of("a"))
        monkeypatch.setattr("threading.Thread.start", start)
        await looks(reloads)
        return await reloads.reload()

    with capture_logs() as logs:
        problems = asyncio.run(play())
    assert problems == ("cannot start a thread: the limit on tasks is reached",)
    assert problems_logged(logs) == list(problems)


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


def test_a_reload_warns_once_of_what_is_new_in_the_settings():
    first, second = Problem("a", "means nothing"), Problem("b", "means nothing either")
    loaded = [
        replace(settings_of("a"), warnings=(first,)),
        replace(settings_of("a"), warnings=(first, second)),
        replace(settings_of("a"), warnings=(second,)),
        replace(settings_of("a"), warnings=(first, second)),
    ]

    async def play():
        watch = Applied()
        watch.go_on.set()
        watch.settings = loaded.pop(0)
        reloads = Reloads(watch, lambda: loaded.pop(0))
        for _ in range(3):
            await reloads.reload()

    with capture_logs() as logs:
        asyncio.run(play())
    told = [(each["setting"], each["detail"]) for each in logs if each["log_level"] == "warning"]
    assert told == [("b", "means nothing either"), ("a", "means nothing")]


def test_a_reload_that_fails_warns_of_nothing_until_it_succeeds():
    class Refusing(Applied):
        async def apply(self, settings):
            self.times += 1
            if self.times == 1:
                raise ZeroDivisionError
            self.settings = settings

    settings = replace(settings_of("a"), warnings=(Problem("a", "means nothing"),))

    async def play():
        reloads = Reloads(Refusing(), lambda: settings)
        return [await reloads.reload(), await reloads.reload()]

    with capture_logs() as logs:
        assert asyncio.run(play()) == [("a bug in the exporter: ZeroDivisionError",), ()]
    assert [each["log_level"] for each in logs] == ["error", "warning", "info"]

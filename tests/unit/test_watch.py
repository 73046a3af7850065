"""All accounts together: what they need of a host."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from builders import CANARY_TOKEN
from domain import FakeRuntime, a_balance, a_moment, a_read_state, an_api_key
from structlog.testing import capture_logs

from exporter.endpoint import ApiPath
from exporter.errors import Reason
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
async def a_watch(settings, **options):
    watch = await Watch.open(
        settings, runtime=FakeRuntime(), telemetry=Telemetry(version="1"), **options
    )
    yield watch
    await watch.close()


def host_limit(watch):
    (limit,) = watch._hosts._limits.values()
    return limit._sent.maxlen


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
        tuple(e[name] for name in names) for e in logs if "too many accounts or keys" in e["event"]
    ] == told


def test_a_reload_counts_the_keys_that_were_read():
    async def play():
        async with a_watch(settings_of("a", per_minute=12)) as watch:
            store = watch.refreshers["a"].access.store
            store.state = a_read_state(*(an_api_key(id=n) for n in range(1000)), name="a")
            await watch.apply(settings_of("a", per_minute=11))

    with capture_logs() as logs:
        asyncio.run(play())

    assert [
        entry["requests_per_minute_needed"] for entry in logs if entry["log_level"] == "warning"
    ] == [12.0]


def test_a_reload_changes_the_rate_limit_of_accounts_that_go_on():
    async def play():
        async with a_watch(settings_of("a", per_minute=50)) as watch:
            before = watch.refreshers["a"]
            await watch.apply(settings_of("a", per_minute=7))
            return watch.refreshers["a"] is before, host_limit(watch)

    assert asyncio.run(play()) == (True, 7)


def test_a_reload_that_cannot_begin_leaves_the_rate_limit(monkeypatch):
    async def play():
        async with a_watch(settings_of("a", per_minute=50)) as watch:
            monkeypatch.setattr("exporter.cometapi.connections.trust_in", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await watch.apply(settings_of("a", "b", per_minute=7))
            return host_limit(watch)

    assert asyncio.run(play()) == 50


def test_what_nobody_scrapes_is_not_rendered():
    """--check, --audit and --once need no rendering of each change, which takes 1 s for 100,000 keys."""

    async def play():
        async with a_watch(settings_of("a"), is_scraped=False) as watch:
            state = a_read_state(an_api_key(id=7), name="a")
            await watch.publish(state)
            return watch.snapshot.accounts["a"] is state, watch.exposition.parts(Format.TEXT)

    is_current, exposed = asyncio.run(play())

    assert is_current
    assert b"cometapi_key_status{" not in b"".join(exposed)


def shown(watch):
    return list(watch.snapshot.accounts), list(watch.exposition._exposed.renderings)


def test_an_account_that_is_removed_while_it_changes_is_not_shown_again():
    async def play():
        async with a_watch(settings_of("a", "b")) as watch:
            removed = watch.refreshers["a"].access.store
            render, go_on = watch.exposition._render, asyncio.Event()

            async def render_late(state):
                await go_on.wait()
                return await render(state)

            watch.exposition._render = render_late
            changing = asyncio.create_task(removed.change(lambda state: replace(state, name="a")))
            reloading = asyncio.create_task(watch.apply(settings_of("b")))
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(changing, reloading)
            await removed.change(lambda state: replace(state, name="a"))
            await removed.show()
            return shown(watch)

    assert asyncio.run(play()) == (["b"], ["b"])


def test_what_is_too_old_is_withdrawn_while_a_reload_is_under_way():
    async def play():
        aged = []
        async with a_watch(settings_of("a", "b")) as watch:
            reached, go_on = asyncio.Event(), asyncio.Event()

            async def close_late():
                reached.set()
                await go_on.wait()

            async def age():
                aged.append("b")

            watch.refreshers["a"].close = close_late
            watch.refreshers["b"].access.store.age = age
            reloading = asyncio.create_task(watch.apply(settings_of("b")))
            await reached.wait()
            await watch.age()
            before_the_end = list(aged)
            go_on.set()
            await reloading
        return before_the_end

    assert asyncio.run(play()) == ["b"]


def test_a_bug_while_an_expired_key_is_rendered_ends_nothing_and_is_logged_without_its_text():
    async def play():
        async with a_watch(settings_of("a")) as watch:

            async def catch_up():
                raise ZeroDivisionError("CANARY")

            watch.exposition.catch_up = catch_up
            await watch.age()

    with capture_logs() as logs:
        asyncio.run(play())

    assert [(e["event"], e["error"]) for e in logs] == [
        ("rendering crashed (bug)", "ZeroDivisionError")
    ]
    assert "CANARY" not in repr(logs)


def test_an_account_whose_rendering_crashes_is_failing_and_others_are_shown():
    async def play():
        async with a_watch(settings_of("a", "b")) as watch:
            renew = watch.exposition.renew

            async def renew_but_a(*states):
                if states[0].name == "a":
                    raise ZeroDivisionError("CANARY")
                await renew(*states)

            watch.exposition.renew = renew_but_a
            for refresher in watch.refreshers.values():
                await refresher.access.store.change(lambda state: replace(state, clock_skew=9.0))
            return watch.snapshot.accounts

    with capture_logs():
        accounts = asyncio.run(play())

    assert [(s.failing, s.clock_skew) for s in accounts.values()] == [
        (Reason.INTERNAL, None),
        (None, 9.0),
    ]


def test_a_reload_that_cannot_begin_leaves_no_series_behind(monkeypatch):
    async def play():
        async with a_watch(settings_of("a")) as watch:
            monkeypatch.setattr("exporter.cometapi.connections.trust_in", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await watch.apply(settings_of("a", "b"))
            return list(watch.refreshers), b"".join(
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


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_number_that_no_float_can_hold_is_an_internal_failure_and_the_last_rendering_stays(
    number,
):
    async def play():
        async with a_watch(settings_of("a", "b")) as watch:
            store = watch.refreshers["a"].access.store
            good = a_balance(remaining_quota=7)
            await store.change(lambda state: state.answered(ApiPath.BALANCE, good, a_moment()))
            huge = a_balance(remaining_quota=number)
            await store.change(lambda state: state.answered(ApiPath.BALANCE, huge, a_moment()))
            text = b"".join([piece async for piece in watch.exposition.plain(Format.TEXT)])
            return watch.snapshot.accounts["a"].failing, text.decode()

    with capture_logs():
        failing, text = asyncio.run(play())

    assert failing is Reason.INTERNAL
    assert 'cometapi_account_remaining_quota{account="a"} 7.0\n' in text
    assert 'cometapi_up{account="a"} 0.0\n' in text

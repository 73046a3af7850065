"""All accounts together: what they need of a host, and which are monitored."""

import asyncio
from dataclasses import replace

import pytest
from builders import CANARY_TOKEN
from domain import FakeWorld
from structlog.testing import capture_logs

from exporter.exposition.telemetry import Telemetry
from exporter.settings.load import load_settings
from exporter.watch import Watch, requests_a_minute


def settings_of(*names, interval=60.0, url="https://gateway.example.org", per_minute=50):
    settings = load_settings({}, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN})
    account = replace(settings.accounts[0], interval=interval, base_url=url)
    accounts = tuple(replace(account, name=name) for name in names)
    return replace(settings, accounts=accounts, max_requests_per_minute=per_minute)


@pytest.mark.parametrize(
    ("names", "interval", "needed"), [(["a"], 60.0, 2.0), (["a", "b", "c"], 60.0, 6.0), (["a", "b"], 10.0, 24.0)]
)
def test_each_account_needs_two_requests_of_its_host_for_each_refresh(names, interval, needed):
    accounts = settings_of(*names, interval=interval).accounts

    assert requests_a_minute(accounts) == {"gateway.example.org": needed}


@pytest.mark.parametrize(("per_minute", "events"), [(6, []), (5, [{"needed": 6.0, "allowed": 5}])])
def test_accounts_that_do_not_fit_the_rate_limit_are_told_with_the_arithmetic(per_minute, events):
    async def start():
        watch = Watch(world=FakeWorld().surroundings, telemetry=Telemetry(version="1"), clock=FakeWorld().clock)
        await watch.apply(settings_of("a", "b", "c", per_minute=per_minute))
        await watch.close()

    with capture_logs() as logs:
        asyncio.run(start())

    told = [entry for entry in logs if "too many accounts" in entry["event"]]
    assert [
        {"needed": e["requests_per_minute_needed"], "allowed": e["requests_per_minute_allowed"]} for e in told
    ] == events


def test_a_reload_changes_the_rate_limit_of_accounts_that_go_on():
    async def play():
        watch = Watch(world=FakeWorld().surroundings, telemetry=Telemetry(version="1"), clock=FakeWorld().clock)
        await watch.apply(settings_of("a", per_minute=50))
        before = watch.accounts["a"]
        await watch.apply(settings_of("a", per_minute=7))
        kept, (limit,) = watch.accounts["a"] is before, watch._rate_limits.values()
        await watch.close()
        return kept, limit._per_minute

    assert asyncio.run(play()) == (True, 7)

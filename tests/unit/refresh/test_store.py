"""One door to the state: what is published, and what a bug in publishing does."""

import asyncio
from dataclasses import replace

import pytest
from domain import NOW, a_balance, a_listing, keys
from stage import stage

from exporter.endpoint import ApiPath
from exporter.errors import Reason

GOOD = a_listing(*keys(2, 1))


def crash_on(played, is_bad):
    """Let the rendering of a state crash where *is_bad* says so."""

    async def publish(state):
        if is_bad(state):
            raise OverflowError("CANARY")
        played.published.append(state)

    played.refresher.access.store._publish = publish


def test_a_listing_that_cannot_be_rendered_fails_as_internal_and_the_last_one_stays():
    played = stage(GOOD, a_listing(*keys(3)))
    crash_on(played, lambda state: 3 in [key.id for key in state.keys])
    pauses, logs = played.refreshes(3)

    assert played.outcomes == ["success", "internal", "internal"]
    assert [key.id for key in played.state.keys] == [2, 1]
    assert (played.state.failing, played.state.read_at) == (Reason.INTERNAL, NOW)
    assert played.published[-1] == played.state
    assert pauses == [60, 60, 60]
    assert "CANARY" not in repr((logs, played.state))


def test_a_balance_that_cannot_be_rendered_fails_the_account_as_internal():
    played = stage(GOOD, values={ApiPath.BALANCE: a_balance(remaining_quota=10**400)})
    crash_on(played, lambda state: state.balance is not None)
    played.refreshes(1)
    played.poll(ApiPath.BALANCE)

    assert (played.state.failing, played.state.balance) == (Reason.INTERNAL, None)
    assert played.outcomes == ["success", "internal"]
    assert [key.id for key in played.state.keys] == [2, 1]


def test_an_account_that_can_never_be_rendered_is_failing_and_its_refreshes_go_on():
    played = stage(GOOD)
    crash_on(played, lambda _: True)
    pauses, _ = played.refreshes(2)

    assert played.outcomes == ["internal"] * 2
    assert (played.state.failing, played.state.first_refresh_ended) == (Reason.INTERNAL, True)
    assert pauses == [60, 60]


def test_values_that_cannot_be_rendered_as_stale_end_nothing_and_are_counted():
    played = stage(GOOD)
    played.refreshes(1)
    crash_on(played, lambda state: state.is_withdrawn)
    played.runtime.pass_by(3600)
    played.run(played.refresher.access.store.age())

    assert (played.outcomes, played.state.failing) == (["success", "internal"], Reason.INTERNAL)


def test_an_account_recovers_from_an_internal_failure_with_the_next_good_listing():
    played = stage(a_listing(*keys(3)), GOOD)
    crash_on(played, lambda state: 3 in [key.id for key in state.keys])
    played.refreshes(2)

    assert played.outcomes == ["internal", "success"]
    assert ("info", "refresh recovered") in played.loud()


def test_changes_at_once_lose_nothing_and_nothing_old_is_published_last():
    async def work():
        published = []

        async def publish(state):
            await asyncio.sleep(0)
            published.append(state.clock_skew)

        store = played.refresher.access.store
        store._publish = publish
        changes = [store.change(_one_more) for _ in range(20)]
        await asyncio.gather(*changes)
        return published

    def _one_more(state):
        return replace(state, clock_skew=(state.clock_skew or 0) + 1)

    played = stage(GOOD)

    assert played.run(work()) == list(range(1, 21))


def test_a_change_that_changes_nothing_is_not_published():
    played = stage(GOOD)
    played.run(played.refresher.access.store.change(lambda state: state))

    assert played.published == []


@pytest.mark.parametrize("seconds", [3_599, 3_600])
def test_keys_are_withdrawn_when_reading_them_began_stale_after_ago(seconds):
    played = stage(GOOD)
    played.client.on_list = lambda: played.runtime.pass_by(100)
    played.run(played.refresher.listing.refresh())
    played.runtime.pass_by(seconds - 100)
    for _ in range(2):
        played.run(played.refresher.access.store.age())

    assert played.state.serves_data is (seconds < 3_600)
    assert len(played.published) == (1 if seconds < 3_600 else 2)

"""Each endpoint beside the keys: its pace, its memory, and what a failure of it changes."""

import asyncio
from types import SimpleNamespace

import pytest
from domain import NOW, a_balance, a_listing, a_subscription, failure, keys, not_offered
from stage import VirtualRuntime, asked, stage

from exporter.credentials import TokenFile
from exporter.endpoint import ApiPath, Failing, Known, NotOffered, Unknown
from exporter.errors import RateLimited, Reason
from exporter.model import GatewayStatus, Subscriptions
from exporter.refresh.groups_poller import GroupsPoller
from exporter.refresh.pollers import pause

GOOD = a_listing(*keys(2, 1))
EMPTY_ACCOUNT = a_balance(remaining_quota=0)
ALL = {
    ApiPath.BALANCE: a_balance(),
    ApiPath.STATUS: GatewayStatus(version="v1"),
    ApiPath.GROUPS: {"vip": 1.0},
    ApiPath.SUBSCRIPTIONS: Subscriptions(),
}


def test_a_balance_shows_at_once_while_the_listing_fails():
    played = stage(failure(Reason.TOO_MANY_KEYS))
    played.refreshes(1)
    played.poll(ApiPath.BALANCE)

    assert played.published[-1].balance == a_balance()
    assert played.published[-1].failing is Reason.TOO_MANY_KEYS


def test_an_account_that_becomes_empty_shows_within_one_interval_however_long_a_listing_takes():
    runtime = VirtualRuntime()
    played = stage(GOOD, values=dict(ALL), runtime=runtime)
    listed = played.client.list_keys

    async def slowly(token, *, progress):
        await runtime.sleep(240)
        return await listed(token, progress=progress)

    played.client.list_keys = slowly
    runtime.on_wake = lambda _: played.client.values.update({ApiPath.BALANCE: EMPTY_ACCOUNT})
    played.run_for(61)

    assert played.state.is_exhausted
    assert not played.state.first_refresh_ended


def test_each_endpoint_has_its_own_pace():
    played = stage(GOOD, values=dict(ALL), runtime=VirtualRuntime())
    played.run_for(1_199)

    assert [asked(played, path) for path in ALL] == [20, 2, 7, 2]


def test_an_endpoint_that_is_not_offered_is_asked_for_again_after_an_hour():
    played = stage(GOOD, values={ApiPath.BALANCE: a_balance()})
    played.refreshes(1)

    assert played.poll(ApiPath.GROUPS) == 3_600
    assert played.state.endpoints.groups == NotOffered()


def test_an_endpoint_that_fails_is_asked_for_again_after_an_interval_then_less_and_less():
    played = stage(GOOD, values={ApiPath.STATUS: failure(Reason.TIMEOUT)})
    played.refreshes(1)

    assert [played.poll(ApiPath.STATUS) for _ in range(6)] == [60, 60 * 2, 240, 480, 600, 600]


def test_an_endpoint_that_asks_for_a_longer_pause_gets_it():
    played = stage(GOOD, values={ApiPath.STATUS: RateLimited("HTTP 429", retry_after=90.0)})

    assert played.poll(ApiPath.STATUS) == 90


@pytest.mark.parametrize("reason", sorted({*Reason} - {Reason.INCONSISTENT}))
def test_what_answered_before_is_failing_whatever_comes_and_keeps_its_value(reason):
    played = stage(GOOD, values=dict(ALL))
    played.refreshes(1)
    played.poll(ApiPath.GROUPS)
    played.client.values[ApiPath.GROUPS] = failure(reason)
    played.poll(ApiPath.GROUPS)

    groups = played.state.endpoints.groups
    assert isinstance(groups, Failing)
    assert (groups.failure.reason, played.state.open_groups) == (reason, {"vip": 1.0})


@pytest.mark.parametrize(
    "reason",
    [Reason.UNAUTHORIZED, Reason.ACCOUNT_DISABLED, Reason.RATE_LIMITED, Reason.SERVER_ERROR],
)
def test_what_never_answered_and_fails_is_unknown_and_never_taken_for_none(reason):
    played = stage(GOOD, values={**ALL, ApiPath.SUBSCRIPTIONS: failure(reason)})
    played.client.values[ApiPath.BALANCE] = EMPTY_ACCOUNT
    played.refreshes(1)
    played.poll_all()

    assert isinstance(played.state.endpoints.subscriptions, Unknown)
    assert not played.state.is_exhausted


def test_a_failing_value_is_absent_past_stale_after_and_comes_back():
    played = stage(GOOD, values=dict(ALL))
    played.refreshes(1)
    played.poll_all()
    seen = []
    played.client.values[ApiPath.GROUPS] = failure(Reason.TIMEOUT)
    for seconds in (3_599, 1):
        played.runtime.pass_by(seconds)
        played.run(played.refresher.access.store.age())
        played.poll(ApiPath.GROUPS)
        seen.append(played.state.open_groups)
    played.client.values[ApiPath.GROUPS] = {"new": 1.0}
    played.poll(ApiPath.GROUPS)

    assert [*seen, played.state.open_groups] == [{"vip": 1.0}, None, {"new": 1.0}]


def test_a_bug_in_reading_an_endpoint_is_its_failure_alone_and_its_text_is_not_logged():
    played = stage(GOOD, values={**ALL, ApiPath.GROUPS: ZeroDivisionError("CANARY")})
    played.refreshes(1)
    played.poll_all()

    assert played.state.endpoints.groups.failure.reason is Reason.INTERNAL
    assert (played.state.failing, played.state.balance) == (None, a_balance())
    assert ("error", "refresh crashed (bug)") in played.loud()
    assert "CANARY" not in repr((played.logs, played.published))


def test_what_was_asked_for_another_account_changes_nothing():
    played = stage(GOOD, values={**ALL, ApiPath.BALANCE: a_balance(account_id=1)})
    played.refreshes(1)
    played.poll(ApiPath.BALANCE)
    loop = played.refresher.polls[2]

    async def read_groups(_):
        played.client.values[ApiPath.BALANCE] = a_balance(account_id=2)
        await played.refresher.polls[0].read()
        return {"of the former account": 1.0}

    loop.poller = GroupsPoller(read_groups)
    played.run(loop.read())

    assert isinstance(played.state.endpoints.groups, Unknown)
    assert played.state.account_id == 2


def test_everything_is_read_at_once_when_another_account_appears():
    runtime = VirtualRuntime()
    played = stage(GOOD, values={**ALL, ApiPath.BALANCE: a_balance(account_id=1)}, runtime=runtime)
    began = runtime.ticks

    def swap(_):
        if runtime.ticks - began >= 60:
            played.client.values[ApiPath.BALANCE] = a_balance(account_id=2)

    runtime.on_wake = swap
    played.run_for(61)

    assert played.state.account_id == 2
    assert isinstance(played.state.endpoints.groups, Known)
    assert [key.id for key in played.state.keys] == [2, 1]
    assert asked(played, ApiPath.GROUPS) == 2


def test_after_trouble_everything_is_read_at_once(tmp_path):
    token = tmp_path / "token"
    token.write_text("wrong")
    runtime = VirtualRuntime()
    rejected = failure(Reason.UNAUTHORIZED)
    values = dict.fromkeys(ALL, rejected)
    played = stage(*[rejected] * 3, GOOD, values=values, runtime=runtime, token=TokenFile(token))
    began = runtime.ticks

    def replace_token(_):
        if runtime.ticks - began >= 230:
            token.write_text("right")
            played.client.values.update(ALL)

    runtime.on_wake = replace_token
    # The other endpoints fail at 0, 60 and 180 s, and would be asked again at 420 s.
    played.run_for(241)

    assert played.state.failing is None
    assert (played.state.balance, played.state.open_groups) == (a_balance(), {"vip": 1.0})


# The log.


def endpoint_lines(played):
    return [
        (entry["event"], entry["path"], entry.get("reason"))
        for entry in played.logs
        if entry["event"].startswith("endpoint")
    ]


def test_a_failure_of_an_endpoint_is_logged_when_it_begins_changes_and_ends():
    played = stage(GOOD, values=dict(ALL))

    def minutes(number, answer):
        played.client.values[ApiPath.GROUPS] = answer
        for _ in range(number):
            played.poll(ApiPath.GROUPS)
            played.refreshes(1)

    minutes(2, {"vip": 1.0})
    minutes(3, failure(Reason.TIMEOUT))
    minutes(3, failure(Reason.SERVER_ERROR))
    minutes(2, {"vip": 1.0})

    assert endpoint_lines(played) == [
        ("endpoint failed", "/api/user/self/groups", "timeout"),
        ("endpoint failed", "/api/user/self/groups", "server_error"),
        ("endpoint recovered", "/api/user/self/groups", None),
    ]


def test_a_refused_token_is_one_line_and_not_one_for_each_endpoint():
    rejected = failure(Reason.UNAUTHORIZED)
    played = stage(rejected, values=dict.fromkeys(ALL, rejected))
    played.poll_all()
    played.refreshes(3)
    played.poll_all()
    played.refreshes(1)

    assert played.loud() == [("warning", "refresh failed")]


def test_what_a_gateway_does_not_offer_is_not_logged():
    played = stage(GOOD, values={})
    played.poll_all()
    played.refreshes(2)
    played.poll_all()
    played.refreshes(1)

    assert endpoint_lines(played) == []


def test_an_endpoint_that_answered_and_denies_itself_now_is_logged():
    played = stage(GOOD, values=dict(ALL))
    played.refreshes(1)
    played.poll_all()
    played.client.values[ApiPath.GROUPS] = not_offered()
    played.poll_all()
    played.refreshes(1)

    assert endpoint_lines(played) == [
        ("endpoint failed", "/api/user/self/groups", "invalid_response")
    ]


def test_everything_is_read_once_for_a_report():
    played = stage(GOOD, values=dict(ALL))
    played.run(played.refresher.read_once())

    assert [asked(played, path) for path in ALL] == [1, 1, 1, 1]
    assert (played.state.balance, played.state.open_groups) == (a_balance(), {"vip": 1.0})
    assert "retry_in_seconds" not in repr(played.logs)


def test_reading_once_asks_for_nothing_else_where_the_keys_cannot_be_listed():
    played = stage(failure(Reason.UNAUTHORIZED), values=dict(ALL))
    played.run(played.refresher.read_once())

    assert (played.client.asked, played.state.read_at) == ([], None)


def test_a_value_knows_when_reading_it_began():
    played = stage(GOOD, values=dict(ALL))

    async def slow_balance(_):
        played.runtime.pass_by(9)
        return a_balance()

    loop = played.refresher.polls[0]
    loop.poller = type(loop.poller)(ApiPath.BALANCE, loop.poller.pace, slow_balance)
    pause = played.run(loop.read())

    assert played.state.endpoints.balance.read_at.unix == NOW
    assert pause == 51


def test_closed_while_everything_is_read_it_ends_at_once_and_publishes_nothing():
    played = stage(GOOD, values=dict(ALL))
    started = asyncio.Event()

    async def never(*_, **__):
        started.set()
        await asyncio.Event().wait()

    for name in ("list_keys", "read_balance", "read_status", "read_groups", "read_subscriptions"):
        setattr(played.client, name, never)
    again = type(played)(client=played.client)

    async def close():
        async with asyncio.TaskGroup() as tasks:
            again.refresher.start(tasks, 0)
            await started.wait()
            await again.refresher.close()
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert again.run(close()) == []
    assert (again.published, again.counted, again.client.is_closed) == ([], [], True)


@pytest.mark.parametrize("turns", range(6))
def test_a_pause_that_is_cancelled_at_any_moment_ends_what_waits_for_it(turns):
    """A loop that lost its cancellation would go on for ever, and a reload would wait for it."""

    async def sleep(_seconds):
        await asyncio.sleep(0)

    async def play():
        runtime = SimpleNamespace(sleep=sleep)
        waiting = asyncio.create_task(pause(1.0, asyncio.Event(), runtime))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_under_way = waiting.cancel()
        await asyncio.wait([waiting])
        return not was_under_way or waiting.cancelled()

    assert asyncio.run(play())


def test_subscriptions_are_read_with_the_balance_while_one_is_running():
    values = {**ALL, ApiPath.SUBSCRIPTIONS: a_subscription(5)}
    played = stage(GOOD, values=values, runtime=VirtualRuntime())
    played.run_for(599)

    assert asked(played, ApiPath.SUBSCRIPTIONS) == asked(played, ApiPath.BALANCE) == 10


def test_subscriptions_of_an_account_that_cannot_pay_are_read_with_the_balance():
    """So that a new subscription counts within an interval."""
    runtime = VirtualRuntime()
    played = stage(GOOD, values=dict(ALL), runtime=runtime)
    began, was_empty = runtime.ticks, []

    def run_empty(at):
        if at > began + 100:
            played.client.values[ApiPath.BALANCE] = EMPTY_ACCOUNT
        if at > began + 250:
            was_empty.append(played.state.is_exhausted)
            played.client.values[ApiPath.SUBSCRIPTIONS] = a_subscription(5)

    runtime.on_wake = run_empty
    played.run_for(310)

    assert was_empty[0]
    assert not played.state.is_exhausted


@pytest.mark.parametrize("moment", ["ends_at", "resets_at"])
@pytest.mark.parametrize("skew", [None, 0.0, 40.0, -40.0])
def test_subscriptions_are_read_at_the_moment_at_which_one_ends_or_is_reset(moment, skew):
    """The moment is one of the gateway's clock."""
    values = {**ALL, ApiPath.SUBSCRIPTIONS: a_subscription(5, **{moment: NOW + 100})}
    played = stage(GOOD, values=values, runtime=VirtualRuntime(), interval=600.0)
    played.client.dialect.clock_skew = skew
    played.refreshes(1)
    played.runtime.pass_by(-60)

    assert played.poll(ApiPath.SUBSCRIPTIONS) == 101 + (skew or 0.0)


def test_a_moment_that_has_passed_does_not_hurry():
    values = {**ALL, ApiPath.SUBSCRIPTIONS: a_subscription(5, ends_at=NOW - 1, resets_at=NOW)}
    played = stage(GOOD, values=values, interval=600.0)

    assert played.poll(ApiPath.SUBSCRIPTIONS) == 600


def test_what_was_denied_to_a_rejected_token_is_asked_for_again_before_it_is_believed():
    """Older gateways deny everything to a wrong token by `success: false`."""
    refused = failure(Reason.REJECTED)
    played = stage(refused, GOOD, values=dict.fromkeys(ALL, refused))
    played.refreshes(1)
    played.poll_all()
    played.client.values = {**ALL, ApiPath.BALANCE: EMPTY_ACCOUNT}
    played.poll(ApiPath.BALANCE)
    played.refreshes(1)

    assert isinstance(played.state.endpoints.subscriptions, Unknown)
    assert not played.state.is_exhausted

"""The refreshes of one account, in a world whose time a test turns."""

import asyncio
import gc
import re
import weakref
from dataclasses import dataclass, field
from functools import partial

import pytest
from domain import (
    NOW,
    FakeReader,
    FakeWorld,
    a_balance,
    a_listing,
    an_account,
    an_api_key,
    failure,
    keys,
    used,
)
from structlog.testing import capture_logs

from exporter.credentials import TokenFile
from exporter.errors import RateLimited, Reason
from exporter.model import Facts
from exporter.refresh import refresher
from exporter.refresh.account_reader import AccountReader
from exporter.refresh.refresher import Refresher

GOOD = a_listing(*keys(2, 1))
FULL, EMPTY = a_listing(*keys(*range(50))), a_listing()


@dataclass(kw_only=True)
class Stage:
    """One refresher and everything around it."""

    reader: FakeReader
    account: dict = field(default_factory=dict)
    world: FakeWorld = field(default_factory=FakeWorld)
    published: list = field(default_factory=list)
    counted: list = field(default_factory=list)

    def __post_init__(self):
        self.refresher = Refresher(
            an_account(**self.account),
            self.reader,
            publish=self.publish,
            count=lambda *seen: self.counted.append(seen),
            world=self.world,
        )

    async def publish(self, state):
        self.published.append(state)

    @property
    def outcomes(self):
        return [outcome for _, outcome, _ in self.counted]

    def refreshes(self, number):
        """Do *number* refreshes a minute apart; return the pauses and what was logged."""

        async def run():
            for _ in range(number):
                pauses.append(await self.refresher.refresh())
                self.world.pass_by(60)

        pauses = []
        with capture_logs() as logs:
            asyncio.run(run())
        return pauses, logs

    def run_until(self, sleeps):
        """Run until the *sleeps*-th sleep, and cancel there; return the seconds of each."""

        class Enough(BaseException):
            pass

        def stop(_):
            if len(self.world.slept) >= sleeps:
                raise Enough

        before = self.world.on_sleep
        self.world.on_sleep = lambda seconds: (before(seconds), stop(seconds))
        with capture_logs(), pytest.raises(Enough):
            asyncio.run(self.refresher.run(0.5))
        return self.world.slept


def stage(*listings, **account):
    return Stage(reader=FakeReader(listings=list(listings)), account=account)


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    return path


def loud(logs):
    """List what is said above debug, as (level, event)."""
    return [(entry["log_level"], entry["event"]) for entry in logs if entry["log_level"] != "debug"]


def test_a_success_is_published_counted_and_said_once():
    played = stage(GOOD)
    pauses, logs = played.refreshes(3)

    assert pauses == [60, 60, 60]
    assert [(s.read_at, [k.id for k in s.keys], s.failing) for s in played.published[:2]] == [
        (NOW, [2, 1], None),
        (NOW + 60, [2, 1], None),
    ]
    assert played.published[0].balance == a_balance()
    assert played.published[0].next_refresh_at == NOW + 60
    assert played.counted == [("main", "success", 0.0)] * 3
    assert loud(logs) == [("info", "refresh succeeded")]
    assert (logs[0]["account"], logs[0]["keys"], logs[0]["complete"]) == ("main", 2, True)


def test_the_time_a_refresh_takes_is_counted_and_taken_from_the_pause():
    played = stage(GOOD)
    played.reader.on_list = lambda: played.world.pass_by(7.5)

    pauses, _ = played.refreshes(1)

    assert (pauses, played.counted) == ([52.5], [("main", "success", 7.5)])


@pytest.mark.parametrize("jump", [-86_400, 86_400], ids=["back", "ahead"])
def test_a_jump_of_the_wall_clock_changes_neither_pause_nor_duration_nor_health_and_withdraws_nothing(
    jump,
):
    played = stage(GOOD)
    played.reader.on_list = lambda: setattr(played.world, "now", played.world.now + jump)

    pauses, _ = played.refreshes(2)
    asyncio.run(played.refresher.withdraw_if_old())

    assert pauses == [60, 60]
    assert played.counted == [("main", "success", 0.0)] * 2
    assert played.refresher.is_alive
    assert [state.serves_data for state in played.published] == [True, True]


def test_a_failed_refresh_keeps_the_last_keys_and_counts_its_reason():
    played = stage(GOOD, failure(Reason.REJECTED))
    played.refreshes(2)

    assert [key.id for key in played.published[1].keys] == [2, 1]
    assert (played.published[1].failing, played.published[1].read_at) == (Reason.REJECTED, NOW)
    assert played.outcomes == ["success", "rejected"]


def test_trouble_is_said_when_it_starts_when_its_reason_changes_and_when_it_ends():
    timeout, refused = (
        failure(Reason.TIMEOUT, "no answer"),
        failure(Reason.UNAUTHORIZED, "HTTP 401"),
    )
    _, logs = stage(GOOD, timeout, timeout, timeout, refused, refused, GOOD, GOOD).refreshes(8)

    assert loud(logs) == [
        ("info", "refresh succeeded"),
        ("warning", "refresh failed"),
        ("warning", "refresh failed"),
        ("info", "refresh recovered"),
    ]
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [
        (entry["reason"], entry["detail"], entry["retry_in_seconds"]) for entry in warnings
    ] == [
        ("timeout", "no answer", 60.0),
        ("unauthorized", "HTTP 401", 480.0),
    ]
    assert (
        next(entry for entry in logs if entry["event"] == "refresh recovered")["previous_reason"]
        == "unauthorized"
    )
    assert [entry["event"] for entry in logs if entry["log_level"] == "debug"] == [
        "refresh failed"
    ] * 3 + ["refresh succeeded"]


def test_trouble_that_lasts_is_said_every_hour():
    _, logs = stage(failure(Reason.TIMEOUT)).refreshes(122)

    assert loud(logs) == [("warning", "refresh failed")] * 3


def test_the_last_refresh_announces_no_retry():
    with capture_logs() as logs:
        asyncio.run(stage(failure(Reason.TIMEOUT)).refresher.refresh(is_last=True))

    assert "retry_in_seconds" not in logs[0]


@pytest.mark.parametrize("is_last", [False, True])
def test_the_last_refresh_alone_waits_for_a_slow_balance(is_last, monkeypatch):
    class Slow(FakeReader):
        async def read_balance(self, token):
            answer = asyncio.Event()
            if is_last:
                asyncio.get_running_loop().call_later(0.05, answer.set)
            await answer.wait()
            return await super().read_balance(token)

    monkeypatch.setattr(refresher, "AccountReader", partial(AccountReader, patience=0.0))
    played = Stage(reader=Slow(listings=[GOOD]))
    with capture_logs():
        asyncio.run(played.refresher.refresh(is_last=is_last))

    assert played.published[0].balance == (a_balance() if is_last else None)


def test_the_last_refresh_reads_usage_by_key_even_if_it_is_the_first():
    played = stage(GOOD, usage="key-model")
    played.reader.facts = Facts(has_usage=True)
    played.reader.usage = {True: used(5, key_id=2) | used(5, key_id=9), False: {}}
    with capture_logs():
        asyncio.run(played.refresher.refresh(is_last=True))

    assert [row.key_id for row in played.published[0].usage.rows] == [2]


def test_failures_running_lengthen_the_pause_up_to_ten_intervals_and_a_success_ends_that():
    fault = failure(Reason.SERVER_ERROR)
    pauses, _ = stage(*[fault] * 6, GOOD, fault).refreshes(8)

    assert pauses == [60, 120, 240, 480, 600, 600, 60, 60]


def test_the_pause_that_a_rate_limit_asks_for_is_kept():
    assert stage(RateLimited("HTTP 429", retry_after=90.0)).refreshes(1)[0] == [90]


class BrokenToken:
    origin = "nowhere"

    def read(self):
        raise ZeroDivisionError("CANARY")


@pytest.mark.parametrize("place", ["list_keys", "read_balance", "read"])
def test_a_bug_anywhere_fails_the_refresh_as_internal_and_its_text_is_not_logged(place):
    played = stage(GOOD, **({"token": BrokenToken()} if place == "read" else {}))
    if place == "list_keys":
        played.reader.listings.insert(0, ZeroDivisionError("CANARY"))
    if place == "read_balance":
        played.reader.balance = ZeroDivisionError("CANARY")
    _, logs = played.refreshes(1)
    crash = next(entry for entry in logs if entry["event"] == "refresh crashed (bug)")

    assert played.outcomes == ["internal"]
    assert played.published[0].error == "a bug in the exporter: ZeroDivisionError"
    assert (crash["log_level"], crash["error"]) == ("error", "ZeroDivisionError")
    assert crash["at"][-1].startswith(f"{place}:")
    assert "CANARY" not in repr((logs, played.published))


def test_a_balance_that_fails_fails_no_refresh_and_is_said_once():
    played = stage(GOOD)
    played.reader.balance = failure(Reason.UNAUTHORIZED, "HTTP 403")
    _, first = played.refreshes(3)
    played.reader.balance = failure(Reason.TIMEOUT)
    _, changed = played.refreshes(2)
    played.reader.balance = a_balance()
    _, ended = played.refreshes(2)

    assert set(played.outcomes) == {"success"}
    assert [state.balance for state in played.published] == [None] * 5 + [a_balance()] * 2
    assert loud(first) == [
        ("warning", "account balance unavailable"),
        ("info", "refresh succeeded"),
    ]
    assert loud(changed) == [("warning", "account balance unavailable")]
    assert loud(ended) == [("info", "account balance available again")]


@pytest.mark.parametrize(
    ("listings", "shown", "outcomes"),
    [
        ([FULL, EMPTY, EMPTY, EMPTY], [50, 50, 0], ["success", "inconsistent", "success"]),
        ([FULL, EMPTY, FULL], [50, 50], ["success", "success"]),
        (
            [GOOD, *[a_listing(*keys(3), is_complete=False)] * 2],
            [2, 3],
            ["success", "inconsistent"],
        ),
    ],
    ids=["believed when the next refresh says the same", "a mistake is not shown", "incomplete"],
)
def test_a_suspicious_listing_is_read_again_and_keeps_the_keys(listings, shown, outcomes):
    played = stage(*listings)
    pauses, _ = played.refreshes(len(shown))

    assert [len(state.keys) for state in played.published] == shown
    assert played.outcomes == outcomes
    assert {state.failing for state in played.published} == {None}
    assert set(pauses) == {60}
    assert len(played.reader.tokens) == len(listings)


def test_data_is_withdrawn_when_reading_it_began_stale_after_ago():
    played = stage(GOOD)
    played.reader.on_list = lambda: played.world.pass_by(100)

    async def play():
        await played.refresher.refresh()
        for seconds in (3499, 1, 1):
            played.world.pass_by(seconds)
            await played.refresher.withdraw_if_old()
            served.append(played.refresher.state.serves_data)

    served = []
    asyncio.run(play())

    assert served == [True, False, False]
    assert len(played.published) == 2


def test_only_wanted_keys_are_shown_and_the_others_counted():
    listing = a_listing(
        *(an_api_key(id=id_, group=group) for id_, group in ((3, ""), (2, "test"), (1, "")))
    )
    played = stage(listing, keys_exclude=re.compile("test/.*"))
    played.refreshes(1)

    assert ([key.id for key in played.published[0].keys], played.published[0].excluded) == (
        [3, 1],
        1,
    )


@pytest.mark.parametrize(
    ("listings", "said"),
    [
        (
            [a_listing(*keys(1), unreadable=ids) for ids in ([7], [7], [7, 8], [], [7])],
            [([7], 1), ([8], 2), ([7], 1)],
        ),
        ([a_listing(*keys(1), nameless=2)] * 3, [([], 2)]),
        ([a_listing(unreadable=range(1000))], [(list(range(20)), 1000)]),
    ],
    ids=["news", "without an id", "twenty of a thousand"],
)
def test_keys_that_cannot_be_parsed_are_said_when_they_are_news(listings, said):
    played = stage(*listings)
    _, logs = played.refreshes(len(listings))

    found = [entry for entry in logs if entry["event"] == "some keys could not be parsed"]
    assert [(entry["key_ids"], entry["count"]) for entry in found] == said
    assert [state.skipped for state in played.published] == [
        listing.skipped for listing in listings
    ]


def test_the_token_goes_to_the_reader_and_into_no_log_or_state():
    played = stage(GOOD, failure(Reason.UNAUTHORIZED))
    _, logs = played.refreshes(2)

    assert played.reader.tokens == ["CANARYtoken"] * 2
    assert "CANARY" not in repr((logs, played.published, played.counted))


def test_refreshes_begin_after_their_delay_and_go_on():
    assert stage(GOOD).run_until(sleeps=4) == [0.5, 60, 60, 60]


def test_after_a_refused_token_the_sleep_ends_as_soon_as_another_lies_there(token_file):
    refused = failure(Reason.UNAUTHORIZED)
    played = stage(refused, refused, refused, GOOD, token=TokenFile(token_file))
    rotate_at = NOW + 0.5 + 60 + 120 + 60
    played.world.on_sleep = lambda _: (
        token_file.write_text("new") if played.world.now >= rotate_at else None
    )

    slept = played.run_until(sleeps=7)

    assert slept == [0.5, 60, 60, 60, 60, 60, 60]
    assert played.reader.tokens == ["old", "old", "old", "new"]
    assert played.published[-1].read_at == rotate_at + 60


def test_a_token_file_that_comes_back_with_the_same_token_ends_the_sleep_too(token_file):
    played = stage(GOOD, token=TokenFile(token_file))
    played.refreshes(1)
    token_file.unlink()
    played.refreshes(4)
    played.world.on_sleep = lambda _: (
        token_file.write_text("old") if len(played.world.slept) == 2 else None
    )

    played.run_until(sleeps=3)

    assert played.outcomes == ["success", *["unauthorized"] * 5, "success"]
    assert played.world.slept == [0.5, 60, 60]


def test_other_trouble_is_slept_out_whatever_the_token(token_file):
    played = stage(*[failure(Reason.TIMEOUT)] * 9, token=TokenFile(token_file))
    played.world.on_sleep = lambda _: token_file.write_text(f"new{len(played.world.slept)}")

    played.run_until(sleeps=1 + 1 + 2 + 4 + 1)

    assert len(played.reader.tokens) == 4


@pytest.mark.parametrize(
    "fault", [failure(Reason.TIMEOUT), RateLimited("HTTP 429", retry_after=3000.0)]
)
def test_the_heart_beats_through_long_pauses_and_stops_a_grace_after_the_promised_sign_of_life(
    fault,
):
    played = stage(fault)
    alive = []
    played.world.on_sleep = lambda _: alive.append(played.refresher.is_alive)
    played.run_until(sleeps=45)
    for seconds in (60 + 3 * 10 + 300, 1):
        played.world.pass_by(seconds)
        alive.append(played.refresher.is_alive)

    assert alive == [True] * 46 + [False]


@pytest.mark.parametrize(("timeout", "seconds"), [(10, 330), (200, 900)])
@pytest.mark.parametrize(("more", "alive"), [(0, True), (0.5, False)])
def test_without_a_first_sign_of_life_it_is_dead_after_three_timeouts_and_five_minutes(
    timeout, seconds, more, alive
):
    played = stage(GOOD, timeout=timeout)
    played.world.pass_by(seconds + more)

    assert played.refresher.is_alive is alive


def test_a_refresh_that_hangs_is_death_after_the_grace_since_its_last_page():
    class Hanging(FakeReader):
        async def list_keys(self, _, *, progress):
            played.world.pass_by(329)
            progress()
            played.world.pass_by(329)
            during.append(played.refresher.is_alive)
            played.world.pass_by(2)
            during.append(played.refresher.is_alive)
            return GOOD

    during = []
    played = Stage(reader=Hanging(listings=[]))
    played.refreshes(1)

    assert during == [True, False]


def test_a_failed_listing_is_not_kept_in_memory_by_its_error():
    class Failing(FakeReader):
        async def list_keys(self, *_, **__):
            held = {1, 2, 3}
            kept.append(weakref.ref(held))
            raise failure(Reason.INVALID_RESPONSE)

    kept = []
    gc.disable()
    try:
        Stage(reader=Failing(listings=[])).refreshes(1)
        assert kept[0]() is None
    finally:
        gc.enable()


def test_closed_in_a_listing_it_ends_at_once_and_publishes_nothing():
    class Endless(FakeReader):
        async def list_keys(self, _, *, progress):
            progress()
            started.set()
            await asyncio.Event().wait()

    async def close():
        async with asyncio.TaskGroup() as tasks:
            played.refresher.start(tasks, 0)
            await started.wait()
            await played.refresher.close()
            return [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]

    started = asyncio.Event()
    played = Stage(reader=Endless(listings=[]))

    assert asyncio.run(close()) == []
    assert (played.published, played.counted, played.reader.is_closed) == ([], [], True)


def test_every_page_is_reported_to_who_asks():
    heard = []
    played = stage(GOOD)
    played.refresher.on_page = lambda: heard.append("page")
    played.refreshes(2)

    assert heard == ["page", "page"]


def test_the_clock_skew_is_known_after_a_failure_too():
    played = stage(failure(Reason.UNAUTHORIZED))
    played.reader.clock_skew = 90.0
    played.refreshes(1)

    assert played.published[0].clock_skew == 90.0


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"usage": "off"}, set()),
        ({"usage": "model"}, {False}),
        ({"usage": "key-model"}, {True, False}),  # by model for the month
        ({"usage": "key-model", "keys_counts_only": True}, {False}),
    ],
)
def test_usage_is_asked_for_as_the_settings_say(settings, asked):
    played = stage(GOOD, **settings)
    played.reader.facts, played.reader.usage = Facts(has_usage=True), {True: {}, False: {}}
    played.refreshes(2)

    assert {by_key for _, _, by_key in played.reader.usage_asked} == asked


@pytest.mark.parametrize(
    ("change", "shown"),
    [({"interval": 30.0}, 2), ({"base_url": "https://other"}, 0), ({"user_id": 7}, 0)],
)
def test_a_changed_account_shows_its_last_keys_unless_it_is_another_one(change, shown):
    played, changed = stage(GOOD), stage(GOOD, **change)
    played.refreshes(1)
    changed.refresher.take_over(played.refresher)

    assert len(changed.refresher.state.keys) == shown
    assert changed.refresher.state.interval_seconds == change.get("interval", 60.0)


def test_keys_that_a_reload_excludes_go_at_once_and_are_not_taken_for_lost():
    listing = a_listing(
        *(an_api_key(id=id_, group="test" if id_ > 20 else "") for id_ in range(1, 41))
    )
    played = stage(listing, usage="key-model")
    changed = stage(listing, usage="key-model", keys_exclude=re.compile("test/.*"))
    played.reader.facts = Facts(has_usage=True)
    played.reader.usage = {True: used(5, key_id=20) | used(5, key_id=21), False: {}}
    played.refreshes(3)
    changed.refresher.take_over(played.refresher)
    shown = changed.refresher.state
    changed.refreshes(1)

    assert sorted(key.id for key in shown.keys) == list(range(1, 21))
    assert (shown.excluded, [row.key_id for row in shown.usage.rows]) == (20, [20])
    assert (changed.outcomes, len(changed.reader.tokens)) == (["success"], 1)

"""The refreshes of one account, in a world whose time a test turns."""

import asyncio
import traceback
from dataclasses import dataclass, field

import pytest
from domain import NOW, FakeReader, FakeWorld, a_balance, a_listing, a_state, an_api_key, failure, keys
from structlog.testing import capture_logs

from exporter.credentials import LiteralToken, Secret, TokenFile
from exporter.errors import RateLimited, Reason
from exporter.refresh.refresher import Refresher

GOOD = a_listing(*keys(2, 1))
LITERAL = LiteralToken(Secret("CANARYtoken"), "COMETAPI_ACCESS_TOKEN")


@dataclass(kw_only=True)
class Stage:
    """One refresher and everything around it."""

    reader: FakeReader
    source: object = LITERAL
    world: FakeWorld = field(default_factory=FakeWorld)
    published: list = field(default_factory=list)
    counted: list = field(default_factory=list)

    def __post_init__(self):
        self.refresher = Refresher(
            a_state(),
            source=self.source,
            reader=self.reader,
            publish=self.publish,
            count=lambda *seen: self.counted.append(seen),
            world=self.world.surroundings,
        )

    async def publish(self, state):
        self.published.append(state)

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


def stage(*listings, **over):
    return Stage(reader=FakeReader(listings=list(listings)), **over)


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
def test_a_jump_of_the_wall_clock_changes_neither_pause_nor_duration_nor_health(jump):
    played = stage(GOOD)
    played.reader.on_list = lambda: setattr(played.world, "now", played.world.now + jump)

    pauses, _ = played.refreshes(2)

    assert pauses == [60, 60]
    assert played.counted == [("main", "success", 0.0)] * 2
    assert played.refresher.heartbeat.is_alive
    assert played.published[-1].serves_data


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.INCONSISTENT])
def test_a_failed_refresh_keeps_the_last_keys_and_counts_its_reason(reason):
    played = stage(GOOD, failure(reason))
    played.refreshes(2)

    assert [key.id for key in played.published[1].keys] == [2, 1]
    assert (played.published[1].failing, played.published[1].read_at) == (reason, NOW)
    assert [outcome for _, outcome, _ in played.counted] == ["success", reason.value]


def test_trouble_is_said_when_it_starts_when_its_reason_changes_and_when_it_ends():
    timeout, refused = failure(Reason.TIMEOUT, "no answer"), failure(Reason.UNAUTHORIZED, "HTTP 401")
    _, logs = stage(GOOD, timeout, timeout, timeout, refused, refused, GOOD, GOOD).refreshes(8)

    assert loud(logs) == [
        ("info", "refresh succeeded"),
        ("warning", "refresh failed"),
        ("warning", "refresh failed"),
        ("info", "refresh recovered"),
    ]
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [(entry["reason"], entry["detail"]) for entry in warnings] == [
        ("timeout", "no answer"),
        ("unauthorized", "HTTP 401"),
    ]
    assert next(entry for entry in logs if entry["event"] == "refresh recovered")["previous_reason"] == "unauthorized"
    assert [entry["event"] for entry in logs if entry["log_level"] == "debug"] == ["refresh failed"] * 3 + [
        "refresh succeeded"
    ]


def test_a_first_refresh_that_fails_is_a_warning_and_ends_it():
    played = stage(failure(Reason.UNREACHABLE))
    played.reader.clock_skew = 90.0
    _, logs = played.refreshes(1)

    assert loud(logs) == [("warning", "refresh failed")]
    assert (played.published[0].first_refresh_ended, played.published[0].clock_skew) == (True, 90.0)


def test_failures_running_lengthen_the_pause_up_to_ten_intervals_and_a_success_ends_that():
    fault = failure(Reason.SERVER_ERROR)
    pauses, _ = stage(*[fault] * 6, GOOD, fault).refreshes(8)

    assert pauses == [60, 120, 240, 480, 600, 600, 60, 60]


@pytest.mark.parametrize(("asked", "pause"), [(None, 60), (30.0, 60), (90.0, 90), (10**9, 3600)])
def test_the_pause_that_a_rate_limit_asks_for_is_kept(asked, pause):
    assert stage(RateLimited("HTTP 429", retry_after=asked)).refreshes(1)[0] == [pause]


def test_an_error_nobody_expected_is_internal_and_its_text_is_not_logged():
    played = stage(GOOD, ValueError("CANARYtoken in a text"), GOOD)
    _, logs = played.refreshes(3)

    assert [outcome for _, outcome, _ in played.counted] == ["success", "internal", "success"]
    assert played.published[1].failing is Reason.INTERNAL
    assert "CANARY" not in repr(logs)
    crash = next(entry for entry in logs if entry["event"] == "refresh crashed (bug)")
    assert (crash["log_level"], crash["error"]) == ("error", "ValueError")
    assert crash["at"][-1].startswith("list_keys:")


def test_an_error_nobody_expected_of_the_balance_is_internal_too():
    played = stage(GOOD)
    played.reader.balance = ZeroDivisionError("CANARY")
    _, logs = played.refreshes(1)

    assert played.counted == [("main", "internal", 0.0)]
    assert "CANARY" not in repr(logs)


def test_a_token_file_that_breaks_in_a_way_nobody_expected_ends_no_refreshes():
    class Broken:
        def read(self):
            raise RuntimeError("CANARY")

    assert stage(GOOD, source=Broken()).refreshes(2)[0] == [60, 120]


def test_a_balance_that_fails_fails_no_refresh_and_is_said_once():
    played = stage(GOOD)
    played.reader.balance = failure(Reason.UNAUTHORIZED, "HTTP 403")
    _, first = played.refreshes(3)
    played.reader.balance = failure(Reason.TIMEOUT)
    _, changed = played.refreshes(2)
    played.reader.balance = a_balance()
    _, ended = played.refreshes(2)

    assert {outcome for _, outcome, _ in played.counted} == {"success"}
    assert [state.balance for state in played.published] == [None] * 5 + [a_balance()] * 2
    assert loud(first) == [("warning", "account balance unavailable"), ("info", "refresh succeeded")]
    assert loud(changed) == [("warning", "account balance unavailable")]
    assert loud(ended) == [("info", "account balance available again")]


def test_a_suspicious_listing_is_read_again_and_believed_when_the_next_refresh_says_the_same():
    full, empty = a_listing(*keys(*range(50))), a_listing()
    played = stage(full, empty, empty, empty)
    played.refreshes(3)

    assert [len(state.keys) for state in played.published] == [50, 50, 0]
    assert [outcome for _, outcome, _ in played.counted] == ["success", "inconsistent", "success"]
    assert len(played.reader.tokens) == 4


def test_a_suspicious_listing_that_was_a_mistake_is_not_shown():
    full = a_listing(*keys(*range(50)))
    played = stage(full, a_listing(), full)
    played.refreshes(2)

    assert [len(state.keys) for state in played.published] == [50, 50]
    assert [outcome for _, outcome, _ in played.counted] == ["success", "success"]


def test_data_is_withdrawn_when_reading_it_began_stale_after_ago():
    played = stage(GOOD)
    played.reader.on_list = lambda: played.world.pass_by(100)

    async def play():
        await played.refresher.refresh()
        for seconds in (3499, 1):
            played.world.pass_by(seconds)
            await played.refresher.withdraw_if_old()

    asyncio.run(play())

    assert [state.serves_data for state in played.published] == [True, False]


@pytest.mark.parametrize("jump", [-86_400, 86_400], ids=["back", "ahead"])
def test_a_jump_of_the_wall_clock_withdraws_nothing(jump):
    played = stage(GOOD)

    async def play():
        await played.refresher.refresh()
        played.world.now += jump
        await played.refresher.withdraw_if_old()

    asyncio.run(play())

    assert len(played.published) == 1


def test_only_wanted_keys_are_shown_and_the_others_counted():
    played = stage(a_listing(*keys(3, 2, 1)))
    played.refresher._takes = lambda key: key.id != 2
    played.refreshes(1)

    assert ([key.id for key in played.published[0].keys], played.published[0].excluded) == ([3, 1], 1)


def test_an_unsettled_listing_is_shown_up_and_counted_inconsistent():
    played = stage(GOOD, a_listing(*keys(3), settled=False))
    pauses, _ = played.refreshes(2)

    assert [outcome for _, outcome, _ in played.counted] == ["success", "inconsistent"]
    assert [key.id for key in played.published[1].keys] == [3, 2, 1]
    assert played.published[1].failing is None
    assert pauses == [60, 60]


def test_keys_that_cannot_be_read_are_said_when_they_are_news():
    once, same, more = (a_listing(*keys(1), unreadable=ids) for ids in ([7], [7], [7, 8]))
    played = stage(once, same, more, GOOD, once)
    _, logs = played.refreshes(5)

    assert [
        (entry["key_ids"], entry["count"]) for entry in logs if entry["event"] == "some keys could not be parsed"
    ] == [
        ([7], 1),
        ([8], 2),
        ([7], 1),
    ]
    assert [state.skipped for state in played.published] == [1, 1, 2, 0, 1]


def test_keys_without_a_readable_id_are_said_once():
    nameless = a_listing(*keys(1), nameless=2)
    _, logs = stage(nameless, nameless, nameless).refreshes(3)

    assert [
        (entry["key_ids"], entry["count"]) for entry in logs if entry["event"] == "some keys could not be parsed"
    ] == [([], 2)]


def test_of_a_thousand_unreadable_keys_twenty_are_named():
    _, logs = stage(a_listing(unreadable=range(1000))).refreshes(1)

    assert logs[0]["key_ids"] == list(range(20))
    assert logs[0]["count"] == 1000


def test_the_token_goes_to_the_reader_and_into_no_log_or_state():
    played = stage(GOOD, failure(Reason.UNAUTHORIZED))
    _, logs = played.refreshes(2)

    assert played.reader.tokens == ["CANARYtoken"] * 2
    assert "CANARY" not in repr((logs, played.published, played.counted))


def test_a_rotated_token_file_is_used_by_the_next_refresh(tmp_path):
    path = tmp_path / "token"
    path.write_text("first")
    played = stage(GOOD, source=TokenFile(path))
    played.refreshes(1)
    path.write_text("second")
    played.refreshes(1)

    assert played.reader.tokens == ["first", "second"]


def test_a_missing_token_file_fails_the_refresh_and_asks_nobody(tmp_path):
    played = stage(GOOD, source=TokenFile(tmp_path / "token"))
    _, logs = played.refreshes(1)

    assert played.reader.tokens == []
    assert played.counted == [("main", "unauthorized", 0.0)]
    assert logs[0]["detail"].endswith("/token: No such file or directory")


def test_refreshes_begin_after_their_delay_and_go_on():
    assert stage(GOOD).run_until(sleeps=4) == [0.5, 60, 60, 60]


def test_after_a_refused_token_the_sleep_ends_as_soon_as_another_lies_there(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    refused = failure(Reason.UNAUTHORIZED)
    played = stage(refused, refused, refused, GOOD, source=TokenFile(path))
    rotate_at = NOW + 0.5 + 60 + 120 + 60
    played.world.on_sleep = lambda _: path.write_text("new") if played.world.now >= rotate_at else None

    slept = played.run_until(sleeps=7)

    assert slept == [0.5, 60, 60, 60, 60, 60, 60]
    assert played.reader.tokens == ["old", "old", "old", "new"]
    assert played.published[-1].read_at == rotate_at + 60


def test_a_token_file_that_comes_back_with_the_same_token_ends_the_sleep_too(tmp_path):
    path = tmp_path / "token"
    path.write_text("same")
    played = stage(GOOD, source=TokenFile(path))
    played.refreshes(1)
    path.unlink()
    played.refreshes(4)
    played.world.on_sleep = lambda _: path.write_text("same") if len(played.world.slept) == 2 else None

    played.run_until(sleeps=3)

    assert [outcome for _, outcome, _ in played.counted] == ["success", *["unauthorized"] * 5, "success"]
    assert played.world.slept == [0.5, 60, 60]


def test_other_trouble_is_slept_out_whatever_the_token(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    played = stage(*[failure(Reason.TIMEOUT)] * 9, source=TokenFile(path))
    played.world.on_sleep = lambda _: path.write_text(f"new{len(played.world.slept)}")

    played.run_until(sleeps=1 + 1 + 2 + 4 + 1)

    assert len(played.reader.tokens) == 4


def test_the_heart_beats_through_long_backoffs_and_long_listings():
    played = stage(*[failure(Reason.TIMEOUT)] * 20)
    alive = []
    played.world.on_sleep = lambda _: alive.append(played.refresher.heartbeat.is_alive)
    played.run_until(sleeps=40)

    assert all(alive)
    assert played.refresher.heartbeat.is_alive
    played.world.pass_by(60 + 301)
    assert not played.refresher.heartbeat.is_alive


def test_a_long_pause_that_the_server_asked_for_is_no_death():
    played = stage(RateLimited("HTTP 429", retry_after=3000.0))
    alive = []
    played.world.on_sleep = lambda _: alive.append(played.refresher.heartbeat.is_alive)
    played.run_until(sleeps=45)

    assert all(alive)


def test_a_refresh_that_hangs_is_death_after_the_grace_since_its_last_page():
    class Hanging(FakeReader):
        async def list_keys(self, _, *, progress):
            played.world.pass_by(299)
            progress()
            played.world.pass_by(299)
            during.append(played.refresher.heartbeat.is_alive)
            played.world.pass_by(2)
            during.append(played.refresher.heartbeat.is_alive)
            return GOOD

    during = []
    played = Stage(reader=Hanging(listings=[]))
    played.refreshes(1)

    assert during == [True, False]


def test_cancelled_in_a_listing_it_ends_at_once_and_publishes_nothing():
    class Endless(FakeReader):
        async def list_keys(self, _, *, progress):
            progress()
            started.set()
            await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(played.refresher.run(0))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]

    started = asyncio.Event()
    played = Stage(reader=Endless(listings=[]))

    assert asyncio.run(cancel()) == []
    assert (played.published, played.counted) == ([], [])


def test_a_try_publishes_and_counts_nothing():
    played = stage(GOOD)
    with capture_logs():
        outcome = asyncio.run(played.refresher.read())

    assert [key.id for key in outcome.state.keys] == [2, 1]
    assert (outcome.label, played.published, played.counted) == ("success", [], [])


def test_a_failure_shows_its_evidence_but_no_token():
    played = stage(ValueError("x"))
    with capture_logs():
        outcome = asyncio.run(played.refresher.read())

    assert str(outcome.failure) == "a bug in the exporter: ValueError"
    assert "CANARY" not in "".join(traceback.format_exception(outcome.failure))
    assert "CANARY" not in repr(vars(played.refresher))


def test_a_group_seen_in_a_refresh_before_stays_known():
    played = stage(a_listing(an_api_key(group="vip")), a_listing())
    played.refreshes(2)

    assert played.published[1].groups.keys() == {"vip"}


def test_whoever_wants_to_hears_of_every_page():
    heard = []
    played = stage(GOOD)
    played.refresher.on_page = lambda: heard.append("page")
    played.refreshes(2)

    assert heard == ["page", "page"]

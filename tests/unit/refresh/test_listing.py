"""The refreshes of one account's keys, in a time that a test turns."""

import asyncio
import gc
import weakref

import pytest
from domain import (
    NOW,
    FakeClient,
    a_listing,
    an_api_key,
    failure,
    keys,
)
from stage import Stage, VirtualRuntime, stage
from structlog.testing import capture_logs

from exporter.credentials import TokenFile
from exporter.errors import RateLimited, Reason
from exporter.model import ListingProgress, Unread
from exporter.patterns import Pattern
from exporter.workers import NoThread

GOOD = a_listing(*keys(2, 1))
FULL, EMPTY = a_listing(*keys(*range(50))), a_listing()


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
    assert played.published[0].next_refresh_at == NOW + 60
    assert played.counted == [("main", "success", 0.0)] * 3
    assert loud(logs) == [("info", "refresh succeeded")]
    assert (logs[0]["account"], logs[0]["keys"], logs[0]["complete"]) == ("main", 2, True)


def test_the_time_a_refresh_takes_is_counted_and_taken_from_the_pause():
    played = stage(GOOD)
    played.client.on_list = lambda: played.runtime.pass_by(7.5)

    pauses, _ = played.refreshes(1)

    assert (pauses, played.counted) == ([52.5], [("main", "success", 7.5)])


@pytest.mark.parametrize("jump", [-86_400, 86_400], ids=["back", "ahead"])
def test_a_jump_of_the_wall_clock_changes_neither_pause_nor_duration_nor_health_and_withdraws_nothing(
    jump,
):
    played = stage(GOOD)
    played.client.on_list = lambda: setattr(played.runtime, "now", played.runtime.now + jump)

    pauses, _ = played.refreshes(2)
    played.run(played.refresher.access.store.age())

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
        asyncio.run(stage(failure(Reason.TIMEOUT)).refresher.listing.refresh(is_last=True))

    assert "retry_in_seconds" not in logs[0]


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


@pytest.mark.parametrize("place", ["list_keys", "read"])
def test_a_bug_anywhere_fails_the_refresh_as_internal_and_its_text_is_not_logged(place):
    played = stage(GOOD, **({"token": BrokenToken()} if place == "read" else {}))
    if place == "list_keys":
        played.client.listings.insert(0, ZeroDivisionError("CANARY"))
    _, logs = played.refreshes(1)
    crash = next(entry for entry in logs if entry["event"] == "refresh crashed (bug)")

    assert played.outcomes == ["internal"]
    assert played.published[0].error == "a bug in the exporter: ZeroDivisionError"
    assert (crash["log_level"], crash["error"]) == ("error", "ZeroDivisionError")
    assert f"{place}:" in " ".join(crash["at"])
    assert "CANARY" not in repr((logs, played.published))


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
    assert len(played.client.tokens) == len(listings)


def test_only_wanted_keys_are_shown_and_the_others_counted():
    listing = a_listing(
        *(an_api_key(id=id_, group=group) for id_, group in ((3, ""), (2, "test"), (1, "")))
    )
    played = stage(listing, keys_exclude=Pattern("test/.*"))
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
            [
                (["status of key 7"], 1, 1),
                (["status of key 8"], 1, 2),
                (["status of key 7"], 1, 1),
            ],
        ),
        ([a_listing(*keys(1), nameless=2)] * 3, [(["id of key ?"], 1, 2)]),
        (
            [a_listing(unreadable=range(1000))],
            [([f"status of key {id_}" for id_ in range(20)], 1000, 1000)],
        ),
    ],
    ids=["news", "without an id", "twenty of a thousand"],
)
def test_keys_that_cannot_be_parsed_are_said_when_they_are_news(listings, said):
    played = stage(*listings)
    _, logs = played.refreshes(len(listings))

    found = [entry for entry in logs if entry["event"] == "some keys could not be parsed"]
    assert [
        (entry["fields"], entry["new_fields"], entry["skipped_keys"]) for entry in found
    ] == said
    assert [state.skipped for state in played.published] == [
        listing.skipped for listing in listings
    ]


def test_fields_that_cost_no_key_are_said_when_they_are_news():
    unread = frozenset({Unread(field="name", key_id=1)})
    played = stage(a_listing(*keys(1)), *[a_listing(*keys(1), unread=unread)] * 2)
    _, logs = played.refreshes(3)

    found = [entry for entry in logs if entry["event"] == "some fields of keys could not be parsed"]
    assert [entry["fields"] for entry in found] == [["name of key 1"]]


def test_inconsistent_lists_are_logged_when_they_begin_and_when_they_end():
    _, logs = stage(FULL, EMPTY, EMPTY, FULL).refreshes(3)

    assert loud(logs)[1:] == [
        ("warning", "listing inconsistent"),
        ("info", "listing consistent again"),
    ]
    assert next(entry["reason"] for entry in logs if "reason" in entry) == "inconsistent"


def test_lists_that_are_inconsistent_every_other_time_are_logged_once_an_hour():
    _, logs = stage(*[FULL, EMPTY, EMPTY] * 61).refreshes(122)

    assert [said for said in loud(logs) if said[0] == "warning"] == [
        ("warning", "listing inconsistent")
    ] * 3


def test_the_token_goes_to_the_reader_and_into_no_log_or_state():
    played = stage(GOOD, failure(Reason.UNAUTHORIZED))
    _, logs = played.refreshes(2)

    assert played.client.tokens == ["CANARYtoken"] * 2
    assert "CANARY" not in repr((logs, played.published, played.counted))


def test_refreshes_begin_after_their_delay_and_go_on():
    assert stage(GOOD, runtime=VirtualRuntime()).run_for(125, first_delay=0.5) == [0.5, 60.5, 120.5]


@pytest.mark.parametrize("reason", [Reason.UNAUTHORIZED, Reason.REJECTED])
def test_after_a_rejected_token_the_pause_ends_as_soon_as_another_lies_there(token_file, reason):
    rejected = failure(reason)
    runtime = VirtualRuntime()
    played = stage(rejected, rejected, rejected, GOOD, token=TokenFile(token_file), runtime=runtime)
    began = runtime.ticks

    def rotate(_):
        if runtime.ticks - began >= 230:
            token_file.write_text("new")

    runtime.on_wake = rotate
    times = played.run_for(320)

    # The third failure doubles the pause twice, to 240 s: without a new token, 420 s come next.
    assert times == [0, 60, 180, 240, 300]
    assert played.client.tokens[:4] == ["old", "old", "old", "new"]


def test_a_token_file_that_comes_back_with_the_same_token_ends_the_pause_too(token_file):
    played = stage(GOOD, token=TokenFile(token_file), runtime=VirtualRuntime())
    played.refreshes(1)
    token_file.unlink()
    played.refreshes(4)
    began = played.runtime.ticks
    played.runtime.on_wake = lambda _: (
        token_file.write_text("old") if played.runtime.ticks - began >= 60 else None
    )

    assert played.run_for(65) == [60]
    assert played.outcomes == ["success", *["unauthorized"] * 5, "success"]


def test_other_trouble_is_waited_out_whatever_the_token(token_file):
    played = stage(failure(Reason.TIMEOUT), token=TokenFile(token_file), runtime=VirtualRuntime())
    played.runtime.on_wake = lambda _: token_file.write_text(f"new{played.runtime.ticks}")

    assert played.run_for(430) == [0, 60, 180, 420]


@pytest.mark.parametrize(
    "fault", [failure(Reason.TIMEOUT), RateLimited("HTTP 429", retry_after=3000.0)]
)
def test_signs_of_life_come_through_long_pauses_and_stop_a_grace_after_the_last(fault):
    played = stage(fault, runtime=VirtualRuntime())
    alive = []
    played.runtime.on_wake = lambda _: alive.append(played.refresher.is_alive)
    played.run_for(2_700)
    ends = []
    for seconds in (60 + 3 * 10 + 300, 1):
        played.runtime.pass_by(seconds)
        ends.append(played.refresher.is_alive)

    assert set(alive) == {True}
    assert ends == [True, False]


@pytest.mark.parametrize(("timeout", "seconds"), [(10, 330), (200, 900)])
@pytest.mark.parametrize(("more", "alive"), [(0, True), (0.5, False)])
def test_without_a_first_sign_of_life_it_is_dead_after_three_timeouts_and_five_minutes(
    timeout, seconds, more, alive
):
    played = stage(GOOD, timeout=timeout)
    played.runtime.pass_by(seconds + more)

    assert played.refresher.is_alive is alive


def test_a_refresh_that_hangs_is_death_after_the_grace_since_its_last_page():
    class Hanging(FakeClient):
        async def list_keys(self, _, *, progress):
            played.runtime.pass_by(329)
            progress(ListingProgress(pages=1))
            played.runtime.pass_by(329)
            during.append(played.refresher.is_alive)
            played.runtime.pass_by(2)
            during.append(played.refresher.is_alive)
            return GOOD

    during = []
    played = Stage(client=Hanging(listings=[]))
    played.refreshes(1)

    assert during == [True, False]


def test_a_failed_listing_is_not_kept_in_memory_by_its_error():
    class Failing(FakeClient):
        async def list_keys(self, *_, **__):
            held = {1, 2, 3}
            kept.append(weakref.ref(held))
            raise failure(Reason.INVALID_RESPONSE)

    kept = []
    gc.disable()
    try:
        Stage(client=Failing(listings=[])).refreshes(1)
        assert kept[0]() is None
    finally:
        gc.enable()


def test_a_long_first_listing_is_logged_every_half_minute():
    played = stage(GOOD)
    lister = played.refresher.lister
    listed = played.client.list_keys

    async def slowly(token, *, progress):
        for page in range(1, 4):
            played.runtime.pass_by(20)
            progress(ListingProgress(pages=page, expected=3))
            lister.log_progress(is_waiting=page == 2)
        return await listed(token, progress=progress)

    played.client.list_keys = slowly
    _, logs = played.refreshes(2)

    assert [entry for entry in logs if entry["event"] == "listing keys"] == [
        {
            "event": "listing keys",
            "log_level": "info",
            "account": "main",
            "pages": 2,
            "pages_expected": 3,
            "waiting_for_rate_limit": True,
        }
    ]


def test_the_clock_skew_is_known_after_a_failure_too():
    played = stage(failure(Reason.UNAUTHORIZED))
    played.client.dialect.clock_skew = 90.0
    played.refreshes(1)

    assert played.published[0].clock_skew == 90.0


def test_a_filter_that_leaves_no_key_is_logged_once_until_it_leaves_one_again():
    tests = a_listing(an_api_key(id=1, group="test"), an_api_key(id=2, group="test"))
    mixed = a_listing(an_api_key(id=1, group="test"), an_api_key(id=3, group="web"))
    # The last is read twice, since a key is lost.
    listings = [tests, tests, mixed, tests, tests]
    _, logs = stage(*listings, keys_exclude=Pattern("test/.*")).refreshes(4)

    excluded = [line for line in logs if line["event"] == "every key is excluded"]
    assert [line["count"] for line in excluded] == [2, 2]
    assert all("the whole of <group>/<name>" in line["advice"] for line in excluded)


def changes_in(logs):
    fields = ("change", "key_id", "key_name", "before", "after")
    return [
        {name: line[name] for name in fields if name in line}
        for line in logs
        if line["event"] == "key changed"
    ]


def test_each_change_of_a_key_is_one_line_with_what_was_and_is():
    before = a_listing(an_api_key(id=2, expires_at=NOW), an_api_key(id=1))
    after = a_listing(an_api_key(id=3), an_api_key(id=2, name="two\nlines \x1b[2J"))
    played = stage(before, after, after)
    _, logs = played.refreshes(3)

    assert changes_in(logs) == [
        {"change": "created", "key_id": 3, "key_name": "key 3"},
        {
            "change": "renamed",
            "key_id": 2,
            "key_name": r"two\nlines \x1b[2J",
            "before": "key 2",
            "after": r"two\nlines \x1b[2J",
        },
        {
            "change": "expiry_removed",
            "key_id": 2,
            "key_name": r"two\nlines \x1b[2J",
            "before": "2025-06-15 15:06:40 UTC",
            "after": "never",
        },
        {"change": "deleted", "key_id": 1, "key_name": "key 1"},
    ]
    assert {line["account"] for line in logs} == {"main"}


def test_of_many_changes_at_once_a_hundred_are_lines_and_all_are_counted():
    played = stage(a_listing(*keys(1)), a_listing(*keys(*range(1, 1_302))))
    _, logs = played.refreshes(2)

    rest = [line for line in logs if line["event"] == "more keys changed"]
    assert len(changes_in(logs)) == 100
    assert [(line["count"], line["changes"]) for line in rest] == [(1_200, "1300 created")]
    assert played.state.changes.counts["created"] == 1_300
    assert len(played.state.changes.last) == 1_000


def test_a_change_that_cannot_be_published_is_reported_by_the_next_refresh():
    played = stage(a_listing(*keys(1)), a_listing(*keys(2, 1)))
    played.refreshes(1)
    publish = played.refresher.access.store._publish

    async def crash(_):
        played.refresher.access.store._publish = publish
        raise RuntimeError

    played.refresher.access.store._publish = crash
    _, first = played.refreshes(1)
    _, second = played.refreshes(1)

    assert (len(changes_in(first)), len(changes_in(second))) == (0, 1)
    assert played.state.changes.counts["created"] == 1


def slow_refreshes(*seconds):
    """Play refreshes that take so many *seconds*; return the log above debug."""
    played = stage(a_listing(*keys(2, 1)))
    durations = iter(seconds)
    played.client.on_list = lambda: played.runtime.pass_by(next(durations))
    _, logs = played.refreshes(len(seconds))
    return [entry for entry in logs if entry["log_level"] != "debug"]


def test_refreshes_that_take_longer_than_their_interval_are_logged_once_with_what_to_do():
    _, warning, recovery, again = slow_refreshes(1, 61, 70, 58, 50, 61)

    assert (warning["log_level"], warning["event"]) == (
        "warning",
        "refreshes take longer than their interval",
    )
    assert (warning["seconds"], warning["interval"], warning["keys"]) == (61, 60, 2)
    assert "--collect.max-requests-per-minute" in warning["advice"]
    assert (recovery["log_level"], recovery["seconds"]) == ("info", 50)
    assert again["event"] == warning["event"]


def test_the_first_refresh_too_is_logged_when_it_takes_longer_than_the_interval():
    first, warning = slow_refreshes(61)

    assert first["event"] == "refresh succeeded"
    assert warning["event"] == "refreshes take longer than their interval"


def test_labels_that_are_cut_and_groups_that_are_joined_are_logged_once():
    crowd = [an_api_key(id=n, name="x" * 200, group=f"g{n}") for n in range(1001)]
    _, logs = stage(a_listing(*crowd)).refreshes(3)

    told = [
        {name: entry.get(name) for name in ("event", "bytes", "keys", "most", "further")}
        for entry in logs
        if entry["log_level"] == "warning"
    ]
    assert told == [
        {
            "event": "names and groups of the keys are too long together: their labels are cut",
            "bytes": 48,
            "keys": 1001,
            "most": None,
            "further": None,
        },
        {
            "event": "too many groups: further ones are counted together",
            "bytes": None,
            "keys": None,
            "most": 1000,
            "further": 2,
        },
    ]


def test_a_lack_of_threads_is_no_bug_and_is_logged_once_until_a_refresh_succeeds():
    played = stage(a_listing(*keys(1)))
    publish = played.refresher.access.store._publish

    async def refuse(_):
        raise NoThread

    logs = []
    for works in (True, False, False, True, False):
        played.refresher.access.store._publish = publish if works else refuse
        logs += played.refreshes(1)[1]

    told = [entry for entry in logs if entry["log_level"] in ("warning", "error")]
    assert [(entry["event"], entry["reason"], entry["detail"]) for entry in told] == [
        ("refresh failed", "internal", "cannot start a thread: the limit on tasks is reached")
    ] * 2

"""Whatever the keys are called and whatever the time: the bytes are the library's own, and they parse back."""

import gzip
import platform
from unittest.mock import patch

from domain import (
    A_LIST,
    NOW,
    a_balance,
    a_listing,
    a_moment,
    a_reading,
    a_state,
    an_api_key,
    failure,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import library_bytes, telemetry_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.utils import floatToGoString
from scraped import Scraped

from exporter.endpoint import ApiPath
from exporter.errors import SUCCESS, Reason
from exporter.exposition.catalogue import SNAPSHOT_FAMILIES
from exporter.exposition.rendering import Format, number
from exporter.exposition.telemetry import Telemetry, process_collectors
from exporter.model import Usage, UsageRow, label_text
from exporter.policies import NO_POLICIES, Policies, Policy
from exporter.snapshot import Snapshot

names = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n\r\t {}=,#'), max_size=12
)
int64 = st.integers(-(2**63), 2**63 - 1)
near_now = st.integers(NOW - 5, NOW + 5)

api_keys = st.builds(
    an_api_key,
    id=st.integers(1, 30),
    name=names.map(label_text),
    group=st.sampled_from(["", "vip"]) | names.map(label_text),
    status=st.integers(0, 5),
    remaining_quota=st.none() | int64,
    used_quota=int64,
    expires_at=st.none() | near_now | int64,
    created_at=st.none() | int64,
    last_used_at=st.none() | int64,
    model_limits=st.sampled_from([None, A_LIST]),
)


POLICIES = Policies([Policy(limited_quota=True, model_limits=True), Policy(max_unused=60.0)])
usage_rows = st.builds(
    UsageRow,
    model=st.sampled_from(["m", "other"]) | names.map(label_text),
    key_id=st.integers(0, 2),
    key_name=st.sampled_from(["", "key"]) | names.map(label_text),
    quota=int64,
)


@st.composite
def states(draw, name="main"):
    """Build an account that was read, failed, both or neither."""
    policies = draw(st.sampled_from([NO_POLICIES, POLICIES]))
    state = a_state(
        name=name, policies=policies, stale_after_seconds=draw(st.sampled_from([0.3, 3.0, 3600.0]))
    )
    if draw(st.integers(0, 3)):
        listing = a_listing(*draw(st.lists(api_keys, max_size=6)))
        balance = draw(st.none() | st.builds(a_balance, remaining_quota=int64))
        usage = draw(st.none() | st.builds(Usage, rows=st.lists(usage_rows, max_size=3).map(tuple)))
        at = NOW + draw(st.floats(-4, 1))
        state = state.succeeded(a_reading(listing, at=at))
        if balance is not None:
            state = state.answered(ApiPath.BALANCE, balance, a_moment(at))
        if usage is not None:
            state = state.answered(ApiPath.USAGE, usage, a_moment(at))
    return state.failed(failure(Reason.TIMEOUT), NOW) if draw(st.booleans()) else state


snapshots = st.builds(lambda a, b: Snapshot.of([a, b]), states("main"), states("Zweites"))


def counted(events):
    """Count *events* with our own counters, and say how to count the same with the library's."""
    ours = Telemetry(version="0")
    ours.configured(shards=1, index=0, accounts=2, at=NOW)
    for account, outcome, seconds, code in events:
        ours.prepare(account)
        ours.request_sent(account, "/", code)
        ours.refresh_ended(account, outcome, seconds)

    def count(registry):
        theirs = {
            name.removeprefix("cometapi_exporter_"): each
            for name, each in telemetry_metrics(registry).items()
        }
        theirs["build_info"].labels("0", platform.python_version()).set(1)
        for name, value in (("shards", 1), ("accounts", 2), ("config_last_reload_successful", 1)):
            theirs[name].set(value)
        theirs["config_last_reload_success_timestamp_seconds"].set(NOW)
        for account, outcome, seconds, code in events:
            for reason in Reason:
                theirs["refresh_failures_total"].labels(account, reason.value)
            theirs["api_requests_total"].labels(account, "/", code).inc()
            theirs["refreshes_total"].labels(account).inc()
            theirs["refresh_duration_seconds"].labels(account).observe(seconds)
            if outcome != SUCCESS:
                theirs["refresh_failures_total"].labels(account, outcome).inc()

    return ours, count


events = st.tuples(
    st.sampled_from(["main", 'Zwei"tes']),
    st.sampled_from([SUCCESS, *(reason.value for reason in Reason)]),
    st.sampled_from([0.1, 1800.0]) | st.floats(0, 4000),
    st.text(max_size=3).map(label_text),
)


@given(
    st.lists(st.tuples(snapshots, st.floats(-3, 4) | st.integers(0, 6)), min_size=1, max_size=5),
    st.lists(events, max_size=5),
)
@settings(max_examples=100, deadline=None)
def test_after_any_refreshes_expiries_and_jumps_of_the_clock_each_byte_is_the_librarys(
    history, counted_events
):
    ours, count = counted(sorted(counted_events, key=lambda event: event[0]))
    scraped = Scraped(history[0][0], telemetry=ours)
    with patch("exporter.exposition.rendering.KEYS_PER_STEP", 3):
        for snapshot, wait in history:
            scraped.show(*snapshot.accounts.values())
            scraped.world.now += wait
            scraped.catch_up()
            for format_ in Format:
                expected = library_bytes(format_, snapshot, scraped.world.now, own=count)
                assert scraped.plain(format_=format_) == expected
                assert gzip.decompress(scraped.packed(format_=format_)) == expected


@given(snapshots)
@settings(max_examples=100, deadline=None)
def test_no_series_comes_twice(snapshot):
    text = Scraped(snapshot, process=process_collectors()).text()
    series = [line.rpartition(" ")[0] for line in text.split("\n") if not line.startswith("#")]

    assert len(set(filter(None, series))) == len(list(filter(None, series)))


@given(
    snapshots, st.sets(st.sampled_from([family.name for family in SNAPSHOT_FAMILIES]), min_size=1)
)
@settings(max_examples=60, deadline=None)
def test_chosen_families_are_those_of_the_library_in_the_same_order(snapshot, chosen):
    scraped = Scraped(snapshot)

    for format_ in Format:
        expected = library_bytes(format_, snapshot, NOW, names=chosen)
        assert (
            scraped.plain(*chosen, format_=format_)
            == gzip.decompress(scraped.packed(*chosen, format_=format_))
            == expected
        )


@given(
    st.integers(-(10**16), 10**16)
    | st.sampled_from([10**n for n in range(18)])
    | st.floats()
    | st.booleans()
)
@settings(max_examples=500)
def test_any_number_is_written_as_the_library_does(value):
    assert number(value) == floatToGoString(value)


@given(names, names)
@settings(max_examples=150, deadline=None)
def test_any_name_of_a_key_or_group_comes_back_from_both_parsers(name, group):
    key = an_api_key(id=7, name=label_text(name), group=label_text(group), expires_at=NOW + 5)
    snapshot = Snapshot.of([a_state().succeeded(a_reading(a_listing(key), at=NOW))])
    text, openmetrics = (Scraped(snapshot).plain(format_=format_).decode() for format_ in Format)
    for parsed in (parse_text(text), parse_openmetrics(openmetrics)):
        found = [
            sample for family in parsed for sample in family.samples if "key_name" in sample.labels
        ]
        assert len(found) == 10
        assert {(s.labels["key_name"], s.labels["group"]) for s in found} == {(key.name, key.group)}


@given(st.lists(api_keys, max_size=6), st.floats(-2, 8))
@settings(max_examples=40, deadline=None)
def test_the_counts_agree_with_the_keys_beside_them(listed, wait):
    snapshot = Snapshot.of([a_state().succeeded(a_reading(a_listing(*listed), at=NOW))])
    value: dict[str, float] = {}
    for family in parse_openmetrics(
        Scraped(snapshot, now=NOW + wait).plain(format_=Format.OPENMETRICS).decode()
    ):
        value[family.name] = sum(sample.value for sample in family.samples)

    assert value["cometapi_keys"] == len({key.id for key in listed})
    assert value["cometapi_keys_usable"] == value["cometapi_key_usable"]

"""The exporter's own metrics: which series there are, and what they count."""

import platform
from types import SimpleNamespace

import pytest
from prometheus_client.exposition import generate_latest as library_text
from prometheus_client.openmetrics.exposition import generate_latest as library_openmetrics
from promises import REASONS

from exporter.exposition.rendering import Format
from exporter.exposition.telemetry import Telemetry, process_collectors, text_of


@pytest.fixture
def telemetry():
    return Telemetry(version="1.2.3")


def lines(telemetry, name):
    """List the lines of cometapi_exporter_*name*, without that."""
    start = f"cometapi_exporter_{name}"
    text = telemetry.text(Format.TEXT).decode()
    return [
        line.removeprefix(start)
        for line in text.splitlines()
        if line.startswith((f"{start} ", f"{start}{{"))
    ]


def test_every_known_series_of_an_account_is_there_at_zero_from_the_start(telemetry):
    telemetry.prepare("main")

    assert lines(telemetry, "refresh_failures_total") == [
        f'{{account="main",reason="{reason}"}} 0.0' for reason in REASONS
    ]
    for name in (
        "refreshes_total",
        "refresh_duration_seconds_count",
        "refresh_duration_seconds_sum",
    ):
        assert lines(telemetry, name) == ['{account="main"} 0.0']
    assert len(lines(telemetry, "refresh_duration_seconds_bucket")) == 14


def test_a_failed_refresh_is_counted_by_its_reason_and_timed(telemetry):
    telemetry.refresh_ended("main", "timeout", 30.0)

    assert lines(telemetry, "refreshes_total") == ['{account="main"} 1.0']
    assert lines(telemetry, "refresh_failures_total") == ['{account="main",reason="timeout"} 1.0']
    assert lines(telemetry, "refresh_duration_seconds_sum") == ['{account="main"} 30.0']
    buckets = lines(telemetry, "refresh_duration_seconds_bucket")
    assert buckets[6:9] + buckets[-1:] == [
        f'{{account="main",le="{bound}"}} {count}'
        for bound, count in (("10.0", "0.0"), ("30.0", "1.0"), ("60.0", "1.0"), ("+Inf", "1.0"))
    ]


def test_a_success_is_no_failure(telemetry):
    telemetry.refresh_ended("main", "success", 1.0)

    assert lines(telemetry, "refreshes_total") == ['{account="main"} 1.0']
    assert lines(telemetry, "refresh_failures_total") == []


def test_an_account_that_is_forgotten_leaves_no_series(telemetry):
    for account in ("main", "gone"):
        telemetry.prepare(account)
        telemetry.request_sent(account, "/api/token/", "200")

    telemetry.forget("gone")

    assert b"gone" not in telemetry.text(Format.TEXT)
    assert lines(telemetry, "refreshes_total") == ['{account="main"} 0.0']


def test_what_was_configured_is_exposed_and_a_failed_reload_keeps_the_time_of_the_last_good_one(
    telemetry,
):
    names = (
        *("shards", "shard_index", "accounts", "config_last_reload_successful"),
        "config_last_reload_success_timestamp_seconds",
    )
    found = []
    telemetry.configured(shards=3, index=2, accounts=7, at=1_750_000_000.0)
    found.append([lines(telemetry, name) for name in names])
    telemetry.reload_failed()
    found.append([lines(telemetry, name) for name in names])

    assert found == [
        [[" 3.0"], [" 2.0"], [" 7.0"], [last], [" 1.75e+09"]] for last in (" 1.0", " 0.0")
    ]


def test_dropped_log_lines_are_counted_where_they_are_dropped():
    dropped = [0]
    telemetry = Telemetry(version="1.2.3", dropped_lines=lambda: dropped[0])
    dropped[0] = 4

    assert lines(telemetry, "log_lines_dropped_total") == [" 4.0"]


def test_every_request_is_counted_by_account_path_and_answer(telemetry):
    for code in ("200", "200", "none"):
        telemetry.request_sent("main", "/api/token/", code)

    assert lines(telemetry, "api_requests_total") == [
        '{account="main",code="200",path="/api/token/"} 2.0',
        '{account="main",code="none",path="/api/token/"} 1.0',
    ]


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(lambda it: it.prepare("new"), id="prepared"),
        pytest.param(lambda it: it.forget("main"), id="forgotten"),
        pytest.param(lambda it: it.refresh_ended("main", "timeout", 1.0), id="refreshed"),
        pytest.param(lambda it: it.request_sent("main", "/", "200"), id="requested"),
        pytest.param(
            lambda it: it.configured(shards=1, index=0, accounts=1, at=1.0), id="configured"
        ),
        pytest.param(lambda it: it.reload_failed(), id="reload failed"),
    ],
)
def test_the_scrape_after_anything_is_counted_shows_it(telemetry, count):
    """The text is kept only while nothing is counted."""
    telemetry.prepare("main")
    telemetry.configured(shards=3, index=2, accounts=7, at=9.0)
    before = telemetry.text(Format.TEXT)
    count(telemetry)

    assert telemetry.text(Format.TEXT) != before


def test_the_build_is_exposed(telemetry):
    assert lines(telemetry, "build_info") == [
        f'{{python_version="{platform.python_version()}",version="1.2.3"}} 1.0',
    ]


@pytest.mark.parametrize(
    ("format_", "encode"), [(Format.TEXT, library_text), (Format.OPENMETRICS, library_openmetrics)]
)
def test_the_process_and_its_python_are_exposed_as_the_library_does(format_, encode):
    metrics = [metric for collector in process_collectors() for metric in collector.collect()]
    held = SimpleNamespace(collect=lambda: metrics)

    assert {
        "python_info",
        "process_resident_memory_bytes",
        "process_cpu_seconds",
        "process_open_fds",
    } <= {metric.name for metric in metrics}
    assert text_of([held], format_) + format_.end.encode() == encode(held)

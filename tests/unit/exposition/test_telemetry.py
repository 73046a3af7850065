"""The exporter's own counters."""

import platform

import pytest
from prometheus_client import CollectorRegistry
from promises import REASONS

from exporter.exposition.rendering import Form
from exporter.exposition.scrape import encode
from exporter.exposition.telemetry import TELEMETRY_FAMILIES, Telemetry, process_collectors


@pytest.fixture
def telemetry():
    return Telemetry(version="1.2.3")


def value(telemetry, name, **labels):
    registry = CollectorRegistry()
    for collector in telemetry.collectors:
        registry.register(collector)
    return registry.get_sample_value(name, labels)


def text(telemetry):
    return encode(Form.TEXT, [metric for each in telemetry.collectors for metric in each.collect()]).decode()


def test_every_reason_of_an_account_is_there_at_zero_from_the_start(telemetry):
    telemetry.prepare("main")

    name = "cometapi_exporter_refresh_failures_total"
    assert [line for line in text(telemetry).splitlines() if line.startswith(name)] == [
        f'{name}{{account="main",reason="{reason}"}} 0.0' for reason in REASONS
    ]
    assert value(telemetry, "cometapi_exporter_refreshes_total", account="main") == 0
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_count", account="main") == 0


def test_a_failed_refresh_is_counted_by_its_reason_and_timed(telemetry):
    telemetry.prepare("main")

    telemetry.refresh_ended("main", "timeout", 12.5)

    assert value(telemetry, "cometapi_exporter_refreshes_total", account="main") == 1
    assert value(telemetry, "cometapi_exporter_refresh_failures_total", account="main", reason="timeout") == 1
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_sum", account="main") == 12.5
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_bucket", account="main", le="10.0") == 0
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_bucket", account="main", le="30.0") == 1


def test_a_success_is_no_failure(telemetry):
    telemetry.prepare("main")

    telemetry.refresh_ended("main", "success", 1.0)

    assert value(telemetry, "cometapi_exporter_refreshes_total", account="main") == 1
    assert 'reason="success"' not in text(telemetry)


def test_an_account_that_is_forgotten_leaves_no_series(telemetry):
    for account in ("main", "gone"):
        telemetry.prepare(account)
        telemetry.request_sent(account, "/api/token/", "200")

    telemetry.forget("gone")

    assert ("gone" in text(telemetry), value(telemetry, "cometapi_exporter_refreshes_total", account="main")) == (
        False,
        0,
    )


def test_what_was_configured_is_exposed_and_a_failed_reload_keeps_the_time_of_the_last_good_one(telemetry):
    telemetry.configured(shards=3, index=2, accounts=7, at=1_750_000_000.0)
    telemetry.reload_failed()

    names = ("shards", "shard_index", "accounts", "config_last_reload_successful")
    assert [value(telemetry, f"cometapi_exporter_{name}") for name in names] == [3, 2, 7, 0]
    assert value(telemetry, "cometapi_exporter_config_last_reload_success_timestamp_seconds") == 1_750_000_000


def test_dropped_log_lines_are_counted_where_they_are_dropped():
    dropped = [0]
    telemetry = Telemetry(version="1.2.3", dropped_lines=lambda: dropped[0])
    dropped[0] = 4

    assert value(telemetry, "cometapi_exporter_log_lines_dropped_total") == 4


def test_every_request_is_counted_by_account_path_and_answer(telemetry):
    for code in ("200", "200", "none"):
        telemetry.request_sent("main", "/api/token/", code)

    name = "cometapi_exporter_api_requests_total"
    assert value(telemetry, name, account="main", endpoint="/api/token/", code="200") == 2
    assert value(telemetry, name, account="main", endpoint="/api/token/", code="none") == 1


def test_the_build_is_exposed(telemetry):
    labels = {"version": "1.2.3", "python_version": platform.python_version()}

    assert value(telemetry, "cometapi_exporter_build_info", **labels) == 1


def test_no_creation_times_are_served(telemetry):
    telemetry.prepare("main")

    assert "_created" not in text(telemetry)


def test_the_catalogue_says_what_is_served(telemetry):
    telemetry.prepare("main")
    telemetry.request_sent("main", "/api/token/", "200")

    served = [line.split(" ", 3) for line in text(telemetry).splitlines() if line.startswith("# HELP")]
    assert [(name, help_) for _, _, name, help_ in served] == [(f.name, f.help) for f in TELEMETRY_FAMILIES]


def test_the_process_and_its_python_are_exposed():
    names = {metric.name for each in process_collectors() for metric in each.collect()}

    assert {"python_info", "process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds"} <= names


def test_two_telemetries_do_not_share_a_registry():
    first, second = Telemetry(version="1"), Telemetry(version="2")
    first.request_sent("main", "/", "200")

    assert "200" not in text(second)

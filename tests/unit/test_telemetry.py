"""The exporter's own counters."""

import platform

import pytest
from prometheus_client import CollectorRegistry
from promises import REASONS

from exporter.rendering import Form
from exporter.telemetry import TELEMETRY_FAMILIES, Telemetry, process_collectors


@pytest.fixture
def telemetry():
    return Telemetry(version="1.2.3")


def value(telemetry, name, **labels):
    registry = CollectorRegistry()
    for collector in telemetry.collectors:
        registry.register(collector)
    return registry.get_sample_value(name, labels)


def text(telemetry):
    return Form.TEXT.encode([metric for each in telemetry.collectors for metric in each.collect()]).decode()


def test_every_outcome_of_an_account_is_there_at_zero_from_the_start(telemetry):
    telemetry.prepare("main")

    lines = [line for line in text(telemetry).splitlines() if line.startswith("cometapi_exporter_refreshes_total")]
    assert lines == [
        f'cometapi_exporter_refreshes_total{{account="main",outcome="{outcome}"}} 0.0'
        for outcome in ("success", *REASONS)
    ]
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_count", account="main") == 0


def test_a_refresh_is_counted_and_timed(telemetry):
    telemetry.prepare("main")

    telemetry.refresh_ended("main", "timeout", 12.5)

    assert value(telemetry, "cometapi_exporter_refreshes_total", account="main", outcome="timeout") == 1
    assert value(telemetry, "cometapi_exporter_refreshes_total", account="main", outcome="success") == 0
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_sum", account="main") == 12.5
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_bucket", account="main", le="10.0") == 0
    assert value(telemetry, "cometapi_exporter_refresh_duration_seconds_bucket", account="main", le="30.0") == 1


def test_every_request_is_counted_by_account_path_and_answer(telemetry):
    for code in ("200", "200", "none"):
        telemetry.request_sent("main", "/api/token/", code)

    name = "cometapi_exporter_api_requests_total"
    assert value(telemetry, name, account="main", endpoint="/api/token/", code="200") == 2
    assert value(telemetry, name, account="main", endpoint="/api/token/", code="none") == 1


def test_the_build_is_told(telemetry):
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


def test_the_process_and_its_python_are_told():
    names = {metric.name for each in process_collectors() for metric in each.collect()}

    assert {"python_info", "process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds"} <= names


def test_two_telemetries_do_not_share_a_registry():
    first, second = Telemetry(version="1"), Telemetry(version="2")
    first.request_sent("main", "/", "200")

    assert "200" not in text(second)

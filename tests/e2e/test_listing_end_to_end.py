"""The installed program reads a gateway over real HTTP, and every value it prints is the gateway's."""

import pytest
from builders import wire_keys
from gateway import Gateway
from processes import run_exporter, samples_of


def escaped(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def labels(key):
    return f'account="default",group="{key["group"]}",key_id="{key["id"]}",key_name="{escaped(key["name"])}"'


def expected_series(keys):
    """Work out from the gateway's own words what must be served, the countdown and `usable` apart."""
    series = {}
    for key in keys:
        said = labels(key)
        if not key["unlimited_quota"]:
            series[f"cometapi_key_remaining_quota{{{said}}}"] = key["remain_quota"]
        if key["expired_time"] != -1:
            series[f"cometapi_key_expiry_timestamp_seconds{{{said}}}"] = key["expired_time"]
        if key["accessed_time"] not in (0, key["created_time"]):
            series[f"cometapi_key_last_used_timestamp_seconds{{{said}}}"] = key["accessed_time"]
        series[f"cometapi_key_used_quota{{{said}}}"] = key["used_quota"]
        series[f"cometapi_key_unlimited_quota{{{said}}}"] = int(key["unlimited_quota"])
        series[f"cometapi_key_status{{{said}}}"] = key["status"]
        series[f"cometapi_key_created_timestamp_seconds{{{said}}}"] = key["created_time"]
    return series


@pytest.mark.parametrize("count", [0, 1_001])
def test_every_key_is_printed_once_with_the_gateways_values(count):
    keys = wire_keys(count)
    with Gateway(keys=keys) as gateway:
        done = run_exporter("--once", gateway=gateway)

    assert done.returncode == 0, done.stderr
    printed = samples_of(done.stdout)
    varying = (
        "cometapi_key_expires_in_seconds",
        "cometapi_key_usable",
        "cometapi_key_info",
        "cometapi_key_changes_total",
    )
    mine = {name: value for name, value in printed.items() if name.startswith("cometapi_key_")}
    assert {
        name: value for name, value in mine.items() if not name.startswith(varying)
    } == expected_series(keys)
    assert sum(name.startswith("cometapi_key_usable") for name in mine) == count
    assert sum(name.startswith("cometapi_key_info") for name in mine) == count

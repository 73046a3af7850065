"""The installed program reads a gateway over real HTTP, and every value it prints is the gateway's."""

import time

import pytest
from builders import CANARY_TOKEN, a_wire_key, wire_keys
from gateway import Gateway
from processes import Exporter, accounts_file, run_exporter, samples_of


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
    varying = ("cometapi_key_expires_in_seconds", "cometapi_key_usable", "cometapi_key_info")
    mine = {name: value for name, value in printed.items() if name.startswith("cometapi_key_")}
    assert {name: value for name, value in mine.items() if not name.startswith(varying)} == expected_series(keys)
    assert sum(name.startswith("cometapi_key_usable") for name in mine) == count
    assert sum(name.startswith("cometapi_key_info") for name in mine) == count


def test_usable_and_countdown_are_judged_at_the_time_of_the_answer():
    now = int(time.time())
    keys = [
        a_wire_key(1, name="alive", expired_time=now + 3600),
        a_wire_key(2, name="only looks alive", expired_time=now - 3600),
        a_wire_key(3, name="spent", remain_quota=0),
        a_wire_key(4, name="unlimited", remain_quota=-7, unlimited_quota=True),
        a_wire_key(5, name="disabled", status=2),
    ]
    with Gateway(keys=keys) as gateway:
        done = run_exporter("--once", gateway=gateway)

    printed = samples_of(done.stdout)
    usable = {key["name"]: printed[f"cometapi_key_usable{{{labels(key)}}}"] for key in keys}
    assert usable == {"alive": 1, "only looks alive": 0, "spent": 0, "unlimited": 1, "disabled": 0}
    assert 3590 < printed[f"cometapi_key_expires_in_seconds{{{labels(keys[0])}}}"] <= 3600
    assert -3610 < printed[f"cometapi_key_expires_in_seconds{{{labels(keys[1])}}}"] <= -3600
    assert printed['cometapi_keys{account="default",group="",status="enabled"}'] == 4
    assert printed['cometapi_keys_usable{account="default",group=""}'] == 2


def test_of_two_accounts_one_may_fail_without_disturbing_the_other(tmp_path):
    with Gateway(keys=wire_keys(5)) as good, Gateway(keys=wire_keys(5), token="other") as bad:
        file = accounts_file(tmp_path, {"good": good, "bad": bad})
        with Exporter(file, TOKEN=CANARY_TOKEN) as exporter:
            samples = exporter.wait_ready().samples()

    assert samples['cometapi_up{account="good"}'] == 1
    assert samples['cometapi_up{account="bad"}'] == 0
    assert samples['cometapi_exporter_refresh_failures_total{account="bad",reason="unauthorized"}'] == 1
    assert sum('account="good"' in name for name in samples if name.startswith("cometapi_key_status")) == 5
    assert not any('account="bad"' in name for name in samples if name.startswith("cometapi_key_"))

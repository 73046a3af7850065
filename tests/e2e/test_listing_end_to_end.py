"""The installed program reads a gateway over real HTTP, and every value it prints is the gateway's."""

import time

import pytest
from builders import CANARY_TOKEN, a_wire_key, wire_keys
from gateway import Gateway
from processes import Exporter, run_exporter, wait_until


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
        if key["accessed_time"]:
            series[f"cometapi_key_last_used_timestamp_seconds{{{said}}}"] = key["accessed_time"]
        series[f"cometapi_key_used_quota{{{said}}}"] = key["used_quota"]
        series[f"cometapi_key_unlimited_quota{{{said}}}"] = int(key["unlimited_quota"])
        series[f"cometapi_key_status{{{said}}}"] = key["status"]
        series[f"cometapi_key_created_timestamp_seconds{{{said}}}"] = key["created_time"]
    return series


def series_of(text):
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1000, 2345])
def test_every_key_is_printed_once_with_the_gateways_values(count):
    keys = wire_keys(count)
    with Gateway(keys=keys) as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert done.returncode == 0, done.stderr
    printed = series_of(done.stdout)
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
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    printed = series_of(done.stdout)
    usable = {key["name"]: printed[f"cometapi_key_usable{{{labels(key)}}}"] for key in keys}
    assert usable == {"alive": 1, "only looks alive": 0, "spent": 0, "unlimited": 1, "disabled": 0}
    assert 3590 < printed[f"cometapi_key_expires_in_seconds{{{labels(keys[0])}}}"] <= 3600
    assert -3610 < printed[f"cometapi_key_expires_in_seconds{{{labels(keys[1])}}}"] <= -3600
    assert printed['cometapi_keys{account="default",group="",status="enabled"}'] == 4
    assert printed['cometapi_keys_usable{account="default",group=""}'] == 2


def test_a_thousand_keys_behind_slow_answers_are_asked_for_four_pages_at_a_time():
    with Gateway(keys=wire_keys(1000), delay=0.05) as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert done.returncode == 0
    assert gateway.pages_asked()[0] == 1
    assert sorted(gateway.pages_asked()) == list(range(1, 12))
    assert 4 <= gateway.most_at_once <= 5  # four pages, and the account


def test_a_gateway_that_refuses_everything_gives_no_exposition_and_exit_code_1():
    with Gateway(keys=wire_keys(3), token="another") as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert (done.returncode, done.stdout) == (1, "")
    assert "reason=unauthorized" in done.stderr


def test_a_rotated_token_file_is_used_in_the_next_refresh(tmp_path):
    token = tmp_path / "token"
    token.write_text("old-token\n")
    with (
        Gateway(keys=wire_keys(3), token="old-token") as gateway,
        Exporter(
            "--collect.interval=300ms",
            f"--cometapi.access-token-file={token}",
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        exporter.wait_ready()
        assert exporter.samples()['cometapi_up{account="default"}'] == 1
        gateway.token = "new-token"
        wait_until(lambda: exporter.samples()['cometapi_up{account="default"}'] == 0)
        token.write_text("new-token\n")
        wait_until(lambda: exporter.samples()['cometapi_up{account="default"}'] == 1)


def test_of_two_accounts_one_may_fail_without_disturbing_the_other(tmp_path):
    with Gateway(keys=wire_keys(5)) as good, Gateway(keys=wire_keys(5), token="other") as bad:
        (tmp_path / "token").write_text(CANARY_TOKEN)
        config = tmp_path / "accounts.yml"
        config.write_text(
            "accounts:\n"
            f"  - {{name: good, base_url: '{good.url}', access_token_file: token}}\n"
            f"  - {{name: bad, base_url: '{bad.url}', access_token_env: TOKEN_OF_BAD}}\n"
        )
        with Exporter(f"--config.file={config}", TOKEN_OF_BAD=CANARY_TOKEN) as exporter:
            samples = exporter.wait_ready().samples()

    assert samples['cometapi_up{account="good"}'] == 1
    assert samples['cometapi_up{account="bad"}'] == 0
    assert samples['cometapi_exporter_refresh_failures_total{account="bad",reason="unauthorized"}'] == 1
    assert sum('account="good"' in name for name in samples if name.startswith("cometapi_key_status")) == 5
    assert not any('account="bad"' in name for name in samples if name.startswith("cometapi_key_"))

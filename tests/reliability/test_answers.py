"""Towards the API, 1: bad answers. Each maps to its reason, is counted, keeps the last keys, and heals by itself.

One running exporter a case: a good refresh, the fault, then good refreshes again.
"""

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import KEYS_PATH as KEYS
from gateway import (
    Gateway,
    always,
    answer,
    gzip_bomb,
    hang,
    on_path,
    truncated,
)
from processes import Exporter, wait_until

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


def envelope(data: str) -> bytes:
    return f'{{"success": true, "message": "", "data": {data}}}'.encode()


def page(items: str, *, total: str = "3") -> bytes:
    return envelope(f'{{"page": 1, "page_size": 100, "total": {total}, "items": {items}}}')


BANNED = b'{"success": false, "code": "AUTH_USER_DISABLED", "message": "no"}'
FAULTS = {
    "unauthorized": answer(401, b'{"success": false, "code": "AUTH_UNAUTHORIZED", "message": "no"}', JSON),
    "account_disabled": answer(401, BANNED, JSON),
    "rate_limited": answer(429),
    "server_error": answer(503),
    "timeout": hang(30),
    "unreachable": truncated(),
    "rejected": answer(200, b'{"success": false, "message": "no"}', JSON),
    "invalid_response": gzip_bomb(400_000_000),
}
"""One for each reason; which faults lead to a reason is for tests/integration/cometapi and the samples to show."""


def peak_memory_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("reason", FAULTS)
def test_a_bad_answer_is_counted_by_its_reason_keeps_the_keys_and_heals(reason):
    with (
        Gateway(keys=wire_keys(3)) as gateway,
        Exporter(
            "--collect.interval=200ms",
            "--collect.timeout=500ms",
            "--collect.max-requests-per-minute=10000",
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        up = 'cometapi_up{account="default"}'
        exporter.wait_ready()
        assert exporter.samples()[up] == 1
        gateway.faults = on_path(KEYS, FAULTS[reason])
        wait_until(lambda: exporter.samples()[up] == 0)
        bad = exporter.samples()
        assert bad[f'cometapi_exporter_refresh_failures_total{{account="default",reason="{reason}"}}'] >= 1
        assert sum(name.startswith("cometapi_key_status") for name in bad) == 3
        assert exporter.get("/-/healthy").status_code == 200
        assert exporter.get("/-/ready").status_code == 200
        gateway.faults = None
        wait_until(lambda: exporter.samples()[up] == 1)
        said = [entry for entry in exporter.log() if entry["msg"] == "refresh failed"]
        assert [entry["reason"] for entry in said] == [reason]
        healed = wait_until(lambda: [entry for entry in exporter.log() if entry["msg"] == "refresh recovered"])
        assert [entry["previous_reason"] for entry in healed] == [reason]
        assert peak_memory_mb(exporter.process.pid) < 120


READABLE = '{"id": 1, "status": 1, "expired_time": -1, "remain_quota": 5, "unlimited_quota": false, "used_quota": 0}'
BAD_KEYS = {
    "float-quota": READABLE.replace('"id": 1', '"id": 2').replace('"remain_quota": 5', '"remain_quota": 1.5'),
    "string-quota": READABLE.replace('"id": 1', '"id": 2').replace('"remain_quota": 5', '"remain_quota": "5"'),
    "quota-1e400": READABLE.replace('"id": 1', '"id": 2').replace('"remain_quota": 5', '"remain_quota": 1e400'),
    "quota-2-to-70": READABLE.replace('"id": 1', '"id": 2').replace('"remain_quota": 5', f'"remain_quota": {2**70}'),
    "null-item": "null",
}


@pytest.mark.parametrize("bad_key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_one_unreadable_key_is_left_out_and_counted_and_never_blanks_the_others(bad_key):
    body = page(f"[{bad_key}, {READABLE}]", total="2")
    with (
        Gateway(faults=on_path(KEYS, answer(200, body, JSON))) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        samples = exporter.wait_ready().samples()

    assert [name for name in samples if name.startswith("cometapi_key_status")] == [
        'cometapi_key_status{account="default",group="",key_id="1",key_name=""}'
    ]
    assert samples['cometapi_exporter_skipped_keys{account="default"}'] == 1
    assert samples['cometapi_up{account="default"}'] == 1


@pytest.mark.parametrize("total", [-5, 0, 7, 10**12], ids=lambda total: f"total {total}")
def test_a_total_that_lies_loses_no_key(total):
    with (
        Gateway(keys=wire_keys(250), total=total) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        samples = exporter.wait_ready().samples()

    assert sum(name.startswith("cometapi_key_status") for name in samples) == 250
    assert samples['cometapi_exporter_refresh_failures_total{account="default",reason="inconsistent"}'] == 1
    assert gateway.count() < 60


def test_null_items_are_an_empty_list():
    with (
        Gateway(null_items=True) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        assert exporter.wait_ready().samples()['cometapi_up{account="default"}'] == 1


def test_a_passing_fault_is_tried_again_within_the_refresh():
    with (
        Gateway(keys=wire_keys(3), faults=[answer(502), answer(502)]) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        samples = exporter.wait_ready().samples()

    assert samples['cometapi_up{account="default"}'] == 1
    assert sum(value for name, value in samples.items() if 'code="502"' in name) == 2


def test_a_refused_balance_fails_no_refresh_and_is_logged_once():
    with (
        Gateway(keys=wire_keys(3), account=None) as gateway,
        Exporter(
            "--collect.interval=200ms", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url
        ) as exporter,
    ):
        gateway.wait_for(4)
        samples = exporter.samples()
        said = [entry["reason"] for entry in exporter.log() if entry["msg"] == "account balance unavailable"]

    assert samples['cometapi_up{account="default"}'] == 1
    assert not any(name.startswith("cometapi_account_") for name in samples)
    assert said == ["unauthorized"]


def test_a_redirect_names_the_origin_of_its_target_alone():
    fault = answer(302, headers={"Location": "https://user:hidden@elsewhere.example:8443/hidden?token=hidden#hidden"})
    with (
        Gateway(faults=always(fault)) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        exporter.wait_ready()
        detail = next(entry["detail"] for entry in exporter.log() if entry["msg"] == "refresh failed")

    assert "https://elsewhere.example:8443" in detail
    assert "hidden" not in detail

"""The demo's keys live and die as keys do, and hold what the exporter must never show."""

import json
import re

import pytest

from exporter.demo.scenario import KEYS, account_at, keys_at

START = 1_750_000_000.0
HOUR, DAY = 3_600, 86_400
FIELDS_OF_A_KEY = {
    "id",
    "user_id",
    "key",
    "status",
    "name",
    "created_time",
    "accessed_time",
    "expired_time",
    "remain_quota",
    "unlimited_quota",
    "model_limits_enabled",
    "model_limits",
    "allow_ips",
    "used_quota",
    "group",
    "cross_group_retry",
}


def at(seconds):
    return {item["id"]: item for item in keys_at(START, START + seconds)}


@pytest.mark.parametrize(
    ("key_id", "expected"),
    [
        pytest.param(1123, {"status": 1, "expired_time": START - 2 * DAY}, id="expired-but-enabled"),
        pytest.param(1122, {"unlimited_quota": True, "remain_quota": -3_200_000}, id="unlimited"),
        pytest.param(1120, {"status": 4, "remain_quota": 0}, id="exhausted"),
        pytest.param(1119, {"status": 3, "expired_time": START - 40 * DAY}, id="expired"),
        pytest.param(1118, {"status": 2, "accessed_time": START - 6 * HOUR}, id="disabled"),
        pytest.param(1115, {"name": "评估集群 🔬"}, id="unicode"),
        pytest.param(1114, {"name": 'says "hello" \\ goodbye', "expired_time": -1}, id="quotes-and-backslash"),
        pytest.param(1113, {"group": "", "accessed_time": START - 120 * DAY}, id="idle-for-long"),
        pytest.param(1112, {"accessed_time": START - 200 * DAY, "created_time": START - 200 * DAY}, id="never-used"),
        pytest.param(1111, {"status": 1, "remain_quota": 1_494}, id="run-dry"),
        pytest.param(1110, {"group": "legacy"}, id="group-gone"),
        pytest.param(1112, {"name": "", "model_limits_enabled": True, "cross_group_retry": True}, id="no-name"),
        pytest.param(1127, {"model_limits_enabled": False, "model_limits": "", "allow_ips": None}, id="no-limits"),
    ],
)
def test_a_special_key_shows_what_it_is_there_for(key_id, expected):
    item = at(0)[key_id]

    assert {field: item[field] for field in expected} == expected


def test_every_key_has_exactly_the_fields_of_the_api_and_survives_json():
    items = keys_at(START, START + 1234.5)

    assert all(item.keys() == FIELDS_OF_A_KEY for item in items)
    assert json.loads(json.dumps(items)) == items


def test_quotas_and_times_are_whole_numbers_at_any_moment():
    fields = ("remain_quota", "used_quota", "created_time", "accessed_time", "expired_time")

    assert {type(item[field]) for item in keys_at(START + 0.25, START + 99.9) for field in fields} == {int}


def test_every_key_holds_a_secret_of_48_characters_that_is_obviously_made_up():
    secrets = [item["key"] for item in keys_at(START, START)]

    assert all(re.fullmatch(r"demo[0-9A-Za-z]{44}", secret) for secret in secrets)
    assert len(set(secrets)) == 127


def test_no_name_is_longer_than_the_api_allows():
    assert max(len(key.name) for key in KEYS) <= 50


def test_a_newer_key_was_never_created_before_an_older_one():
    created = [item["created_time"] for item in keys_at(START, START)]

    assert created == sorted(created, reverse=True)


def test_no_key_was_used_before_it_was_created_or_in_the_future():
    for item in at(500).values():
        assert item["accessed_time"] == 0 or item["created_time"] <= item["accessed_time"] <= START + 500


def test_the_same_moment_always_looks_the_same():
    assert keys_at(START, START + 777) == keys_at(START, START + 777)


def test_an_unlimited_key_drifts_further_below_zero():
    assert at(1000)[1122]["remain_quota"] == -3_233_000
    assert at(1000)[1122]["used_quota"] == 1_033_000


def test_a_key_past_its_expiry_serves_no_more_though_its_status_lags():
    ends, later = at(5 * HOUR)[1125], at(9 * HOUR)[1125]

    assert ends["used_quota"] == later["used_quota"] == 2_710_000
    assert later["accessed_time"] == START + 5 * HOUR
    assert later["status"] == 1


def test_a_key_that_ran_out_is_used_no_more_though_its_status_lags():
    still, out = at(3_600)[1126], at(5_000)[1126]

    assert (still["remain_quota"], still["accessed_time"]) == (60_000, START + 3_600)
    assert (out["remain_quota"], out["used_quota"], out["status"]) == (-250, 90_400_250, 1)
    assert out["accessed_time"] == START + 3_692


@pytest.mark.parametrize("key_id", [1123, 1121, 1120, 1119, 1118, 1113, 1112])
def test_a_key_that_cannot_or_does_not_serve_stays_as_it_was(key_id):
    assert at(0)[key_id] == at(10 * DAY)[key_id]


def test_only_keys_that_would_serve_spend():
    for key in KEYS:
        serves = key.status == 1 and (key.unlimited or key.remaining > 0) and (key.expires_in or 1) > 0
        assert serves or key.rate == 0, key


def test_what_was_spent_never_falls_even_through_a_burst():
    used = [at(second)[1117]["used_quota"] for second in range(0, 2_000, 10)]

    assert used == sorted(used)
    assert used[-1] > used[0]


def test_a_clock_that_steps_back_gives_nothing_back():
    assert at(-50)[1127]["used_quota"] == 41_000_000
    assert at(-50)[1127]["remain_quota"] == 60_000_000


def test_the_account_pays_for_every_key():
    before, after = account_at(START, START), account_at(START, START + 600)
    by_keys = sum(at(600)[key.id]["used_quota"] - at(0)[key.id]["used_quota"] for key in KEYS)

    assert before["quota"] - after["quota"] == after["used_quota"] - before["used_quota"] == by_keys > 0
    assert after["request_count"] > before["request_count"]


def test_the_account_has_spent_at_least_what_its_keys_have():
    assert account_at(START, START)["used_quota"] >= sum(item["used_quota"] for item in keys_at(START, START))


def test_the_account_tells_personal_data_that_nobody_may_show():
    account = account_at(START, START)

    assert account["email"] == "demo@example.invalid"
    assert {"id", "username", "group"} <= account.keys()

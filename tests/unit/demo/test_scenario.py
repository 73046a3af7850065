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


def test_every_key_has_exactly_the_fields_of_the_api_with_whole_numbers():
    items = json.loads(json.dumps(keys_at(START + 0.25, START + 1234.5)))

    assert all(item.keys() == FIELDS_OF_A_KEY for item in items)
    assert {type(value) for item in items for value in item.values()} == {
        int,
        str,
        bool,
        type(None),
    }
    assert all(re.fullmatch(r"demo[0-9A-Za-z]{44}", item["key"]) for item in items)


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


def test_the_account_pays_for_every_key():
    before, after = account_at(START, START), account_at(START, START + 600)
    by_keys = sum(at(600)[key.id]["used_quota"] - at(0)[key.id]["used_quota"] for key in KEYS)

    assert (
        before["quota"] - after["quota"]
        == after["used_quota"] - before["used_quota"]
        == by_keys
        > 0
    )
    assert after["request_count"] > before["request_count"]
    assert after["email"] == "demo@example.invalid"  # which must never be shown


@pytest.mark.parametrize("begin", [0, 360, 36_000])
def test_a_careless_update_clears_an_expiry_and_an_address_list_until_somebody_repairs_it(begin):
    before, careless, repaired = (at(begin + seconds)[1113] for seconds in (179, 180, 300))

    assert (careless["expired_time"], careless["allow_ips"]) == (-1, None)
    assert before == repaired
    assert before["expired_time"] == START + 500 * DAY
    assert before["allow_ips"] == "192.0.2.0/24\n198.51.100.7"


def test_all_other_keys_keep_their_settings():
    def settings(seconds):
        return {
            id_: (item["name"], item["expired_time"], item["allow_ips"], item["status"])
            for id_, item in at(seconds).items()
            if id_ != 1113
        }

    assert settings(0) == settings(200) == settings(330)

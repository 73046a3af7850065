"""The demo's account is what it says, and its gateway speaks the dialect."""

import asyncio

import httpx
import pytest

from exporter.demo.scenario import KEYS, account_at, keys_at
from exporter.demo.server import demo_gateway

START = 1_750_000_000.0


def at(seconds):
    return {item["id"]: item for item in keys_at(START, START + seconds)}


def ask(path, *, token="right", now=START):
    gateway = demo_gateway(token="right", started_at=START, clock=lambda: now)

    async def send():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://demo") as client:
            return await client.get(path, headers={"Authorization": token})

    return asyncio.run(send())


class TestScenario:
    def test_there_are_two_pages_of_keys_newest_first(self):
        ids = [item["id"] for item in keys_at(START, START)]

        assert len(ids) == 127
        assert ids == sorted(set(ids), reverse=True)

    def test_every_status_and_all_four_groups_are_there(self):
        assert {key.status for key in KEYS} == {1, 2, 3, 4}
        assert {key.group for key in KEYS} == {"production", "staging", "research", ""}

    @pytest.mark.parametrize(
        ("key_id", "field", "value"),
        [
            (1125, "expired_time", START + 5 * 3600),
            (1124, "expired_time", START + 3 * 86400),
            (1123, "expired_time", START - 2 * 86400),
            (1123, "status", 1),
            (1122, "unlimited_quota", True),
            (1121, "remain_quota", -1250),
            (1121, "status", 1),
            (1112, "accessed_time", 0),
            (1114, "allow_ips", "192.0.2.0/24\n198.51.100.7"),
        ],
    )
    def test_a_notable_key_is_what_it_is_there_for(self, key_id, field, value):
        assert at(0)[key_id][field] == value

    def test_two_keys_share_name_and_group(self):
        assert [(at(0)[key_id]["name"], at(0)[key_id]["group"]) for key_id in (1117, 1116)] == [
            ("notebooks", "research"),
            ("notebooks", "research"),
        ]

    def test_what_one_key_spends_leaves_its_own_quota_and_the_accounts(self):
        before, after = at(0)[1127], at(100)[1127]

        assert after["used_quota"] - before["used_quota"] == 42_000
        assert before["remain_quota"] - after["remain_quota"] == 42_000
        assert account_at(START, START + 100)["quota"] < account_at(START, START)["quota"]

    def test_keys_fall_at_their_own_pace(self):
        falls = {key_id: at(0)[key_id]["remain_quota"] - item["remain_quota"] for key_id, item in at(60).items()}

        assert len(set(falls.values())) > 10

    def test_the_busy_key_runs_out_within_two_hours_and_stops(self):
        assert at(7200)[1126]["remain_quota"] == -250
        assert at(9000)[1126]["remain_quota"] == -250

    def test_a_bursting_key_spends_eight_times_its_usual_now_and_then(self):
        used = [at(second)[1117]["used_quota"] for second in (700, 760, 820, 880)]

        assert used[1] - used[0] == 18 * 60
        assert used[3] - used[2] == 8 * 18 * 60


class TestGateway:
    def test_a_page_has_the_dialects_envelope(self):
        answer = ask("/api/token/?p=2&page_size=100").json()

        assert answer["success"] is True
        assert {name: answer["data"][name] for name in ("page", "page_size", "total")} == {
            "page": 2,
            "page_size": 100,
            "total": 127,
        }
        assert [item["id"] for item in answer["data"]["items"]] == list(range(1027, 1000, -1))

    @pytest.mark.parametrize(
        ("query", "length"), [("", 10), ("?page_size=1000", 100), ("?p=0&page_size=5", 5), ("?p=99", 0), ("?p=x", 10)]
    )
    def test_a_page_is_as_long_as_the_gateway_says(self, query, length):
        assert len(ask(f"/api/token/{query}").json()["data"]["items"]) == length

    def test_the_token_is_accepted_raw_and_as_bearer(self):
        assert ask("/api/user/self", token="right").status_code == 200
        assert ask("/api/user/self", token="Bearer right").status_code == 200

    @pytest.mark.parametrize("path", ["/api/token/", "/api/user/self"])
    def test_another_token_is_refused(self, path):
        answer = ask(path, token="wrong")

        assert answer.status_code == 401
        assert answer.json()["success"] is False

    def test_the_status_needs_no_token(self):
        assert ask("/api/status", token="").json()["data"]["quota_per_unit"] == 500_000

    def test_anything_else_is_the_web_page(self):
        assert ask("/v1/api/token").headers["content-type"] == "text/html; charset=utf-8"

"""The demo's gateway pages, refuses and falls back to its web page as the real ones do."""

import asyncio

import httpx
import pytest

from exporter.demo.server import demo_gateway, demo_gateways

START = 1_750_000_000.0


def ask(path, *, authorization="right", now=START):
    gateway = demo_gateway(token="right", started_at=START, clock=lambda: now)
    return send_to(gateway, path, authorization)


def ask_all(path):
    gateways = demo_gateways(token="right", started_at=START, clock=lambda: START)
    return send_to(gateways, path, "right")


def send_to(gateway, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}

    async def send():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway), base_url="http://demo"
        ) as client:
            return await client.get(path, headers=headers)

    return asyncio.run(send())


def test_all_pages_together_hold_every_key_once_newest_first():
    pages = [
        ask(f"/api/token/?p={page}&page_size=50").json()["data"]["items"] for page in (1, 2, 3, 4)
    ]

    assert [len(page) for page in pages] == [50, 50, 27, 0]
    assert [item["id"] for page in pages for item in page] == list(range(1127, 1000, -1))


def test_a_page_beyond_the_end_is_an_empty_list_and_still_names_the_total():
    assert ask("/api/token/?p=3&page_size=100").json() == {
        "success": True,
        "message": "",
        "data": {"page": 3, "page_size": 100, "total": 127, "items": []},
    }


def test_a_page_tells_the_moment_that_the_clock_tells():
    newest = ask("/api/token/?page_size=1", now=START + 100).json()["data"]["items"][0]

    assert (newest["id"], newest["used_quota"], newest["accessed_time"]) == (
        1127,
        41_042_000,
        START + 100,
    )


def test_the_account_answers_in_the_envelope():
    answer = ask("/api/user/self").json()

    assert (answer["success"], answer["message"]) == (True, "")
    assert (answer["data"]["quota"], answer["data"]["group"]) == (2_500_000_000, "default")


@pytest.mark.parametrize(
    "path", ["/api/token/", "/api/user/self", "/api/user/self/groups", "/api/data/self"]
)
@pytest.mark.parametrize("authorization", [None, "righ", "rïght".encode("latin-1")])
def test_anything_but_the_token_is_refused_in_the_format_of_the_api(path, authorization):
    answer = ask(path, authorization=authorization)

    assert answer.status_code == 401
    assert answer.json() == {
        "success": False,
        "code": "AUTH_UNAUTHORIZED",
        "message": "the token is invalid",
    }


def test_the_status_tells_the_units_of_a_dollar_to_anybody():
    answer = ask("/api/status", authorization=None).json()

    assert answer["success"] is True
    assert answer["data"]["quota_per_unit"] == 500_000


def test_a_path_that_the_api_does_not_have_is_an_invalid_url():
    answer = ask("/api/subscription/self")

    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "Invalid URL (GET /api/subscription/self)",
            "type": "invalid_request_error",
        }
    }


def test_what_is_not_the_api_is_the_web_page():
    answer = ask("/v1/api/token/")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_the_token_is_accepted_after_bearer():
    assert ask("/api/user/self", authorization="Bearer right").status_code == 200


def is_challenge(answer):
    return (
        answer.status_code == 403
        and answer.headers["cf-mitigated"] == "challenge"
        and "Just a moment" in answer.text
    )


def test_each_account_has_a_gateway_below_its_name():
    names = ["demo", "partner"]
    totals = [ask_all(f"/{name}/api/token/").json()["data"]["total"] for name in names]

    assert totals == [127, 3]


@pytest.mark.parametrize("path", ["/api/token/", "/api/status", "/api/user/self", "/"])
def test_a_firewall_answers_every_request_of_the_blocked_account(path):
    assert is_challenge(ask_all(f"/blocked{path}"))


def test_a_firewall_hides_the_balance_alone_of_the_partner():
    assert is_challenge(ask_all("/partner/api/user/self"))
    groups = ask_all("/partner/api/user/self/groups").json()["data"]
    assert sorted(groups) == ["default", "vip"]


def test_a_key_of_the_partner_has_several_groups():
    newest = ask_all("/partner/api/token/?p=1&page_size=1").json()["data"]["items"][0]
    hours = "?start_timestamp=1749990000&end_timestamp=1750000000"
    usage = ask_all(f"/partner/api/data/flow/self{hours}").json()["data"]

    assert newest["group"] == "vip,default"
    assert {row["use_group"] for row in usage if row["token_id"] == newest["id"]} == {"vip"}


@pytest.mark.parametrize(
    ("path", "label"), [("/api/data/self", "created_at"), ("/api/data/flow/self", "token_id")]
)
def test_usage_of_more_than_thirty_days_is_refused(path, label):
    query = "?start_timestamp=1750000000&end_timestamp="

    assert label in ask(f"{path}{query}{1_750_000_000 + 30 * 86_400}").json()["data"][0]
    assert ask(f"{path}{query}{1_750_000_001 + 30 * 86_400}").json()["success"] is False


def test_every_group_but_one_is_open_with_its_price_factor():
    groups = ask("/api/user/self/groups").json()["data"]
    items = ask("/api/token/?page_size=100").json()["data"]["items"]

    assert {item["group"] for item in items} - {"", "legacy"} == groups.keys()
    assert groups["research"]["ratio"] == 0.8

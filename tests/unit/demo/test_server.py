"""The demo's gateway pages, refuses and falls back to its web page as the real ones do."""

import asyncio

import httpx
import pytest

from exporter.demo.server import demo_gateway

START = 1_750_000_000.0


def ask(path, *, method="GET", authorization="right", now=START):
    gateway = demo_gateway(token="right", started_at=START, clock=lambda: now)
    headers = {} if authorization is None else {"Authorization": authorization}

    async def send():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://demo") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


def test_all_pages_together_hold_every_key_once_newest_first():
    pages = [ask(f"/api/token/?p={page}&page_size=50").json()["data"]["items"] for page in (1, 2, 3, 4)]

    assert [len(page) for page in pages] == [50, 50, 27, 0]
    assert [item["id"] for page in pages for item in page] == list(range(1127, 1000, -1))


@pytest.mark.parametrize(
    ("query", "page", "size"),
    [
        pytest.param("", 1, 10, id="defaults"),
        pytest.param("?p=0", 1, 10, id="page-zero"),
        pytest.param("?p=-3", 1, 10, id="negative-page"),
        pytest.param("?p=3&page_size=7", 3, 7, id="as-asked"),
        pytest.param("?page_size=101", 1, 100, id="capped"),
        pytest.param("?page_size=0", 1, 10, id="size-zero"),
        pytest.param("?page_size=-5", 1, 10, id="negative-size"),
        pytest.param("?p=two&page_size=ten", 1, 10, id="no-numbers"),
    ],
)
def test_the_envelope_names_the_page_and_size_really_used(query, page, size):
    answer = ask(f"/api/token/{query}").json()["data"]

    assert (answer["page"], answer["page_size"], answer["total"]) == (page, size, 127)
    assert answer["items"][0]["id"] == 1127 - (page - 1) * size


def test_a_page_beyond_the_end_is_an_empty_list_and_still_names_the_total():
    assert ask("/api/token/?p=3&page_size=100").json() == {
        "success": True,
        "message": "",
        "data": {"page": 3, "page_size": 100, "total": 127, "items": []},
    }


def test_a_page_tells_the_moment_that_the_clock_tells():
    newest = ask("/api/token/?page_size=1", now=START + 100).json()["data"]["items"][0]

    assert (newest["id"], newest["used_quota"], newest["accessed_time"]) == (1127, 41_042_000, START + 100)


def test_the_account_answers_in_the_envelope():
    answer = ask("/api/user/self").json()

    assert (answer["success"], answer["message"]) == (True, "")
    assert (answer["data"]["quota"], answer["data"]["group"]) == (2_500_000_000, "default")


def test_a_bearer_prefix_opens_the_keys_too():
    assert ask("/api/token/", authorization="Bearer right").status_code == 200


@pytest.mark.parametrize("path", ["/api/token/", "/api/user/self"])
@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer ", id="bare-prefix"),
        pytest.param("righ", id="prefix-of-it"),
        pytest.param("right ", id="space-behind"),
        pytest.param("Basic right", id="other-scheme"),
        pytest.param("rïght".encode("latin-1"), id="not-ascii"),
    ],
)
def test_anything_but_the_token_is_refused_in_the_format_of_the_api(path, authorization):
    answer = ask(path, authorization=authorization)

    assert answer.status_code == 401
    assert answer.json() == {
        "success": False,
        "code": "AUTH_INVALID_ACCESS_TOKEN",
        "message": "the access token is not valid",
    }


def test_the_status_tells_the_units_of_a_dollar_to_anybody():
    answer = ask("/api/status", authorization=None).json()

    assert answer["success"] is True
    assert answer["data"]["quota_per_unit"] == 500_000


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/models"), ("GET", "/api/token"), ("GET", "/api/nothing"), ("POST", "/api/token/")],
)
def test_everything_else_is_the_web_page(method, path):
    answer = ask(path, method=method)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")


def test_usage_needs_the_token_and_refuses_more_than_thirty_days():
    path = "/api/data/self?start_timestamp=1750000000&end_timestamp={}"

    assert ask(path.format(1_750_000_000 + 3_600)).json()["success"] is True
    assert ask(path.format(1_750_000_000 + 31 * 86_400)).json()["success"] is False
    assert ask(path.format(1_750_000_000), authorization="wrong").status_code == 401


def test_every_group_but_one_is_open_with_its_price_factor():
    groups = ask("/api/user/self/groups").json()["data"]
    items = ask("/api/token/?page_size=100").json()["data"]["items"]

    assert {item["group"] for item in items} - {"", "legacy"} == groups.keys()
    assert groups["research"]["ratio"] == 0.8

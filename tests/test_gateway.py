"""Prove the simulation where no other test would notice that it misleads."""

import gateway as simulation
import httpx
import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, Request

TOKEN = {"Authorization": CANARY_TOKEN}


def get(
    gateway: Gateway, target: str = "/api/token/", *, headers: dict[str, str] = TOKEN
) -> httpx.Response:
    return httpx.get(gateway.url + target, headers=headers, trust_env=False)


def ids(answer: httpx.Response) -> list[int]:
    shown = answer.json()["data"]
    return [key["id"] for key in (shown["items"] if isinstance(shown, dict) else shown)]


@pytest.mark.parametrize(
    ("variant", "target", "listed"),
    [
        ("new-api", "?p=2&page_size=50", range(80, 30, -1)),
        ("new-api", "?p=2&page_size=500", range(30, 0, -1)),
        ("new-api", "?p=14&page_size=10", ()),
        ("new-api", "?p=2&size=50", range(120, 110, -1)),
        ("new-api", "", range(130, 120, -1)),
        ("new-api", "?p=0", range(130, 120, -1)),
        ("new-api", "?p=-3", range(130, 120, -1)),
        ("new-api", "?p=x", range(130, 120, -1)),
        ("june-2025", "?p=2&page_size=50", range(120, 110, -1)),
        ("june-2025", "?p=2&size=50", range(80, 30, -1)),
        ("older", "?p=0&size=50", range(130, 80, -1)),
        ("older", "?p=1&page_size=50", range(120, 110, -1)),
        ("one-api", "?p=1&size=100&page_size=100", range(120, 110, -1)),
    ],
)
def test_each_variant_pages_by_its_own_number_and_size(
    variant: str, target: str, listed: range
) -> None:
    with Gateway(keys=wire_keys(130), variant=variant) as gateway:
        assert ids(get(gateway, f"/api/token/{target}")) == list(listed)


def test_new_api_names_its_page_its_capped_size_and_its_total() -> None:
    with Gateway(keys=wire_keys(130), page_cap=50) as gateway:
        shown = get(gateway, "/api/token/?p=2&page_size=100").json()["data"]

    assert shown | {"items": len(shown["items"])} == {
        "page": 2,
        "page_size": 50,
        "total": 130,
        "items": 50,
    }


def test_one_api_knows_no_groups() -> None:
    with Gateway(keys=wire_keys(1), variant="one-api") as gateway:
        (key,) = get(gateway).json()["data"]

    assert not {"group", "cross_group_retry"} & key.keys()


WRONG = {"Authorization": "wrong"}


@pytest.mark.parametrize(
    ("options", "headers", "status", "success"),
    [
        ({}, {"Authorization": f"Bearer {CANARY_TOKEN}"}, 200, True),
        ({}, {}, 401, False),
        ({}, WRONG, 401, False),
        ({"variant": "older"}, WRONG, 200, False),
        ({"user_id": 7}, TOKEN, 401, False),
        ({"user_id": 7}, TOKEN | {"New-Api-User": "8"}, 401, False),
        ({"user_id": 7}, TOKEN | {"New-Api-User": "7"}, 200, True),
        ({"user_id": 7, "variant": "veloera"}, TOKEN | {"New-Api-User": "7"}, 401, False),
        ({"user_id": 7, "variant": "veloera"}, TOKEN | {"Veloera-User": "7"}, 200, True),
    ],
)
def test_a_token_is_refused_as_the_variant_refuses_it(options, headers, status, success):
    with Gateway(**options) as gateway:
        answer = get(gateway, headers=headers)

    assert (answer.status_code, answer.json()["success"]) == (status, success)


def test_a_wrong_path_shows_the_web_page_and_a_missing_slash_redirects() -> None:
    with Gateway() as gateway:
        lost, bare = get(gateway, "/v1/api/token/"), get(gateway, "/api/token")

    assert (lost.status_code, lost.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (bare.status_code, bare.headers["location"]) == (301, "/api/token/")


def test_requests_beyond_the_rate_limit_get_an_empty_429() -> None:
    with Gateway(rate_limit=(2, 600), retry_after="30") as gateway:
        answers = [get(gateway) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[2].content, answers[2].headers["retry-after"]) == (b"", "30")


@pytest.mark.parametrize(
    "fault", [simulation.gzip_bomb(1_000_000), simulation.endless(1_000_000)], ids=repr
)
def test_a_client_that_does_not_bound_a_large_answer_reads_a_valid_page(
    fault: simulation.Fault,
) -> None:
    with Gateway(keys=wire_keys(3), faults=simulation.always(fault)) as gateway:
        answer = get(gateway)

    assert (len(answer.content), ids(answer)) == (1_000_000, [])


def test_what_a_hook_raises_is_raised_in_the_test() -> None:
    def broken(request: Request) -> None:
        raise LookupError(f"page {request.page}")

    with pytest.raises(LookupError, match="page 1"), Gateway(before_page=broken) as gateway:  # noqa: SIM117
        with pytest.raises(httpx.TransportError):
            get(gateway)

"""Prove the simulation where no other test would notice that it misleads."""

import time

import gateway as simulation
import httpx
import pytest
from builders import CANARY_TOKEN, a_wire_key, wire_keys
from gateway import Gateway, Request
from variants import an_aihubmix_key

TOKEN = {"Authorization": CANARY_TOKEN}


def get(
    gateway: Gateway, target: str = "/api/token/", *, headers: dict[str, str] = TOKEN
) -> httpx.Response:
    return httpx.get(gateway.url + target, headers=headers, trust_env=False)


def ids(answer: httpx.Response) -> list[int]:
    shown = answer.json()["data"]
    if isinstance(shown, dict):
        shown = shown["items"] if "items" in shown else shown["data"]
    return [key["id"] for key in shown]


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
        ("one-hub", "?page=2&size=50", range(80, 30, -1)),
        ("one-hub", "?p=2&page_size=100&page=1&size=100", range(130, 30, -1)),
        ("one-hub", "?p=2", range(130, 120, -1)),
        ("one-hub", "?page=0&size=100", range(130, 30, -1)),
        ("apiyi", "?p=1&size=100&page_size=100&page=2", range(120, 110, -1)),
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


def test_one_hub_names_its_page_its_size_and_its_total() -> None:
    with Gateway(keys=wire_keys(130), variant="one-hub") as gateway:
        shown = get(gateway, "/api/token/?page=2&size=100").json()["data"]

    assert shown | {"data": len(shown["data"])} == {
        "page": 2,
        "size": 100,
        "total_count": 130,
        "data": 30,
    }


def test_one_hub_rejects_a_size_above_100() -> None:
    with Gateway(keys=wire_keys(130), variant="one-hub") as gateway:
        response = get(gateway, "/api/token/?page=1&size=101")

    assert (response.status_code, response.json()["success"]) == (200, False)


RESTRICTED = a_wire_key(
    1,
    group="vip",
    model_limits_enabled=True,
    model_limits="small,large",
    allow_ips="192.0.2.1\n198.51.100.0/24",
)


def test_one_hub_has_restrictions_in_its_setting() -> None:
    with Gateway(keys=[RESTRICTED, a_wire_key(2)], variant="one-hub") as gateway:
        free, restricted = get(gateway).json()["data"]["data"]

    assert restricted["setting"]["limits"] == {
        "limit_model_setting": {"enabled": True, "models": ["small", "large"]},
        "limits_ip_setting": {"enabled": True, "whitelist": ["192.0.2.1", "198.51.100.0/24"]},
    }
    assert free["setting"]["limits"] == {
        "limit_model_setting": {"enabled": False, "models": []},
        "limits_ip_setting": {"enabled": False, "whitelist": []},
    }
    assert (restricted["group"], restricted["backup_group"]) == ("vip", "")
    assert not {"model_limits", "model_limits_enabled", "allow_ips"} & restricted.keys()


def test_one_api_has_restrictions_under_names_of_its_own() -> None:
    with Gateway(keys=[RESTRICTED], variant="one-api") as gateway:
        (key,) = get(gateway).json()["data"]

    assert (key["models"], key["subnet"]) == ("small,large", "192.0.2.1,198.51.100.0/24")


def test_apiyi_has_no_message_and_masks_its_keys() -> None:
    with Gateway(keys=wire_keys(1), variant="apiyi") as gateway:
        shown = get(gateway).json()

    assert shown["message"] is None
    assert shown["data"][0]["key"] == "abcd**********wxyz"


def test_aihubmix_writes_numbers_as_text_and_status_0_for_disabled() -> None:
    key = an_aihubmix_key(a_wire_key(1, status=2, remain_quota=500_000, used_quota=-7))

    assert (key["status"], key["remain_quota"], key["used_quota"]) == (0, "500000", "-7")
    assert an_aihubmix_key(a_wire_key(1))["status"] == 1


@pytest.mark.parametrize(
    ("variant", "path"),
    [
        ("new-api", "/api/subscription/self"),
        ("new-api", "/api/user_group_map"),
        ("one-hub", "/api/user/self/groups"),
        ("one-hub", "/api/subscription/self"),
        ("one-hub", "/api/data/self"),
        ("one-api", "/api/user/self/groups"),
    ],
)
def test_a_path_that_the_gateway_does_not_have_is_an_invalid_url(variant: str, path: str) -> None:
    with Gateway(variant=variant) as gateway:
        response = get(gateway, path)

    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": f"Invalid URL (GET {path})",
        "type": "invalid_request_error",
        "param": "",
        "code": "",
    }


def test_one_hub_never_offers_what_it_does_not_have() -> None:
    offers = {simulation.SUBSCRIPTIONS_PATH: {}, simulation.PUBLIC_GROUPS_PATH: {"default": {}}}
    with Gateway(variant="one-hub", offers=offers) as gateway:
        assert get(gateway, simulation.SUBSCRIPTIONS_PATH).status_code == 404
        assert get(gateway, simulation.PUBLIC_GROUPS_PATH).json()["data"] == {"default": {}}


def test_a_front_end_may_show_its_page_for_any_path() -> None:
    with Gateway(unknown_path_shows_page=True) as gateway:
        response = get(gateway, "/api/subscription/self")

    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "text/html; charset=utf-8",
    )


def test_a_front_end_elsewhere_is_redirected_to() -> None:
    with Gateway(front_end="https://console.example.org", unknown_path_shows_page=True) as gateway:
        response = get(gateway, "/api/subscription/self")

    assert (response.status_code, response.headers["location"]) == (
        301,
        "https://console.example.org/api/subscription/self",
    )


@pytest.mark.parametrize(
    ("variant", "status", "shown"),
    [
        ("new-api", 401, ("AUTH_USER_DISABLED", "访问令牌无效")),
        ("veloera", 200, (None, "用户已被封禁")),
        ("older", 200, (None, "用户已被封禁")),
        ("one-api", 200, (None, "用户已被封禁")),
        ("one-hub", 200, (None, "用户已被封禁")),
    ],
)
def test_a_ban_is_told_as_the_variant_tells_it(
    variant: str, status: int, shown: tuple[str | None, str]
) -> None:
    with Gateway(variant=variant, banned=True) as gateway:
        response = get(gateway)

    assert response.status_code == status
    said = response.json()
    assert (said["success"], said.get("code"), said["message"]) == (False, *shown)


@pytest.mark.parametrize(
    ("code", "status"),
    [("AUTH_SESSION_REVOKED", 401), ("AUTH_INTERNAL_ERROR", 500), ("AUTH_USER_DISABLED", 403)],
)
def test_a_token_is_rejected_with_any_code(code: str, status: int) -> None:
    with Gateway(rejects_with=simulation.rejected(code, status=status)) as gateway:
        response = get(gateway, "/api/user/self")
        public = get(gateway, "/api/status")

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert public.json()["success"] is True


def test_every_answer_has_the_date_of_the_gateways_clock() -> None:
    with Gateway(clock=lambda: 1_750_000_000.0) as gateway:
        dates = [get(gateway, path).headers["date"] for path in ("/api/token/", "/api/x", "/")]

    assert dates == ["Sun, 15 Jun 2025 15:06:40 GMT"] * 3


@pytest.mark.parametrize(
    ("told", "seconds"), [(simulation.WHOLE_WINDOW, "600"), (simulation.REST_OF_WINDOW, "500")]
)
def test_a_429_tells_the_window_or_its_rest(told: str, seconds: str) -> None:
    with Gateway(rate_limit=(1, 600), retry_after=told) as gateway:
        get(gateway)
        # As if that request had come 100 seconds ago, less the while of this test.
        gateway._accepted[0] = time.monotonic() - 100
        assert get(gateway).headers["retry-after"] == seconds


WRONG = {"Authorization": "wrong"}


@pytest.mark.parametrize(
    ("options", "headers", "status", "success"),
    [
        ({}, {"Authorization": f"Bearer {CANARY_TOKEN}"}, 200, True),
        ({}, {}, 401, False),
        ({}, WRONG, 401, False),
        ({"variant": "older"}, WRONG, 200, False),
        ({"variant": "one-hub"}, WRONG, 200, False),
        ({"variant": "one-hub", "user_id": 7}, TOKEN, 200, True),
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

"""What stands before a gateway responds in its place: the reason names it, and no token is blamed."""

import pytest
from builders import CANARY_TOKEN, wire_keys
from edges import (
    aged,
    basic_auth,
    bearer_only,
    captive_portal,
    cloudflare_1010,
    cloudflare_challenge,
    cloudflare_error,
    firewall,
    foreign_json,
    header_only,
    rate_limiter,
    script_challenge,
    silent_firewall,
)
from gateway import Gateway, invalid_url, rejected
from sessions import Session

from exporter.credentials import Secret
from exporter.errors import Reason

EDGES = {
    "a challenge": (cloudflare_challenge(), Reason.BLOCKED),
    "a signature": (cloudflare_1010(), Reason.BLOCKED),
    "a page, 403": (firewall(403), Reason.BLOCKED),
    "a page, 405": (firewall(405), Reason.BLOCKED),
    "a page, 418": (firewall(418), Reason.BLOCKED),
    "a page, 451": (firewall(451), Reason.BLOCKED),
    "a page, 404": (firewall(404), Reason.BLOCKED),
    "nothing, 403": (silent_firewall(), Reason.BLOCKED),
    "nothing, 401": (silent_firewall(401), Reason.BLOCKED),
    "a password": (basic_auth(), Reason.BLOCKED),
    "Bearer": (bearer_only(), Reason.BLOCKED),
    "a header": (header_only("CF-Access-Client-Id", "x"), Reason.BLOCKED),
    "JSON": (foreign_json(), Reason.BLOCKED),
    "a limit": (rate_limiter(body="<html>error 1015</html>"), Reason.RATE_LIMITED),
    "no origin": (cloudflare_error(522), Reason.SERVER_ERROR),
    "a challenge, 503": (cloudflare_challenge(503), Reason.SERVER_ERROR),
    "a script": (script_challenge(), Reason.INVALID_RESPONSE),
    "a portal": (captive_portal(), Reason.INVALID_RESPONSE),
    "a login": (captive_portal("https://login.example/x"), Reason.INVALID_RESPONSE),
}


@pytest.mark.parametrize("name", EDGES)
def test_what_responds_in_the_gateway_s_place_is_named_by_its_reason(name):
    edge, reason = EDGES[name]
    with Gateway(keys=wire_keys(3), edges=[edge]) as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason is reason


@pytest.mark.parametrize("variant", ["new-api", "veloera", "june-2025", "older", "one-api"])
def test_the_gateway_s_own_rejection_is_never_taken_for_another_s(variant):
    with Gateway(keys=wire_keys(3), variant=variant, token="x") as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason in {Reason.UNAUTHORIZED, Reason.REJECTED}


@pytest.mark.parametrize("variant", ["new-api", "veloera", "june-2025", "older", "one-api"])
def test_a_ban_is_recognized_on_every_kind_of_gateway(variant):
    with Gateway(keys=wire_keys(3), variant=variant, banned=True) as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason is Reason.ACCOUNT_DISABLED


def test_trouble_of_the_gateway_s_database_is_no_rejected_token():
    rejection = rejected("AUTH_INTERNAL_ERROR", status=500)
    with Gateway(keys=wire_keys(3), rejects_with=rejection) as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason is Reason.SERVER_ERROR


def test_a_path_that_the_gateway_does_not_have_stays_a_404():
    with Gateway(rejects_with=invalid_url("GET", "/api/token/")) as gateway:
        error = Session(url=gateway.url).failure()

    assert (error.reason, str(error)) == (
        Reason.INVALID_RESPONSE,
        "the gateway has no such path (HTTP 404): is the base URL right?",
    )


def test_every_request_asks_caches_for_fresh_data():
    with Gateway(keys=wire_keys(150)) as gateway:
        Session(url=gateway.url).keys()

    assert [request.headers["cache-control"] for request in gateway.requests] == ["no-cache"] * 2


def test_the_age_of_what_a_cache_kept_is_not_blamed_on_the_clock():
    with Gateway(keys=wire_keys(3)) as gateway:
        gateway.edges = [aged(7_200, gateway.clock)]
        session = Session(url=gateway.url)
        skew = session.use(skew_after_a_listing)

    assert abs(skew) < 5


async def skew_after_a_listing(client):
    await client.list_keys(Secret(CANARY_TOKEN))
    return client.dialect.clock_skew

"""What stands before a gateway responds in its place: the reason names it, and no token is blamed."""

import pytest
from builders import CANARY_TOKEN, wire_keys
from edges import (
    aged,
    as_text,
    basic_auth,
    bearer_only,
    captive_portal,
    cloudflare_1010,
    cloudflare_challenge,
    cloudflare_error,
    field_as,
    firewall,
    foreign_json,
    header_only,
    labelled,
    numbers,
    packed,
    rate_limiter,
    script_challenge,
    silent_firewall,
    with_exponent,
    with_point,
    without_field,
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


@pytest.mark.parametrize(
    "variant", ["new-api", "veloera", "june-2025", "older", "one-api", "one-hub"]
)
def test_the_gateway_s_own_rejection_is_never_taken_for_another_s(variant):
    with Gateway(keys=wire_keys(3), variant=variant, token="x") as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason in {Reason.UNAUTHORIZED, Reason.REJECTED}


@pytest.mark.parametrize(
    "variant", ["new-api", "veloera", "june-2025", "older", "one-api", "one-hub"]
)
def test_a_ban_is_recognized_on_every_kind_of_gateway(variant):
    with Gateway(keys=wire_keys(3), variant=variant, banned=True) as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason is Reason.ACCOUNT_DISABLED


def test_a_guard_that_wants_bearer_lets_the_bearer_scheme_pass():
    with Gateway(keys=wire_keys(3), edges=[bearer_only()]) as gateway:
        listing = Session(url=gateway.url, auth_scheme="bearer").keys()

    assert len(listing.keys) == 3


def test_a_guard_that_wants_a_header_lets_the_file_of_headers_pass_and_reads_it_again(tmp_path):
    path = tmp_path / "headers"
    path.write_text("CF-Access-Client-Id: first\nUser-Agent: mine\n")

    async def before_and_after_a_change(client):
        seen = [len((await client.list_keys(Secret(CANARY_TOKEN))).keys)]
        gateway.edges = [header_only("CF-Access-Client-Id", "second")]
        path.write_text("CF-Access-Client-Id: second\n")
        return [*seen, len((await client.list_keys(Secret(CANARY_TOKEN))).keys)]

    guard = header_only("CF-Access-Client-Id", "first")
    with Gateway(keys=wire_keys(3), edges=[guard]) as gateway:
        session = Session(url=gateway.url, headers_file=path)
        assert session.use(before_and_after_a_change) == [3, 3]

    agents = [request.headers["user-agent"] for request in gateway.requests]
    assert agents[0] == "mine"
    assert agents[-1].startswith("cometapi-exporter/")
    assert gateway.requests[0].headers["authorization"] == CANARY_TOKEN


@pytest.mark.parametrize("coding", ["UTF-8", "none", "identity", ""])
def test_a_body_with_a_label_that_is_no_compression_is_read(coding):
    with Gateway(keys=wire_keys(3), edges=[labelled(coding)]) as gateway:
        assert len(Session(url=gateway.url).keys().keys) == 3


@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
@pytest.mark.parametrize("members", [1, 2, 9])
def test_a_gzip_stream_of_several_members_is_read(coding, members):
    with Gateway(keys=wire_keys(3), edges=[packed(coding, members=members)]) as gateway:
        assert len(Session(url=gateway.url).keys().keys) == 3


@pytest.mark.parametrize("write", [as_text, with_point, with_exponent])
def test_every_number_may_be_written_in_another_notation(write):
    fields = ("id", "status", "remain_quota", "used_quota", "expired_time", "created_time")
    edge = numbers(write, *fields, "accessed_time", "total", "page_size", "quota", "request_count")
    with Gateway(keys=wire_keys(130)) as plain, Gateway(keys=wire_keys(130)) as rewritten:
        rewritten.edges = [edge]
        expected = Session(url=plain.url).keys()
        found = Session(url=rewritten.url).keys()

    assert (found.keys, found.skipped, found.unread) == (expected.keys, 0, frozenset())
    assert found.is_complete


NEVER_COSTLY = (
    "name",
    "group",
    "created_time",
    "accessed_time",
    "expired_time",
    "model_limits_enabled",
    "allow_ips",
    "cross_group_retry",
)


@pytest.mark.parametrize("name", NEVER_COSTLY)
@pytest.mark.parametrize("value", [[7], {"x": 1}, "soon", 1.5])
def test_a_field_of_another_type_costs_no_key(name, value):
    with Gateway(keys=wire_keys(30), edges=[field_as(name, value)]) as gateway:
        listing = Session(url=gateway.url).keys()

    assert (len(listing.keys), listing.skipped) == (30, 0)


@pytest.mark.parametrize("name", ["used_quota", "unlimited_quota", *NEVER_COSTLY])
def test_a_field_that_is_missing_costs_no_key(name):
    with Gateway(keys=wire_keys(30), edges=[without_field(name)]) as gateway:
        listing = Session(url=gateway.url).keys()

    assert (len(listing.keys), listing.skipped) == (30, 0)


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

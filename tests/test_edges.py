"""Prove that what stands before a simulated gateway answers as firewalls, portals and proxies do."""

import gzip

import httpx
import pytest
from builders import CANARY_TOKEN, a_wire_key
from edges import (
    CachingProxy,
    after,
    aged,
    as_text,
    basic_auth,
    bearer_only,
    captive_portal,
    cloudflare_1010,
    cloudflare_challenge,
    cloudflare_error,
    except_on,
    field_as,
    firewall,
    foreign_json,
    header_only,
    labelled,
    numbers,
    on,
    packed,
    rate_limiter,
    script_challenge,
    silent_firewall,
    with_exponent,
    with_point,
    without_field,
)
from gateway import ACCOUNT_PATH, KEYS_PATH, STATUS_PATH, Gateway

TOKEN = {"Authorization": CANARY_TOKEN}


def get(gateway, path=KEYS_PATH, headers=TOKEN):
    return httpx.get(gateway.url + path, headers=headers, trust_env=False)


def raw(gateway, path=KEYS_PATH):
    """Return the body as it was sent, whatever Content-Encoding says."""
    with httpx.stream("GET", gateway.url + path, headers=TOKEN, trust_env=False) as response:
        return response.headers, b"".join(response.iter_raw())


HTML = "text/html; charset=UTF-8"


@pytest.mark.parametrize(
    ("edge", "status", "kind", "said"),
    [
        pytest.param(cloudflare_challenge(), 403, HTML, "Just a moment", id="challenge"),
        pytest.param(cloudflare_challenge(200), 200, HTML, "Just a moment", id="challenge 200"),
        pytest.param(
            cloudflare_1010(), 403, "text/plain; charset=UTF-8", "error code: 1010", id="1010"
        ),
        pytest.param(
            cloudflare_error(530), 530, "text/plain; charset=UTF-8", "error code: 530", id="530"
        ),
        pytest.param(firewall(451), 451, HTML, "blocked", id="451"),
        pytest.param(firewall(418), 418, HTML, "blocked", id="418"),
        pytest.param(firewall(405), 405, HTML, "blocked", id="405"),
        pytest.param(silent_firewall(), 403, None, "", id="empty"),
        pytest.param(script_challenge(), 200, HTML, "<script>", id="script"),
        pytest.param(captive_portal(), 200, HTML, "Network login", id="portal"),
        pytest.param(captive_portal("http://login.example/"), 302, HTML, "", id="portal 302"),
        pytest.param(basic_auth(), 401, HTML, "Authorization Required", id="basic"),
        pytest.param(foreign_json(401), 401, "application/json", "forbidden", id="json"),
        pytest.param(rate_limiter(), 429, HTML, "", id="429"),
    ],
)
def test_an_edge_answers_in_the_gateways_place(edge, status, kind, said):
    with Gateway(keys=[a_wire_key(1)], edges=[edge]) as gateway:
        response = get(gateway)

    assert (response.status_code, response.headers.get("content-type")) == (status, kind)
    assert said in response.text
    assert "success" not in response.text


def test_cloudflare_is_known_by_its_headers():
    with Gateway(edges=[cloudflare_challenge()]) as gateway:
        headers = get(gateway).headers

    assert (headers["server"], headers["cf-mitigated"]) == ("cloudflare", "challenge")
    assert "cf-ray" in headers


def test_a_proxy_that_asks_for_a_password_lets_a_password_pass():
    with Gateway(edges=[basic_auth("staff")]) as gateway:
        asked = get(gateway)
        passed = get(gateway, STATUS_PATH, {"Authorization": "Basic c3RhZmY6c2VjcmV0"})

    assert asked.headers["www-authenticate"] == 'Basic realm="staff"'
    assert passed.json()["success"] is True


def test_a_guard_passes_only_bearer():
    with Gateway(edges=[bearer_only()]) as gateway:
        assert get(gateway).status_code == 401
        bearer = {"Authorization": f"Bearer {CANARY_TOKEN}"}
        assert get(gateway, headers=bearer).json()["success"] is True


def test_an_access_proxy_passes_only_its_header():
    with Gateway(edges=[header_only("CF-Access-Client-Id", "me")]) as gateway:
        assert get(gateway).status_code == 403
        assert get(gateway, headers=TOKEN | {"CF-Access-Client-Id": "me"}).status_code == 200


def test_an_edge_stands_before_chosen_paths():
    with Gateway(edges=[on(ACCOUNT_PATH, firewall())]) as gateway:
        assert get(gateway, ACCOUNT_PATH).status_code == 403
        assert get(gateway).status_code == 200


def test_an_edge_spares_chosen_paths():
    with Gateway(edges=[except_on([KEYS_PATH], firewall())]) as gateway:
        assert get(gateway, ACCOUNT_PATH).status_code == 403
        assert get(gateway).status_code == 200


def test_an_edge_may_begin_later():
    with Gateway(edges=[after(2, firewall())]) as gateway:
        assert [get(gateway).status_code for _ in range(3)] == [200, 200, 403]


def test_the_outer_edge_answers_first():
    with Gateway(edges=[bearer_only(), firewall(451)]) as gateway:
        assert get(gateway).status_code == 401
        assert get(gateway, headers={"Authorization": "Bearer x"}).status_code == 451


def test_what_an_edge_answers_does_not_count_against_the_gateways_limit():
    with Gateway(rate_limit=(1, 600), edges=[on(ACCOUNT_PATH, firewall())]) as gateway:
        assert [get(gateway, ACCOUNT_PATH).status_code for _ in range(3)] == [403, 403, 403]
        assert get(gateway).status_code == 200


class Clock:
    now = 1_750_000_000.0

    def __call__(self):
        return self.now


def test_a_cache_returns_an_old_answer_with_its_age_and_date():
    clock = Clock()
    proxy = CachingProxy(clock=clock, lifetime=7_200)
    with Gateway(keys=[a_wire_key(1)], clock=clock, edges=[proxy]) as gateway:
        get(gateway)
        gateway.keys = []
        clock.now += 60
        old = get(gateway)
        fresh = get(gateway, headers=TOKEN | {"Cache-Control": "no-cache"})
        clock.now += 7_200
        expired = get(gateway)

    assert (len(old.json()["data"]["items"]), old.headers["age"]) == (1, "60")
    assert old.headers["date"] == "Sun, 15 Jun 2025 15:06:40 GMT"
    assert (len(fresh.json()["data"]["items"]), "age" in fresh.headers) == (0, False)
    assert "age" not in expired.headers


def test_a_cache_that_ignores_clients_returns_old_answers_all_the_same():
    clock = Clock()
    proxy = CachingProxy(clock=clock, lifetime=7_200, ignores_clients=True)
    with Gateway(edges=[proxy]) as gateway:
        headers = TOKEN | {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        get(gateway, headers=headers)
        clock.now += 60
        assert get(gateway, headers=headers).headers["age"] == "60"


def test_an_aged_answer_has_a_date_of_its_age():
    with Gateway(clock=Clock(), edges=[aged(7_200, Clock())]) as gateway:
        headers = get(gateway).headers

    assert (headers["age"], headers["date"]) == ("7200", "Sun, 15 Jun 2025 13:06:40 GMT")


@pytest.mark.parametrize("coding", ["UTF-8", "none", "identity", ""])
def test_a_plain_body_may_have_any_coding_as_its_label(coding):
    with Gateway(edges=[labelled(coding)]) as gateway:
        headers, body = raw(gateway)

    assert headers["content-encoding"] == coding
    assert body.startswith(b'{"success":true')


@pytest.mark.parametrize(("coding", "members"), [("gzip", 1), ("x-gzip", 1), ("gzip", 3)])
def test_a_packed_body_has_as_many_members_as_asked(coding, members):
    with Gateway(edges=[packed(coding, members=members)]) as gateway:
        headers, body = raw(gateway)

    assert headers["content-encoding"] == coding
    assert body.count(b"\x1f\x8b\x08") == members
    assert gzip.decompress(body).startswith(b'{"success":true')


@pytest.mark.parametrize(
    ("write", "number", "written"),
    [
        (as_text, 500_000, b'"500000"'),
        (with_point, 500_000, b"500000.0"),
        (with_exponent, 100_000, b"1e+05"),
        (with_exponent, 1_501, b"1.501e+03"),
        (with_exponent, -2_000, b"-2e+03"),
        (with_exponent, 0, b"0e+00"),
    ],
)
def test_whole_numbers_are_written_in_other_notations(write, number, written):
    with Gateway(
        keys=[a_wire_key(1, remain_quota=number)], edges=[numbers(write, "remain_quota")]
    ) as gateway:
        response = get(gateway)

    assert b'"remain_quota":' + written + b"," in response.content
    assert float(response.json()["data"]["items"][0]["remain_quota"]) == number
    assert b'"used_quota":1000,' in response.content


def test_a_field_has_any_other_content_or_is_missing():
    edges = [field_as("name", None), field_as("used_quota", [7]), without_field("group")]
    with Gateway(keys=[a_wire_key(1), a_wire_key(2)], edges=edges) as gateway:
        items = get(gateway).json()["data"]["items"]

    assert [(key["name"], key["used_quota"]) for key in items] == [(None, [7]), (None, [7])]
    assert not any("group" in key for key in items)

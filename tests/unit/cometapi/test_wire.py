"""One raw answer becomes a page of keys: what is read, what is defaulted, what is set aside, what fails."""

import json
import time

import pytest
from builders import CANARY_KEY, CANARY_TOKEN, a_wire_account, a_wire_key

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import parse_balance
from exporter.cometapi.wire import Page, parse_page
from exporter.errors import Blocked, InvalidResponse, Rejected, Unauthorized
from exporter.model import UNREAD_LIST, ApiKey, RestrictionList, Unread

MISSING = "(missing)"
HUB_LIMITS = {
    "limits": {
        "limit_model_setting": {"enabled": True, "models": ["gpt-5"]},
        "limits_ip_setting": {"enabled": False, "whitelist": []},
    }
}


def an_answer(body: object, *, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=raw, received_at=0.0)


def success(data: object) -> dict:
    return {"success": True, "message": "", "data": data}


def envelope(*items: object, total: object = 1, page_size: object = 100) -> dict:
    return success({"page": 1, "page_size": page_size, "total": total, "items": list(items)})


def key_with(**fields: object) -> dict:
    return {name: value for name, value in (a_wire_key(7) | fields).items() if value != MISSING}


def read(**fields: object) -> ApiKey:
    """Read a page of one good key with these *fields*."""
    (key,) = parse_page(an_answer(envelope(key_with(**fields)))).keys
    return key


def read_beside_key_3(field: str, raw: bytes) -> Page:
    """Read a page whose first key, 7, has *raw* JSON as the value of *field*."""
    marked = json.dumps(envelope(key_with(**{field: "@@"}), a_wire_key(3)))
    return parse_page(an_answer(marked.encode().replace(b'"@@"', raw)))


# Fields


def test_every_field_of_a_key_is_read():
    key = read(
        status=4,
        name="batch 🔑",
        created_time=1_700_000_000,
        accessed_time=1_700_000_100,
        expired_time=1_800_000_000,
        remain_quota=-1_250,
        used_quota=9_876_543,
        model_limits_enabled=True,
        model_limits="gpt-5",
        allow_ips="10.0.0.0/8\n192.0.2.7",
        group="vip",
        cross_group_retry=True,
    )

    assert isinstance(key.model_limits, RestrictionList)
    assert isinstance(key.ip_allowlist, RestrictionList)
    assert (key.model_limits.count, key.ip_allowlist.count) == (1, 2)
    assert key == ApiKey(
        id=7,
        name="batch 🔑",
        group="vip",
        status=4,
        remaining_quota=-1_250,
        used_quota=9_876_543,
        expires_at=1_800_000_000,
        created_at=1_700_000_000,
        last_used_at=1_700_000_100,
        model_limits=key.model_limits,
        ip_allowlist=key.ip_allowlist,
        has_cross_group_retry=True,
    )


@pytest.mark.parametrize(
    ("field", "sent", "read_as"),
    [
        ("expires_at", {"expired_time": -1}, None),
        ("expires_at", {"expired_time": 0}, 0),
        ("expires_at", {"expired_time": -2}, -2),
        ("created_at", {"created_time": 0}, None),
        ("created_at", {"created_time": None}, None),
        ("created_at", {"created_time": MISSING}, None),
        ("last_used_at", {"accessed_time": 0}, None),
        ("last_used_at", {"accessed_time": MISSING}, None),
        ("last_used_at", {"created_time": 9, "accessed_time": 9, "used_quota": 0}, None),
        ("last_used_at", {"created_time": 9, "accessed_time": 9, "used_quota": -5}, None),
        ("last_used_at", {"created_time": 9, "accessed_time": 9, "used_quota": 1}, 9),
        ("last_used_at", {"created_time": 9, "accessed_time": 10, "used_quota": 0}, 10),
        ("remaining_quota", {"unlimited_quota": True, "remain_quota": -77}, None),
        ("remaining_quota", {"remain_quota": 0}, 0),
        ("remaining_quota", {"remain_quota": 2**63 - 1}, 2**63 - 1),
        ("used_quota", {"used_quota": -(2**63)}, -(2**63)),
        ("status", {"status": 99}, 99),
        ("name", {"name": None}, ""),
        ("name", {"name": MISSING}, ""),
        ("name", {"name": "ж" * 201}, "ж" * 128),
        ("group", {"group": MISSING}, ""),
        ("group", {"group": "ж" * 201}, "ж" * 128),
        ("has_cross_group_retry", {"cross_group_retry": MISSING}, False),
        ("model_limits", {"model_limits_enabled": False, "model_limits": "gpt-4o"}, None),
        ("model_limits", {"model_limits_enabled": "maybe"}, UNREAD_LIST),
        (
            "model_limits",
            {"model_limits_enabled": True, "model_limits": ["another", "type"]},
            RestrictionList(),
        ),
        ("model_limits", {"setting": "off"}, UNREAD_LIST),
        ("ip_allowlist", {"allow_ips": 7}, UNREAD_LIST),
        (
            "ip_allowlist",
            {"setting": {"limits": {"limits_ip_setting": {"enabled": True, "whitelist": 7}}}},
            RestrictionList(),
        ),
        ("unread", {"expired_time": "soon"}, frozenset({"expires_at"})),
        ("unread", {"expired_time": MISSING}, frozenset({"expires_at"})),
        ("unread", {"created_time": [7]}, frozenset({"created_at"})),
        ("unread", {"accessed_time": [7]}, frozenset({"last_used_at"})),
        # A set of two has no order, so it may not name the test.
        pytest.param(
            "unread", {"name": 7, "group": 7}, frozenset({"name", "group"}), id="two unread"
        ),
        ("unread", {"unlimited_quota": "maybe"}, frozenset({"remaining_quota"})),
        ("unread", {"allow_ips": 7}, frozenset()),
        ("has_model_limits", {"model_limits_enabled": None}, False),
        ("has_model_limits", {"models": "gpt-4o"}, True),
        ("has_model_limits", {"models": ""}, False),
        ("has_model_limits", {"models": ["another", "type"]}, None),
        ("has_model_limits", {"models": 7, "model_limits_enabled": True}, True),
        ("has_model_limits", {"model_limits_enabled": "maybe"}, None),
        ("has_model_limits", {"model_limits_enabled": 1}, True),
        ("has_ip_allowlist", {"allow_ips": None}, False),
        ("has_ip_allowlist", {"allow_ips": " \n"}, False),
        ("has_ip_allowlist", {"allow_ips": "192.0.2.7"}, True),
        ("has_ip_allowlist", {"subnet": "192.0.2.0/24"}, True),
        ("has_ip_allowlist", {"subnet": 7}, None),
        ("has_ip_allowlist", {"subnet": 7, "allow_ips": "192.0.2.7"}, True),
        ("has_cross_group_retry", {"cross_group_retry": "maybe"}, None),
        ("has_model_limits", {"setting": HUB_LIMITS}, True),
        ("has_ip_allowlist", {"setting": HUB_LIMITS}, False),
        ("has_ip_allowlist", {"setting": {"limits": {"limits_ip_setting": 7}}}, None),
        ("has_model_limits", {"setting": {"limits": {"limits_ip_setting": 7}}}, False),
        ("has_model_limits", {"setting": {"limits": []}}, None),
        ("has_model_limits", {"setting": {}}, False),
        ("has_model_limits", {"setting": "off"}, None),
        ("used_quota", {"used_quota": MISSING}, None),
        ("last_used_at", {"created_time": 9, "accessed_time": 9, "used_quota": MISSING}, None),
        ("remaining_quota", {"unlimited_quota": True, "remain_quota": "many"}, None),
        ("remaining_quota", {"unlimited_quota": "true", "remain_quota": 5}, None),
        ("remaining_quota", {"unlimited_quota": MISSING}, 500_000),
        ("remaining_quota", {"remain_quota": "500000"}, 500_000),
        ("remaining_quota", {"remain_quota": 500_000.0}, 500_000),
        ("status", {"status": "2"}, 2),
        ("id", {"id": "7"}, 7),
        ("expires_at", {"expired_time": "1800000000"}, 1_800_000_000),
        ("expires_at", {"expired_time": "-1"}, None),
        ("expires_at", {"expired_time": "soon"}, None),
        ("created_at", {"created_time": [7]}, None),
        ("name", {"name": 7}, ""),
        ("group", {"group": ["vip"]}, ""),
    ],
    ids=str,
)
def test_a_field_is_read_as_it_is_meant(field, sent, read_as):
    assert getattr(read(**sent), field) == read_as


# One bad field


WRONG_VALUES = {
    "beyond 64 bits": b"9223372036854775808",
    "below 64 bits": b"-9223372036854775809",
    "5000 digits": b"1" * 5000,
    "1e400": b"1e400",
    "a fraction": b"1.5",
    "text": b'"many"',
    "true": b"true",
    "an object": b"{}",
}


@pytest.mark.parametrize("raw", [*WRONG_VALUES.values(), b"null"], ids=[*WRONG_VALUES, "null"])
@pytest.mark.parametrize("field", ["remain_quota", "used_quota", "status", "id"])
def test_a_value_without_which_a_key_is_none_sets_it_aside_and_spares_the_others(field, raw):
    page = read_beside_key_3(field, raw)

    assert [key.id for key in page.keys] == [3]
    assert (page.unreadable, page.nameless, page.length) == (
        ((), 1, 2) if field == "id" else ((7,), 0, 2)
    )
    key_id = None if field == "id" else 7
    assert page.unread == (Unread(field=field, key_id=key_id, costs_key=True),)


@pytest.mark.parametrize("raw", WRONG_VALUES.values(), ids=WRONG_VALUES)
@pytest.mark.parametrize("field", ["expired_time", "created_time", "accessed_time"])
def test_a_time_costs_only_itself_and_is_named(field, raw):
    page = read_beside_key_3(field, raw)

    assert [key.id for key in page.keys] == [7, 3]
    assert page.unread == (Unread(field=field, key_id=7),)


@pytest.mark.parametrize(
    ("fields", "unread"),
    [
        ({"name": 7, "group": 8}, ["group", "name"]),
        ({"models": 7}, ["models"]),
        ({"unlimited_quota": "maybe"}, ["unlimited_quota"]),
        ({"expired_time": MISSING}, ["expired_time"]),
        ({"setting": {"limits": 7}}, ["setting"]),
        ({"name": MISSING, "group": MISSING, "used_quota": MISSING}, []),
        ({"unlimited_quota": True, "remain_quota": "many"}, []),
        ({"remain_quota": "500000", "used_quota": 1e5, "status": 1.0}, []),
        ({"of_another_kind": {"x": [1]}, "Key": "other case"}, []),
    ],
    ids=str,
)
def test_every_field_that_is_left_out_is_named(fields, unread):
    page = parse_page(an_answer(envelope(key_with(**fields))))

    assert len(page.keys) == 1
    assert sorted(each.field for each in page.unread) == unread
    assert {each.key_id for each in page.unread} <= {7}


@pytest.mark.parametrize("field", ["status", "remain_quota"])
def test_a_key_without_a_field_that_matters_is_set_aside(field):
    page = parse_page(an_answer(success([key_with(**{field: MISSING}), a_wire_key(3)])))

    assert [key.id for key in page.keys] == [3]
    assert (page.is_bare_list, page.unreadable) == (True, (7,))


@pytest.mark.parametrize("item", [None, 7, "key", [], {}], ids=repr)
def test_an_item_that_is_no_key_at_all_is_counted_without_a_name(item):
    page = parse_page(an_answer(envelope(item, a_wire_key(3), total=2)))

    assert [key.id for key in page.keys] == [3]
    assert (page.nameless, page.total, page.size) == (1, 2, 100)


@pytest.mark.parametrize(
    ("raw", "name"),
    [(b'"\xff\xfe"', "\ufffd\ufffd"), (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd")],
    ids=["no UTF-8", "a surrogate in UTF-8"],
)
def test_a_name_that_is_no_utf_8_costs_no_key(raw, name):
    page = read_beside_key_3("name", raw)

    assert {key.id: key.name for key in page.keys} == {7: name, 3: "key 3"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"\ud83d\udd11"', "🔑"),
        (rb'"\ud800"', "\ufffd"),
        (rb'"a\udc00\ud800b"', "a\ufffd\ufffdb"),
        (rb'"\ud800\n"', "\ufffd\n"),
        (rb'"\\ud800 \ud800"', "\\ud800 \ufffd"),
        (rb'"\\ud83d\udc00"', "\\ud83d\ufffd"),
        (rb'"\\\ud83d\udd11 \ud83d"', "\\🔑 \ufffd"),
        (rb'"\\\\ud800 \ud800"', "\\\\ud800 \ufffd"),
        (rb'"\ud83d\ud83d\udd11\udd11"', "\ufffd🔑\ufffd"),
    ],
)
def test_half_a_surrogate_pair_as_an_escape_becomes_the_replacement_character(written, read):
    page = read_beside_key_3("name", written)

    assert {key.id: key.name for key in page.keys} == {7: read, 3: "key 3"}


# Envelopes


@pytest.mark.parametrize(
    ("data", "page"),
    [
        ({"items": [], "total": 3, "page_size": 50}, Page(keys=(), total=3, size=50)),
        ({"items": None, "total": 3, "page_size": 50}, Page(keys=(), total=3, size=50)),
        ({"items": None}, Page(keys=())),
        ({"items": [], "total": "3", "page_size": 5e1}, Page(keys=(), total=3, size=50)),
        ({"data": [], "total_count": 3, "size": 50}, Page(keys=(), total=3, size=50)),
        ({"data": None, "page": 2, "total_count": 3}, Page(keys=(), total=3)),
        ([], Page(keys=(), is_bare_list=True)),
        (None, Page(keys=(), is_bare_list=True, is_null=True)),
    ],
    ids=[
        "empty items",
        "null items",
        "no figures",
        "figures in other notations",
        "one-hub",
        "null on one-hub",
        "empty list",
        "null",
    ],
)
def test_the_page_after_the_last_is_empty_in_every_spelling(data, page):
    assert parse_page(an_answer(success(data))) == page


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "got `array`"),
        ({"success": True}, "missing required field `data`"),
        ({"data": []}, "missing required field `success`"),
        ({"success": "true", "data": []}, "at `$.success`"),
        (success(7), "at `$.data`"),
        (success({}), "missing required field `items` - at `$.data`"),
        (success({"items": {CANARY_KEY: CANARY_KEY}}), "at `$.data.items`"),
        (success({"items": CANARY_KEY}), "at `$.data.items`"),
        (success({"items": [], "total": CANARY_KEY}), "at `$.data.total`"),
        (success({"items": [{"id": 1}], "total": 1.5}), "at `$.data.total`"),
        (success({"items": [], "page_size": [CANARY_KEY]}), "at `$.data.page_size`"),
    ],
    ids=repr,
)
def test_a_wrong_envelope_names_what_is_wrong_by_its_path_and_is_never_quoted(body, path):
    with pytest.raises(InvalidResponse) as caught:
        parse_page(an_answer(body))

    assert str(caught.value).startswith("not the expected JSON: ")
    assert path in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"nul",
        b'{"success": true',
        b'{"x": ' + b"[" * 100_000,
        json.dumps(success([])).encode() + b" x",
        json.dumps(success([{"x": "@@"}])).encode().replace(b'"@@"', b"[" * 50_000 + b"]" * 50_000),
    ],
    ids=[
        "empty",
        "html",
        "no text",
        "cut word",
        "cut object",
        "deep",
        "more after it",
        "deep in a key",
    ],
)
@pytest.mark.parametrize("parse", [parse_page, parse_balance])
def test_what_is_no_json_is_an_invalid_response(parse, body):
    with pytest.raises(InvalidResponse, match=r"expected JSON, got|not the expected JSON"):
        parse(an_answer(body, content_type="application/json"))


@pytest.mark.parametrize(
    "data",
    [MISSING, None, [], 7, {"items": [], "total": 0}, {"items": [{}]}, a_wire_account()],
    ids=lambda data: str(data)[:20],
)
@pytest.mark.parametrize("parse", [parse_page, parse_balance])
def test_success_false_is_rejected_whatever_stands_beside_it(parse, data):
    body = {"success": False, "message": CANARY_TOKEN} | ({} if data == MISSING else {"data": data})

    with pytest.raises(Rejected) as caught:
        parse(an_answer(body))

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [(success([]), Unauthorized), (b"," * 500_001, Blocked)],
    ids=["fine", "too large"],
)
def test_the_status_is_judged_before_the_content(body, kind):
    with pytest.raises(kind):
        parse_page(an_answer(body, status=401))


# Bounds


def test_a_page_of_ten_thousand_keys_is_read_and_one_more_is_refused_before_one_is_read():
    keys = [a_wire_key(key_id) for key_id in range(1, 10_001)]

    assert len(parse_page(an_answer(success(keys))).keys) == 10_000
    with pytest.raises(InvalidResponse, match="length <= 10000"):
        parse_page(an_answer(success([{"id": 1}] * 10_001)))


def test_a_page_of_millions_of_values_is_refused_before_it_is_decoded():
    body = b'{"success":true,"data":{"items":[' + b",".join([b"0"] * 4_000_000) + b"]}}"
    started = time.perf_counter()
    with pytest.raises(InvalidResponse, match="more than 500000 values"):
        parse_page(an_answer(body))

    assert time.perf_counter() - started < 0.25


def test_millions_of_escapes_cost_no_more_than_letters_do():
    """A name of two million line breaks beside a name that needs repair."""
    started = time.perf_counter()
    page = read_beside_key_3("name", rb'"\ud800' + rb"\n" * 2_000_000 + rb'"')

    assert len(page.keys) == 2
    assert time.perf_counter() - started < 0.5


def test_the_secret_of_a_key_is_nowhere_in_what_was_read():
    assert CANARY_KEY not in repr(
        parse_page(an_answer(envelope(a_wire_key(1), a_wire_key(2, status="bad"))))
    )

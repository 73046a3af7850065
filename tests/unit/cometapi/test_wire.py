"""One raw answer becomes keys or a balance: what is read, what is defaulted, what is set aside, what fails."""

import json
import time

import pytest
from builders import CANARY_EMAIL, CANARY_KEY, CANARY_TOKEN, a_wire_account, a_wire_key

from exporter.cometapi.answer import Answer
from exporter.cometapi.wire import Page, parse_balance, parse_page, without_half_pairs
from exporter.errors import InvalidResponse, Rejected, Unauthorized
from exporter.model import ApiKey, Balance

MISSING = "(missing)"


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


def with_raw(field: str, raw: bytes, *, other: dict | None = None) -> bytes:
    """Render a page whose first key has *raw* JSON as the value of *field*."""
    marked = json.dumps(envelope(key_with(**{field: "@@"}), *([other] if other else [])))
    return marked.encode().replace(b'"@@"', raw)


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
        has_model_limits=True,
        has_ip_allowlist=True,
        has_cross_group_retry=True,
    )


def test_a_page_tells_its_total_and_size():
    page = parse_page(an_answer(envelope(key_with(), total=250, page_size=50)))

    assert (page.total, page.size, page.length, page.is_bare_list) == (250, 50, 1, False)


def test_the_secret_of_a_key_is_nowhere_in_what_was_read():
    assert CANARY_KEY not in repr(parse_page(an_answer(envelope(a_wire_key(1), a_wire_key(2, status="bad")))))


@pytest.mark.parametrize(("sent", "read_as"), [(-1, None), (0, 0), (-2, -2), (1_800_000_000, 1_800_000_000)])
def test_only_minus_one_means_that_a_key_never_expires(sent, read_as):
    assert read(expired_time=sent).expires_at == read_as


@pytest.mark.parametrize("field", ["created_time", "accessed_time"])
@pytest.mark.parametrize("sent", [0, None, MISSING], ids=["zero", "null", "missing"])
def test_a_time_that_the_gateway_does_not_have_is_none(field, sent):
    key = read(**{field: sent})

    assert {"created_time": key.created_at, "accessed_time": key.last_used_at}[field] is None


@pytest.mark.parametrize(
    ("created", "accessed", "used", "last_used"),
    [
        (1_750_000_000, 1_750_000_000, 0, None),
        (1_750_000_000, 1_750_000_000, -5, None),
        (1_750_000_000, 1_750_000_000, 1, 1_750_000_000),
        (1_750_000_000, 1_750_000_001, 0, 1_750_000_001),
    ],
    ids=["never", "refunded", "used within its first second", "used for nothing"],
)
def test_a_key_that_was_last_used_when_it_was_created_and_spent_nothing_was_never_used(
    created, accessed, used, last_used
):
    assert read(created_time=created, accessed_time=accessed, used_quota=used).last_used_at == last_used


@pytest.mark.parametrize(
    ("restriction", "expected"),
    [
        ({"models": "gpt-4o"}, (True, False)),
        ({"subnet": "192.0.2.0/24"}, (False, True)),
        ({"models": "", "subnet": " "}, (False, False)),
        ({"models": None, "subnet": None}, (False, False)),
        ({"models": ["of", "another", "type"], "subnet": 7}, (False, False)),
    ],
    ids=["models", "subnet", "empty", "null", "other types"],
)
def test_the_restrictions_of_one_api_are_read(restriction, expected):
    key = read(**restriction)

    assert (key.has_model_limits, key.has_ip_allowlist) == expected


def test_an_unlimited_key_has_no_remaining_quota():
    key = read(unlimited_quota=True, remain_quota=-77)

    assert key.remaining_quota is None
    assert key.is_unlimited


def test_a_limited_key_with_nothing_left_has_zero_and_not_none():
    assert read(remain_quota=0).remaining_quota == 0


@pytest.mark.parametrize("absent", [None, MISSING], ids=["null", "missing"])
def test_fields_that_older_gateways_lack_are_defaulted(absent):
    key = read(name=absent, group=absent, model_limits_enabled=absent, allow_ips=absent, cross_group_retry=absent)

    assert (key.name, key.group) == ("", "")
    assert (key.has_model_limits, key.has_ip_allowlist, key.has_cross_group_retry) == (False, False, False)


@pytest.mark.parametrize("field", ["status", "expired_time", "remain_quota", "unlimited_quota", "used_quota"])
def test_a_key_without_a_field_that_matters_is_set_aside(field):
    page = parse_page(an_answer(envelope(key_with(**{field: MISSING}), a_wire_key(3))))

    assert [key.id for key in page.keys] == [3]
    assert page.unreadable == (7,)


@pytest.mark.parametrize(("sent", "has_list"), [("", False), (" \n", False), (None, False), ("192.0.2.7", True)])
def test_an_address_list_of_white_space_is_none(sent, has_list):
    assert read(allow_ips=sent).has_ip_allowlist is has_list


def test_fields_that_nobody_knows_yet_are_ignored():
    answer = success({"items": [key_with(auto_groups=["a"], billing={"x": [1, {}]})], "total": 1, "cursor": "x"})

    assert parse_page(an_answer(answer | {"trace": None})) == parse_page(
        an_answer(envelope(key_with(), page_size=None))
    )


@pytest.mark.parametrize("field", ["name", "group"])
def test_a_long_label_is_cut_at_200_characters(field):
    assert getattr(read(**{field: "ж" * 201}), field) == "ж" * 200
    assert getattr(read(**{field: "ж" * 200}), field) == "ж" * 200


def test_a_status_that_nobody_knows_is_kept_as_a_number():
    assert read(status=99).status == 99


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_a_quota_at_the_end_of_64_bits_is_read(number):
    key = read(remain_quota=number, used_quota=number)

    assert (key.remaining_quota, key.used_quota) == (number, number)


WRONG_VALUES = {
    "beyond 64 bits": b"9223372036854775808",
    "below 64 bits": b"-9223372036854775809",
    "2 to the 70": b"1180591620717411303424",
    "5000 digits": b"1" * 5000,
    "1e400": b"1e400",
    "a float": b"1.5",
    "a whole float": b"1.0",
    "text": b'"12"',
    "true": b"true",
    "null": b"null",
    "an object": b"{}",
    "a list": b"[1]",
}


@pytest.mark.parametrize("raw", WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
@pytest.mark.parametrize("field", ["remain_quota", "used_quota", "status", "expired_time"])
def test_one_bad_value_sets_its_key_aside_by_id_and_spares_the_others(field, raw):
    page = parse_page(an_answer(with_raw(field, raw, other=a_wire_key(3))))

    assert [key.id for key in page.keys] == [3]
    assert (page.unreadable, page.nameless, page.length) == ((7,), 0, 2)


@pytest.mark.parametrize("raw", WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_a_key_whose_id_cannot_be_read_is_counted_without_a_name(raw):
    page = parse_page(an_answer(with_raw("id", raw, other=a_wire_key(3))))

    assert [key.id for key in page.keys] == [3]
    assert (page.unreadable, page.nameless, page.length) == ((), 1, 2)


@pytest.mark.parametrize("item", [None, 7, "key", [], {}, True], ids=repr)
def test_an_item_that_is_no_key_at_all_is_counted_without_a_name(item):
    page = parse_page(an_answer(envelope(item, a_wire_key(3), total=2)))

    assert [key.id for key in page.keys] == [3]
    assert (page.nameless, page.total, page.size) == (1, 2, 100)


@pytest.mark.parametrize("raw", [b'"\xff\xfe"', b'"\xed\xa0\x80"'], ids=["no UTF-8", "a surrogate in UTF-8"])
def test_a_name_that_is_no_text_sets_its_key_aside(raw):
    page = parse_page(an_answer(with_raw("name", raw, other=a_wire_key(3))))

    assert [key.id for key in page.keys] == [3]
    assert page.unreadable == (7,)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'"\\ud800"', "\ufffd"),
        (b'"a\\udc00\\ud800b"', "a\ufffd\ufffdb"),
        (b'"\\ud800\\n"', "\ufffd\n"),
        (b'"\\\\ud800 \\ud800"', "\\ud800 \ufffd"),
        (b'"\\ud83d\\udd11 \\ud83d"', "\U0001f511 \ufffd"),
    ],
    ids=["alone", "in the wrong order", "before an escape", "after an escaped backslash", "beside a pair"],
)
def test_half_a_surrogate_pair_as_an_escape_becomes_the_replacement_character(written, read):
    page = parse_page(an_answer(with_raw("name", written, other=a_wire_key(3))))

    assert {key.id: key.name for key in page.keys}[7] == read
    assert len(page.keys) == 2


def test_a_name_of_two_surrogates_that_belong_together_is_read():
    assert parse_page(an_answer(with_raw("name", b'"\\ud83d\\udd11"'))).keys[0].name == "🔑"


def test_a_bare_list_is_the_older_variant():
    page = parse_page(an_answer(success([a_wire_key(2), a_wire_key(1)])))

    assert [key.id for key in page.keys] == [2, 1]
    assert (page.is_bare_list, page.total, page.size) == (True, None, None)


def test_one_bad_key_in_a_bare_list_is_set_aside_too():
    page = parse_page(an_answer(success([a_wire_key(2), a_wire_key(1, status="on")])))

    assert [key.id for key in page.keys] == [2]
    assert (page.is_bare_list, page.unreadable) == (True, (1,))


@pytest.mark.parametrize(
    ("data", "page"),
    [
        ({"items": [], "total": 3, "page_size": 50}, Page(keys=(), total=3, size=50)),
        ({"items": None, "total": 3, "page_size": 50}, Page(keys=(), total=3, size=50)),
        ({"items": None}, Page(keys=())),
        ([], Page(keys=(), is_bare_list=True)),
        (None, Page(keys=(), is_bare_list=True, is_null=True)),
    ],
    ids=["empty items", "null items", "no figures", "empty list", "null"],
)
def test_the_page_after_the_last_is_empty_in_every_spelling(data, page):
    assert parse_page(an_answer(success(data))) == page


def test_a_wrong_total_beside_one_bad_key_is_still_a_wrong_envelope():
    with pytest.raises(InvalidResponse, match=r"`\$\.data\.total`"):
        parse_page(an_answer(envelope({"id": 1}, total="many")))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "got `array`"),
        (7, "got `int`"),
        ({"success": True}, "missing required field `data`"),
        ({"data": []}, "missing required field `success`"),
        ({"success": "true", "data": []}, "at `$.success`"),
        ({"success": None, "data": []}, "at `$.success`"),
        (success(7), "at `$.data`"),
        (success("x"), "at `$.data`"),
        (success({}), "missing required field `items` - at `$.data`"),
        (success({"items": {}}), "at `$.data.items`"),
        (success({"items": "x"}), "at `$.data.items`"),
        (success({"items": [], "total": "3"}), "at `$.data.total`"),
        (success({"items": [], "total": 1.5}), "at `$.data.total`"),
        (success({"items": [], "page_size": []}), "at `$.data.page_size`"),
    ],
    ids=repr,
)
def test_a_wrong_envelope_names_what_is_wrong_by_its_path(body, path):
    with pytest.raises(InvalidResponse) as caught:
        parse_page(an_answer(body))

    assert str(caught.value).startswith("not the expected JSON: ")
    assert path in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"nul", b'{"success": true', b'{"x": ' + b"[" * 100_000],
    ids=["empty", "html", "no text", "cut word", "cut object", "deep"],
)
@pytest.mark.parametrize("parse", [parse_page, parse_balance])
def test_what_is_no_json_is_an_invalid_response(parse, body):
    with pytest.raises(InvalidResponse, match="expected JSON, got"):
        parse(an_answer(body, content_type="application/json"))


def test_anything_after_the_json_makes_it_an_invalid_response():
    with pytest.raises(InvalidResponse):
        parse_page(an_answer(json.dumps(envelope()).encode() + b" x"))


def test_json_nested_beyond_all_reason_inside_a_key_is_an_invalid_response():
    with pytest.raises(InvalidResponse):
        parse_page(an_answer(with_raw("extra", b"[" * 50_000 + b"]" * 50_000)))


def test_a_web_page_makes_one_doubt_the_base_url():
    with pytest.raises(InvalidResponse, match="is the base URL right"):
        parse_page(an_answer(b"<html>", content_type="text/html; charset=utf-8"))


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


@pytest.mark.parametrize("parse", [parse_page, parse_balance])
def test_the_status_is_judged_before_the_content(parse):
    with pytest.raises(Unauthorized):
        parse(an_answer(success([]), status=401))


@pytest.mark.parametrize("value", [CANARY_KEY, [CANARY_KEY], {CANARY_KEY: CANARY_KEY}], ids=["text", "list", "object"])
@pytest.mark.parametrize("field", ["items", "total", "page_size"])
def test_a_wrong_envelope_is_never_quoted(field, value):
    with pytest.raises(InvalidResponse) as caught:
        parse_page(an_answer(success({"items": [], "total": 0} | {field: {"x": value}})))

    assert "CANARY" not in str(caught.value)


def test_the_account_is_read_without_its_personal_data():
    balance = parse_balance(an_answer(success(a_wire_account())))

    assert balance == Balance(remaining_quota=24_997_909, used_quota=10_027_091, requests=339, account_id=1)
    assert CANARY_EMAIL not in repr(balance)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quota", "1"),
        ("quota", 1.5),
        ("quota", 2**63),
        ("used_quota", None),
        ("request_count", True),
        ("quota", MISSING),
    ],
    ids=str,
)
def test_an_account_that_cannot_be_read_names_the_path(field, value):
    account = {name: found for name, found in (a_wire_account() | {field: value}).items() if found != MISSING}

    with pytest.raises(InvalidResponse, match=r"`\$\.data") as caught:
        parse_balance(an_answer(success(account)))

    assert "canary" not in str(caught.value).lower()


def test_an_account_without_a_count_of_requests_is_read():
    account = a_wire_account()
    del account["request_count"]

    assert parse_balance(an_answer(success(account))).requests is None


def test_a_page_of_ten_thousand_keys_is_read_and_one_more_is_refused():
    keys = [a_wire_key(key_id) for key_id in range(1, 10_002)]

    assert len(parse_page(an_answer(success(keys[:-1]))).keys) == 10_000
    with pytest.raises(InvalidResponse, match="more than 10000 keys"):
        parse_page(an_answer(success(keys)))


def test_a_page_of_unreadable_keys_is_refused_before_one_is_read():
    with pytest.raises(InvalidResponse, match="more than 10000 keys"):
        parse_page(an_answer(success([{"id": 1}] * 10_001)))


def test_a_page_of_millions_of_values_is_refused_before_it_is_decoded():
    body = b'{"success":true,"data":{"items":[' + b",".join([b"0"] * 4_000_000) + b"]}}"
    started = time.perf_counter()
    with pytest.raises(InvalidResponse, match="more than 500000 values"):
        parse_page(an_answer(body))

    assert time.perf_counter() - started < 0.25


def test_millions_of_escapes_cost_no_more_than_letters_do():
    """A name of two million line breaks beside a name that needs repair."""
    broken = with_raw("name", rb'"\ud800' + rb"\n" * 2_000_000 + rb'"', other=a_wire_key(3))
    started = time.perf_counter()
    page = parse_page(an_answer(broken))

    assert len(page.keys) == 2
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\\ud83d\udc00", rb"\\ud83d\ufffd"),
        (rb"\\\ud83d\udd11", rb"\\\ud83d\udd11"),
        (rb"\\\\ud800", rb"\\\\ud800"),
        (rb"\ud83d\ud83d\udd11", rb"\ufffd\ud83d\udd11"),
    ],
)
def test_only_an_escape_that_is_one_is_repaired(written, read):
    assert without_half_pairs(written) == read

"""Whatever a gateway answers, reading it gives a page, a balance or an ApiError: never another exception."""

import json

from builders import CANARY_TOKEN, a_wire_account, a_wire_key
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import parse_balance
from exporter.cometapi.wire import Page, parse_page
from exporter.errors import ApiError
from exporter.model import Balance

QUICK = settings(database=None, deadline=None, max_examples=250)

STATUSES = st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500, 524]) | st.integers(
    100, 999
)
NUMBERS = (
    st.integers() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
)
PROPER_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
ANY_JSON = PROPER_JSON | st.sampled_from([float("inf"), float("nan"), "\ud800"])
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "location", "content-type"]), st.text(max_size=40)
)
KEYS = st.builds(
    lambda fields: a_wire_key(7) | fields,
    st.dictionaries(st.sampled_from(list(a_wire_key())), PROPER_JSON, max_size=3),
)
ENVELOPES = st.fixed_dictionaries(
    {"success": st.just(value=True) | ANY_JSON},
    optional={
        "message": ANY_JSON,
        "data": ANY_JSON
        | st.lists(KEYS | ANY_JSON, max_size=3)
        | st.fixed_dictionaries(
            {"items": st.lists(KEYS | ANY_JSON, max_size=3) | ANY_JSON},
            optional={"total": ANY_JSON, "page_size": ANY_JSON},
        )
        | st.builds(
            lambda fields: a_wire_account() | fields,
            st.dictionaries(st.sampled_from(["quota", "x"]), ANY_JSON),
        ),
    },
)


def outcome(parse, status: int, headers: dict[str, str], body: bytes) -> Page | Balance | ApiError:
    try:
        return parse(Answer(status=status, headers=headers, body=body, received_at=1_750_000_000.0))
    except ApiError as error:
        return error


def encoded(value: object) -> bytes:
    """Encode as some gateways might: NaN and lone surrogates as they come."""
    return json.dumps(value).encode()


@given(status=STATUSES, headers=HEADERS, body=st.binary(max_size=200))
@QUICK
def test_any_bytes_with_any_status_are_judged(status, headers, body):
    assert isinstance(outcome(parse_page, status, headers, body), Page | ApiError)
    assert isinstance(outcome(parse_balance, status, headers, body), Balance | ApiError)


@given(status=STATUSES, headers=HEADERS, value=ANY_JSON | ENVELOPES)
@QUICK
def test_any_json_with_any_status_is_judged(status, headers, value):
    assert isinstance(outcome(parse_page, status, headers, encoded(value)), Page | ApiError)
    assert isinstance(outcome(parse_balance, status, headers, encoded(value)), Balance | ApiError)


@given(items=st.lists(KEYS | PROPER_JSON, max_size=5))
@QUICK
def test_a_right_envelope_accounts_for_every_item(items):
    """Readable, unreadable or nameless, none gets lost, and every label can be written as UTF-8."""
    body = encoded({"success": True, "data": {"items": items, "total": 5, "page_size": 100}})
    page = outcome(parse_page, 200, {}, body)

    assert isinstance(page, Page)
    assert page.length == len(items)
    assert all(len((key.name + key.group).encode()) <= 1_600 for key in page.keys)


@given(
    keys=st.lists(st.integers(1, 10**6), unique=True, max_size=6), bad=st.sets(st.integers(0, 5))
)
@QUICK
def test_bad_keys_never_take_good_ones_with_them(keys, bad):
    """A quota that is an object is always unreadable; the id beside it tells which key it was."""
    items = [
        a_wire_key(id_, remain_quota={"x": 1}) if at in bad else a_wire_key(id_)
        for at, id_ in enumerate(keys)
    ]
    page = outcome(parse_page, 200, {}, encoded({"success": True, "data": {"items": items}}))

    assert isinstance(page, Page)
    assert [key.id for key in page.keys] == [id_ for at, id_ in enumerate(keys) if at not in bad]
    assert list(page.unreadable) == [id_ for at, id_ in enumerate(keys) if at in bad]


@given(
    status=STATUSES,
    value=st.builds(lambda inner: {CANARY_TOKEN: inner}, st.just(CANARY_TOKEN) | ANY_JSON),
)
@QUICK
def test_no_error_quotes_the_body(status, value):
    for parse in (parse_page, parse_balance):
        for body in (
            value,
            {"success": value},
            {"success": True, "data": value},
            {"success": False, "message": value},
        ):
            answer = outcome(
                parse,
                status,
                {"content-type": CANARY_TOKEN, "retry-after": CANARY_TOKEN},
                encoded(body),
            )
            assert "CANARY" not in str(answer)

"""What a status, a verdict and a Retry-After mean, and that nothing free of the answer gets out."""

import json

import msgspec
import pytest
from builders import CANARY_KEY, CANARY_TOKEN

from exporter.cometapi.answer import Answer, check_status, check_verdict, clock_skew, retry_after, what_came_instead
from exporter.errors import (
    AccountDisabled,
    ApiError,
    InvalidResponse,
    RateLimited,
    Reason,
    Rejected,
    ServerFault,
    Unauthorized,
)

RECEIVED_AT = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def an_answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=body, received_at=RECEIVED_AT)


def error_of(answer: Answer) -> ApiError:
    with pytest.raises(ApiError) as caught:
        check_status(answer)
    return caught.value


def judge(answer: Answer) -> None:
    check_status(answer)
    check_verdict(answer)


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_a_status_that_promises_content_passes(status):
    check_status(an_answer(status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, InvalidResponse),
        (301, InvalidResponse),
        (302, InvalidResponse),
        (304, InvalidResponse),
        (308, InvalidResponse),
        (400, InvalidResponse),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, InvalidResponse),
        (405, InvalidResponse),
        (418, InvalidResponse),
        (429, RateLimited),
        (499, InvalidResponse),
        (500, ServerFault),
        (502, ServerFault),
        (503, ServerFault),
        (504, ServerFault),
        (524, ServerFault),
        (599, ServerFault),
    ],
)
def test_a_status_stands_for_an_error(status, kind):
    error = error_of(an_answer(status))

    assert type(error) is kind
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "transient"), [(401, False), (404, False), (429, False), (500, True), (302, False)], ids=str
)
def test_only_trouble_of_the_server_passes_by_itself(status, transient):
    assert error_of(an_answer(status)).transient is transient


def test_a_refusal_in_the_body_of_a_client_error_is_a_rejection():
    assert error_of(an_answer(400, b'{"success": false, "message": "no"}')).reason is Reason.REJECTED


def test_a_refused_token_stays_unauthorized_whatever_the_body_says():
    assert error_of(an_answer(401, b'{"success": false}')).reason is Reason.UNAUTHORIZED


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"null", b'{"success": true}', b'{"success": "false"}', b"\xff"])
def test_a_body_without_a_clear_no_passes_the_verdict(body):
    check_verdict(an_answer(body=body))


def test_success_false_is_a_rejection_though_the_rest_is_nonsense():
    with pytest.raises(Rejected):
        check_verdict(an_answer(body=b'{"data": {"items": 7}, "success": false, "message": 3}'))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 302])
def test_no_error_quotes_what_the_gateway_says(status):
    body = f'{{"success": false, "code": "{CANARY_TOKEN}", "message": "{CANARY_KEY}"}}'.encode()
    location = f"https://{CANARY_TOKEN}:{CANARY_TOKEN}@h.example:444/{CANARY_TOKEN}?t={CANARY_TOKEN}#{CANARY_TOKEN}"
    answer = an_answer(status, body, location=location, retry_after=CANARY_TOKEN, content_type=CANARY_TOKEN)

    with pytest.raises(ApiError) as caught:
        judge(answer)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://console.example.org/login?next=/api", "https://console.example.org)"),
        ("HTTP://Console.Example.org:8080/", "http://console.example.org:8080)"),
        ("/login?secret=1", "another path of the same host)"),
        ("", "another path of the same host)"),
        ("//console.example.org/login", "an unreadable address)"),
        ("ftp://console.example.org/", "an unreadable address)"),
        ("http://h:99999/", "an unreadable address)"),
        ("http://[::1/", "an unreadable address)"),
        ("http://h\u202e\x1b[2J/", "an unreadable address)"),
        ("http://" + "h" * 254 + "/", "an unreadable address)"),
    ],
)
def test_a_redirect_lends_its_origin_to_the_error_and_nothing_else(location, named):
    said = str(error_of(an_answer(302, location=location)))

    assert said == f"redirects are not followed (HTTP 302 to {named}: is the base URL right?"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        (" 30 ", 30.0),
        ("9999999999", 9_999_999_999.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 07:00:00 GMT", 0.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 09:50:37 +0100", 60.0),
    ],
)
def test_a_readable_retry_after_is_a_pause_in_seconds(text, seconds):
    assert retry_after(an_answer(429, retry_after=text)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-5",
        "1.5",
        "1e400",
        "99999999999",
        "9" * 5000,
        "٣",
        "soon",
        "inf",
        "nan",
        "Mon, 32 Foo 0000 99:99:99 GMT",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -9999",
        "5, 5",
    ],
)
def test_an_unreadable_retry_after_is_none(text):
    assert retry_after(an_answer(429, retry_after=text)) is None


def test_a_missing_retry_after_is_none():
    assert retry_after(an_answer(429)) is None


def test_too_many_requests_carry_the_pause_asked_for():
    error = error_of(an_answer(429, retry_after="30"))

    assert isinstance(error, RateLimited)
    assert error.retry_after == 30.0


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "", "expected JSON, got an empty body"),
        (b"", "text/html", "expected JSON, got an empty body"),
        (b"<html>", "text/html", "expected JSON, got a web page: is the base URL right?"),
        (b"<html>", " Text/HTML ; charset=utf-8", "expected JSON, got a web page: is the base URL right?"),
        (b"hello", "text/plain", "expected JSON, got something else"),
        (b"\x00\xff", "application/json", "expected JSON, got something else"),
    ],
)
def test_what_came_instead_of_json_is_named_by_kind(body, kind, said):
    answer = an_answer(body=body, content_type=kind)

    assert what_came_instead(answer, UnicodeDecodeError("utf-8", b"\xff", 0, 1, CANARY_TOKEN)) == said


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", -30.0),
        ("soon", None),
        ("", None),
    ],
)
def test_the_date_tells_how_far_this_machine_s_clock_is_ahead(date, skew):
    assert clock_skew(an_answer(date=date)) == skew


def test_an_answer_without_a_date_tells_no_skew():
    assert clock_skew(an_answer()) is None


# Refusals


def a_refusal(code: object, *, user_id: int | None = None, status: int = 401) -> ApiError:
    body = json.dumps({"success": False, "code": code, "message": CANARY_TOKEN}).encode()
    return error_of(msgspec.structs.replace(an_answer(status, body), user_id=user_id))


@pytest.mark.parametrize("status", [401, 403])
def test_a_banned_account_is_told_from_a_wrong_token(status):
    error = a_refusal("AUTH_USER_DISABLED", status=status)

    assert type(error) is AccountDisabled
    assert str(error) == f"the gateway reports the account as disabled (HTTP {status}, AUTH_USER_DISABLED)"


def test_a_refusal_says_whether_a_user_id_was_sent():
    without, with_one = str(a_refusal("")), str(a_refusal("", user_id=8))

    assert without == "the gateway refused the access token (HTTP 401), or it requires a user ID: none is set"
    assert with_one == "the gateway refused the access token (HTTP 401), or user ID 8 does not own the token"


@pytest.mark.parametrize(
    "code", ["AUTH_UNAUTHORIZED", "AUTH_USER_INVALID", "AUTH_SESSION_REVOKED", "AUTH_TOKEN_EXPIRED"]
)
def test_the_code_of_a_refusal_is_printed_where_it_is_known(code):
    assert f"(HTTP 401, {code})" in str(a_refusal(code))


@pytest.mark.parametrize("code", [f"AUTH_{CANARY_KEY}", "", None, 7, ["AUTH_TOKEN_EXPIRED"]])
def test_any_other_code_is_not_printed(code):
    error = a_refusal(code)

    assert type(error) is Unauthorized
    assert "(HTTP 401)" in str(error)
    assert "CANARY" not in str(error)


@pytest.mark.parametrize(("header", "pause"), [({"Retry_After": "7"}, 7.0), ({}, None)])
def test_a_503_may_ask_for_a_pause(header, pause):
    lowered = {name.lower(): value for name, value in header.items()}

    assert error_of(an_answer(503, **lowered)).retry_after == pause

"""What a status, a verdict and a Retry-After mean, and that nothing free of the answer gets out."""

import json
import tracemalloc

import pytest
from builders import CANARY_KEY, CANARY_TOKEN

from exporter.cometapi.answer import (
    Answer,
    check_status,
    check_verdict,
    clock_skew,
    retry_after,
    what_came_instead,
)
from exporter.errors import (
    AccountDisabled,
    ApiError,
    InvalidResponse,
    NoSuchEndpoint,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
)

RECEIVED_AT = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def an_answer(
    status: int = 200, body: bytes = b"", *, user_id: int | None = None, **headers: str | None
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return Answer(status=status, headers=named, body=body, received_at=RECEIVED_AT, user_id=user_id)


def error_of(answer: Answer) -> ApiError:
    with pytest.raises(ApiError) as caught:
        check_status(answer)
    return caught.value


@pytest.mark.parametrize("status", [200, 299])
def test_a_status_that_promises_content_passes(status):
    check_status(an_answer(status))


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (InvalidResponse, (400, 405, 499)),
        (NoSuchEndpoint, (300, 302, 399, 404)),
        (Unauthorized, (401, 403)),
        (RateLimited, (429,)),
        (ServerFault, (500, 503, 524, 599)),
    ],
)
def test_a_status_stands_for_an_error(kind, statuses):
    for status in statuses:
        error = error_of(an_answer(status))

        assert type(error) is kind
        assert f"HTTP {status}" in str(error)


def test_a_refusal_in_the_body_of_a_client_error_is_a_rejection():
    assert type(error_of(an_answer(400, b'{"success": false, "message": "no"}'))) is Rejected


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"null", b'{"success": true}', b'{"success": "false"}', b"\xff"]
)
def test_a_body_without_a_clear_no_passes_the_verdict(body):
    check_verdict(an_answer(body=body))


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://console.example.org/login?next=/api", "https://console.example.org"),
        ("HTTP://Console.Example.org:8080", "http://console.example.org:8080"),
        ("https://user@name:secret@h.example?token=1", "https://h.example"),
        ("/login?next=https://h.example", "another path of the same host"),
        (None, "another path of the same host"),
        ("//console.example.org/login", "an unreadable address"),
        ("ftp://console.example.org/", "an unreadable address"),
        ("http://h:80x/", "an unreadable address"),
        ("http://[::1/", "an unreadable address"),
        ("http://h\u202e\x1b[2J/", "an unreadable address"),
        ("http://" + "h" * 254 + "/", "an unreadable address"),
    ],
)
def test_a_redirect_lends_its_origin_to_the_error_and_nothing_else(location, named):
    said = str(error_of(an_answer(302, location=location)))

    assert said == f"redirects are not followed (HTTP 302 to {named}): is the base URL right?"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 30 ", 30.0),
        ("9999999999", 9_999_999_999.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sun, 06 Nov 1994 07:00:00 GMT", 0.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 09:50:37 +0100", 60.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("99999999999", None),
        ("9" * 5000, None),
        ("٣", None),
        ("soon", None),
        ("inf", None),
        ("Mon, 32 Foo 0000 99:99:99 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
        ("5, 5", None),
    ],
)
def test_a_retry_after_is_a_pause_in_seconds_or_none_where_it_cannot_be_read(text, seconds):
    assert retry_after(an_answer(429, retry_after=text)) == seconds


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_carries_the_pause_asked_for(status):
    assert error_of(an_answer(status, retry_after="30")).retry_after == 30.0


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        ("Sun, 06 Nov 1994 08:49:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", -30.0),
        ("soon", None),
        (None, None),
    ],
)
def test_the_date_tells_how_far_this_machine_s_clock_is_ahead(date, skew):
    assert clock_skew(an_answer(date=date)) == skew


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "text/html", "expected JSON, got an empty body"),
        (
            b"<html>",
            " Text/HTML ; charset=utf-8",
            "expected JSON, got a web page: is the base URL right?",
        ),
        (b"hello", "text/plain", "expected JSON, got something else"),
        (b"\x00\xff", None, "expected JSON, got something else"),
    ],
)
def test_what_came_instead_of_json_is_named_by_kind(body, kind, said):
    answer = an_answer(body=body, content_type=kind)

    assert (
        what_came_instead(answer, UnicodeDecodeError("utf-8", b"\xff", 0, 1, CANARY_TOKEN)) == said
    )


def test_a_huge_verdict_is_not_taken_apart():
    body = b'{"success":0,"code":0}'.replace(b"0", b"[" + b"[]," * 200_000 + b"0]")
    tracemalloc.start()
    try:
        assert type(error_of(an_answer(401, body))) is Unauthorized
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


# Refusals


def a_refusal(code: object, *, user_id: int | None = None, status: int = 401) -> ApiError:
    body = json.dumps({"success": False, "code": code, "message": CANARY_TOKEN}).encode()
    return error_of(an_answer(status, body, user_id=user_id))


@pytest.mark.parametrize("status", [401, 403])
def test_a_banned_account_is_told_from_a_wrong_token(status):
    error = a_refusal("AUTH_USER_DISABLED", status=status)

    assert type(error) is AccountDisabled
    assert (
        str(error)
        == f"the gateway reports the account as disabled (HTTP {status}, AUTH_USER_DISABLED)"
    )


@pytest.mark.parametrize(
    ("user_id", "said"),
    [(None, "it requires a user ID: none is set"), (8, "user ID 8 does not own the token")],
)
def test_a_refusal_says_whether_a_user_id_was_sent(user_id, said):
    assert (
        str(a_refusal("", user_id=user_id))
        == f"the gateway refused the access token (HTTP 401), or {said}"
    )


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("AUTH_TOKEN_EXPIRED", "HTTP 401, AUTH_TOKEN_EXPIRED"),
        (f"AUTH_{CANARY_KEY}", "HTTP 401"),
        (None, "HTTP 401"),
        (["AUTH_TOKEN_EXPIRED"], "HTTP 401"),
    ],
)
def test_the_code_of_a_refusal_is_printed_where_it_is_known_and_never_otherwise(code, shown):
    error = a_refusal(code)

    assert type(error) is Unauthorized
    assert str(error).startswith(f"the gateway refused the access token ({shown}), or")

"""What a status, a verdict and a Retry-After mean, and that nothing free of the answer gets out."""

import json
import tracemalloc

import msgspec
import pytest
from builders import CANARY_KEY, CANARY_TOKEN

from exporter.cometapi.answer import (
    Answer,
    Envelope,
    age,
    check_status,
    check_verdict,
    clock_skew,
    content,
    retry_after,
    what_came_instead,
)
from exporter.errors import (
    AccountDisabled,
    ApiError,
    Blocked,
    InvalidResponse,
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


NO = b'{"success": false, "message": "no"}'
YES = b'{"success": true, "message": "", "data": {}}'
CODE = b'{"code": "AUTH_TOKEN_EXPIRED"}'
BAN = '{"success": false, "message": "用户已被封禁"}'.encode()
BAN_WITH_CODE = b'{"success": false, "code": "AUTH_USER_DISABLED", "message": ""}'
NO_SUCH_PATH = (
    b'{"error": {"message": "Invalid URL (GET /api/x)", "type": "invalid_request_error"}}'
)
GATEWAY_S_OWN = (NO, YES, CODE, NO_SUCH_PATH)

PAGE = b"<!DOCTYPE html><html>blocked</html>"
NOT_THE_GATEWAY_S = (
    b"",
    PAGE,
    b"error code: 1010",
    b"no",
    b"[]",
    b"null",
    b'"success"',
    b'{"error": "forbidden"}',
    b'{"error": {"message": "forbidden"}}',
    b'{"error": {"message": 7, "type": "x"}}',
    b'{"message": "unsupported authorization scheme"}',
    b'{"success": false, "errors": [{"code": 1010}]}',
    b'{"success": "false", "message": "no"}',
    b'{"success": false, "message": {}}',
    b'{"code": "AUTH_OF_ANOTHER_KIND", "message": "no"}',
    b'{"code": 403, "message": "no"}',
    b'{"success": false, "message": "no"',
    b"\xff",
)


def judged(status: int, body: bytes, **headers: str) -> type[ApiError]:
    """Return the error that a response stands for where an object was expected."""
    decode = msgspec.json.Decoder(Envelope[dict[str, str]]).decode
    with pytest.raises(ApiError) as caught:
        content(an_answer(status, body, **headers), decode)
    return type(caught.value)


@pytest.mark.parametrize("body", [*GATEWAY_S_OWN, BAN, *NOT_THE_GATEWAY_S])
def test_429_and_5xx_stand_for_themselves_whatever_the_body(body):
    assert judged(429, body) is RateLimited
    assert {judged(status, body) for status in (500, 502, 503, 520, 524, 530, 599)} == {ServerFault}


@pytest.mark.parametrize("body", [*GATEWAY_S_OWN, BAN, *NOT_THE_GATEWAY_S])
def test_a_redirect_is_an_invalid_response_whatever_its_body(body):
    statuses = (300, 301, 302, 304, 307, 308, 399)

    assert {judged(status, body) for status in statuses} == {InvalidResponse}


CLIENT_ERRORS = (400, 401, 402, 403, 404, 405, 406, 407, 410, 418, 421, 451, 499)


@pytest.mark.parametrize("body", NOT_THE_GATEWAY_S)
def test_a_client_error_in_other_words_than_the_gateway_s_is_blocked(body):
    assert {judged(status, body) for status in CLIENT_ERRORS} == {Blocked}


@pytest.mark.parametrize("body", GATEWAY_S_OWN)
def test_a_client_error_in_the_gateway_s_own_words_is_what_it_says(body):
    kinds = {status: judged(status, body) for status in CLIENT_ERRORS}

    expected = dict.fromkeys(CLIENT_ERRORS, Rejected)
    expected |= {401: Unauthorized, 403: Unauthorized, 404: InvalidResponse}
    assert kinds == expected


@pytest.mark.parametrize("status", [200, 201, *CLIENT_ERRORS])
@pytest.mark.parametrize("body", [BAN, BAN_WITH_CODE, json.dumps(json.loads(BAN)).encode()])
def test_a_ban_is_known_by_its_code_or_by_the_words_of_older_gateways(status, body):
    assert judged(status, body) is AccountDisabled


@pytest.mark.parametrize(
    "message", ["用户已被封禁 ", "用户已被封禁。", "用户未被封禁", "user banned", CANARY_TOKEN]
)
def test_words_that_differ_by_one_character_are_no_ban_and_never_printed(message):
    body = json.dumps({"success": False, "message": message}).encode()
    with pytest.raises(Rejected) as caught:
        check_verdict(an_answer(200, body))

    assert str(caught.value) == "the gateway rejected the request (success: false)"


def test_the_words_of_a_ban_are_not_printed():
    with pytest.raises(AccountDisabled) as caught:
        check_verdict(an_answer(200, BAN))

    assert str(caught.value) == "the gateway reports that the account is banned (success: false)"


SAYS_NO = b'{"success": false'


@pytest.mark.parametrize(
    "body", [body for body in NOT_THE_GATEWAY_S if not body.startswith(SAYS_NO)]
)
def test_content_that_was_promised_and_is_something_else_is_an_invalid_response(body):
    assert {judged(status, body) for status in (200, 203, 299)} == {InvalidResponse}


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (403, b"", {}, "(HTTP 403, an empty body)"),
        (418, PAGE, {}, "(HTTP 418, a web page)"),
        (451, b"no", {"content_type": "text/html"}, "(HTTP 451, a web page)"),
        (405, b"no", {}, "(HTTP 405, data that is neither JSON nor a web page)"),
        (403, b'{"error": "x"}', {}, "(HTTP 403, JSON of another kind)"),
        (403, b"", {"server": "cloudflare"}, "(HTTP 403, by its headers from Cloudflare)"),
        (403, PAGE, {"cf_ray": "9"}, "(HTTP 403, by its headers from Cloudflare)"),
        (403, PAGE, {"server": CANARY_TOKEN}, "(HTTP 403, a web page)"),
        (
            404,
            PAGE,
            {},
            (
                "(HTTP 404, a web page): the base URL is wrong, "
                "or something else responds in the gateway's place"
            ),
        ),
        (
            401,
            b"",
            {"www_authenticate": "Bearer realm=x"},
            (
                "(HTTP 401, an empty body); it asks for `Bearer` before the token, "
                "which the option auth-scheme adds"
            ),
        ),
        (
            401,
            PAGE,
            {"www_authenticate": f'Basic realm="{CANARY_TOKEN}"'},
            "(HTTP 401, a web page); it asks for a user name and a password of its own",
        ),
        (401, b"", {"www_authenticate": CANARY_TOKEN}, "(HTTP 401, an empty body)"),
    ],
)
def test_what_blocked_a_request_is_described_and_never_quoted(status, body, headers, said):
    error = error_of(an_answer(status, body, **headers))

    assert str(error) == f"the response is not the gateway's own {said}"


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (404, NO, {}, "the gateway has no such path (HTTP 404, success: false)"),
        (404, NO_SUCH_PATH, {}, "the gateway has no such path (HTTP 404)"),
        (400, NO, {}, "the gateway rejected the request (HTTP 400, success: false)"),
        (400, NO_SUCH_PATH, {}, "the gateway rejected the request (HTTP 400)"),
        (502, PAGE, {}, "the gateway, or something before it, has a problem (HTTP 502)"),
        (522, b"", {"server": "cloudflare"}, "Cloudflare reports trouble with the gateway"),
        (500, NO, {"server": "cloudflare"}, "the gateway, or something before it, has a problem"),
        (429, NO, {}, "too many requests (HTTP 429)"),
    ],
)
def test_an_error_names_the_status(status, body, headers, said):
    error = error_of(an_answer(status, body, **headers))

    assert str(error).startswith(said)
    assert f"HTTP {status}" in str(error)


DENIED = (
    (200, NO, {}),
    (200, PAGE, {}),
    (200, b" \n<html>", {"content_type": "text/plain"}),
    (301, b"", {"location": "https://console.example.org/x"}),
    (404, NO, {}),
    (404, NO_SUCH_PATH, {}),
    (404, PAGE, {}),
    (404, b"404 page not found", {}),
    (404, b"", {}),
    (400, NO, {}),
)
NOT_DENIED = (
    (200, b"", {}),
    (200, b"{}", {}),
    (200, BAN, {}),
    (200, PAGE, {"cf_mitigated": "challenge"}),
    (404, PAGE, {"cf_mitigated": "challenge"}),
    (404, b'{"error": "x"}', {}),
    (401, NO, {}),
    (403, NO, {}),
    (401, PAGE, {}),
    (403, PAGE, {}),
    (405, PAGE, {}),
    (429, NO, {}),
    (500, NO, {}),
    (502, PAGE, {}),
)


@pytest.mark.parametrize(
    ("response", "denies"),
    [*((each, True) for each in DENIED), *((each, False) for each in NOT_DENIED)],
)
def test_only_what_gateways_say_of_a_path_that_they_lack_denies_the_endpoint(response, denies):
    status, body, headers = response
    decode = msgspec.json.Decoder(Envelope[dict[str, str]]).decode
    with pytest.raises(ApiError) as caught:
        content(an_answer(status, body, **headers), decode)

    assert caught.value.denies_endpoint is denies


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
        ("https://CANARYaccessTokenMustNeverBeSeen.example.org/", "https://….example.org"),
        ("https://login.canary0123456789abcdef0123", "https://login.…"),
        ("https://canary0123456789abcdef0123:8443/", "https://…"),
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
    ("date", "seconds", "skew"),
    [
        ("Sun, 06 Nov 1994 06:49:37 GMT", "7200", 0.0),
        ("Sun, 06 Nov 1994 06:49:07 GMT", "7200", 30.0),
        ("Sun, 06 Nov 1994 06:50:07 GMT", "7200", -30.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "7200", 0.0),
        ("Sun, 06 Nov 1994 08:49:07 GMT", "0", 30.0),
        ("Sun, 06 Nov 1994 06:49:37 GMT", "soon", 7200.0),
        ("Sun, 06 Nov 1994 06:49:37 GMT", "-7200", 7200.0),
    ],
)
def test_the_age_of_a_response_is_believed_before_the_clock_is_blamed(date, seconds, skew):
    """Also where a cache renews the date: what it kept for two hours has the date of now."""
    assert clock_skew(an_answer(date=date, age=seconds)) == skew


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(" 7200 ", 7200.0), ("0", 0.0), (None, 0.0), ("", 0.0), ("1.5", 0.0), ("9" * 11, 0.0)],
)
def test_a_response_says_how_long_a_cache_has_kept_it(text, seconds):
    assert age(an_answer(age=text)) == seconds


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "text/html", "expected JSON, got an empty body"),
        (
            b"<html>",
            " Text/HTML ; charset=utf-8",
            "expected JSON, got a web page: is the base URL right?",
        ),
        (b"hello", "text/plain", "expected JSON, got data that is neither JSON nor a web page"),
        (b"\x00\xff", None, "expected JSON, got data that is neither JSON nor a web page"),
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
        assert type(error_of(an_answer(401, body))) is Blocked
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
        == f"the gateway reports that the account is banned (HTTP {status}, AUTH_USER_DISABLED)"
    )


@pytest.mark.parametrize(
    ("user_id", "said"),
    [(None, "it requires a user ID: none is set"), (8, "user ID 8 does not own the token")],
)
def test_a_refusal_says_whether_a_user_id_was_sent(user_id, said):
    assert (
        str(a_refusal("", user_id=user_id))
        == f"the gateway rejected the access token (HTTP 401, success: false), or {said}"
    )


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("AUTH_TOKEN_EXPIRED", "HTTP 401, AUTH_TOKEN_EXPIRED"),
        (f"AUTH_{CANARY_KEY}", "HTTP 401, success: false"),
        (None, "HTTP 401, success: false"),
        (["AUTH_TOKEN_EXPIRED"], "HTTP 401, success: false"),
    ],
)
def test_the_code_of_a_refusal_is_printed_where_it_is_known_and_never_otherwise(code, shown):
    error = a_refusal(code)

    assert type(error) is Unauthorized
    assert str(error).startswith(f"the gateway rejected the access token ({shown}), or")

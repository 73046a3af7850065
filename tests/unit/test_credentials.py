"""The access token: read when needed, never shown."""

import copy
import json
import logging
import os
import pickle
import re
import resource
from pathlib import Path

import pytest
from builders import CANARY_TOKEN
from hypothesis import given
from hypothesis import strategies as st

from exporter.credentials import HeadersFile, LiteralToken, Secret, TokenFile, checked_token
from exporter.errors import ApiError, Blocked, Reason, Unauthorized

WAYS_OF_LOOKING = {
    "repr": repr,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret!a}",
    "percent": lambda secret: "%s %r %a" % (secret, secret, secret),  # noqa: UP031 - a way of looking
    "json": lambda secret: json.dumps({"token": secret}, default=repr),
    "a log line": lambda secret: logging.LogRecord(
        "x", 20, "", 1, "%s", (secret,), None
    ).getMessage(),
    "its source": lambda secret: repr(LiteralToken(secret, "COMETAPI_ACCESS_TOKEN")),
    "its attributes": lambda secret: f"{hasattr(secret, '__dict__')}{dir(secret)}",
}


@pytest.mark.parametrize("look", WAYS_OF_LOOKING.values(), ids=WAYS_OF_LOOKING)
def test_a_secret_shows_itself_to_no_way_of_looking(look):
    assert CANARY_TOKEN not in look(Secret(CANARY_TOKEN))


@pytest.mark.parametrize("carry_off", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(carry_off):
    with pytest.raises(TypeError) as caught:
        carry_off(Secret(CANARY_TOKEN))

    assert CANARY_TOKEN not in str(caught.value)


def test_secrets_are_compared_by_their_text():
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize("text", ["abc", " abc\n", "\ufeffabc\r\n", "\ufeff abc", "\tabc\n\n"])
def test_what_editors_leave_around_a_token_is_dropped(text):
    assert checked_token(text, "here").reveal() == "abc"


EMPTY = "is empty: put the account's access token there"
UNFIT = "contains spaces, line breaks, control or non-ASCII characters: copy it again, as one line"
IN_QUOTES = "is in quotes: leave them out, they would be sent as well"
WITH_A_NAME = "begins with NAME=: leave the name out, the file is the token alone"
API_KEY = "starts with sk-: that looks like an API key; the exporter needs the account's personal access token"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *((text, EMPTY) for text in ("", " ", "\n", "\ufeff", "\ufeff\r\n")),
        *(
            (f"CANARY{middle}token", UNFIT)
            for middle in " \n\r\t\0\x7f\x1bé密\ufeff\u200b\ud800\x85"
        ),
        ("sk-CANARY", API_KEY),
        *((f"{quote}CANARY{quote}", IN_QUOTES) for quote in "\"'`"),
        ("COMETAPI_ACCESS_TOKEN=CANARY", WITH_A_NAME),
        ('export TOKEN="CANARY"', WITH_A_NAME),
        ("token=CANARY==", WITH_A_NAME),
        ("Bearer CANARY", "starts with 'Bearer': leave out 'Bearer'"),
        ("bearer CANARY", "starts with 'Bearer': leave out 'Bearer'"),
    ],
)
def test_what_is_no_access_token_is_rejected_with_the_fix_and_not_quoted(text, problem):
    with pytest.raises(Unauthorized) as caught:
        checked_token(text, "the file /t")

    assert str(caught.value) == f"the access token in the file /t {problem}"


@pytest.mark.parametrize("text", ["abc=", "abc==", "a+b/c=", "=abc", "a-b=c", "'a", "1=a"])
def test_a_token_may_hold_equals_signs_and_one_quote(text):
    assert checked_token(text, "here").reveal() == text


@given(st.text())
def test_any_token_is_fit_for_a_header_or_refused(text):
    try:
        token = checked_token(text, "here").reveal()
    except Unauthorized:
        return
    assert token
    assert all("!" <= char <= "~" for char in token)


def test_a_literal_token_is_checked_when_read():
    assert LiteralToken(Secret(" abc\n"), "V").read().reveal() == "abc"
    with pytest.raises(Unauthorized, match="in V is empty"):
        LiteralToken(Secret(""), "V").read()


def test_a_token_file_is_read_again_each_time(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    source = TokenFile(path)

    before = source.read().reveal()
    path.write_bytes("\ufeffsecond\r\n".encode())

    assert (before, source.read().reveal()) == ("first", "second")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda _: None,
            "cannot read the access token in the file {}: No such file",
            id="missing",
        ),
        pytest.param(
            Path.mkdir, "cannot read the access token in the file {}: Is a directory", id="folder"
        ),
        pytest.param(
            lambda p: p.write_bytes(b"CANARY\xff"),
            "the access token in the file {} is not UTF-8 text",
            id="bytes",
        ),
        pytest.param(
            lambda p: p.write_text("CANARY x"),
            "the access token in the file {} contains ",
            id="two words",
        ),
    ],
)
def test_a_token_file_that_cannot_be_used_is_named_and_not_quoted(tmp_path, make, message):
    path = tmp_path / "token"
    make(path)

    with pytest.raises(Unauthorized) as caught:
        TokenFile(path).read()

    assert str(caught.value).startswith(message.format(path))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# Headers


def headers_in(tmp_path, text: str | bytes) -> dict[str, str]:
    path = tmp_path / "headers"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {name: value.reveal() for name, value in HeadersFile(path).read().items()}


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("# nothing\n\n  # more\n", {}),
        ("X-Team: web\n", {"x-team": "web"}),
        (
            "\ufeffX-Team: web\r\nUser-Agent: mine/1.0 (x; y)\r\n",
            {"x-team": "web", "user-agent": "mine/1.0 (x; y)"},
        ),
        ("  CF-Access-Client-Id :  a:b=c#d  ", {"cf-access-client-id": "a:b=c#d"}),
        ("x: 1\n#x: 2", {"x": "1"}),
    ],
)
def test_headers_are_read_from_lines_and_a_number_sign_begins_a_comment(tmp_path, text, headers):
    assert headers_in(tmp_path, text) == headers


REFUSED = (
    "Host",
    "Authorization",
    "authorization",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Content-Length",
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CANARY", "line 1 is not written as Name: value"),
        ("X: 1\nCANARY=2", "line 2 is not written as Name: value"),
        ("X:", "line 1 is not written as Name: value"),
        (": CANARY", "line 1 is not written as Name: value"),
        ("X CANARY: 1", "line 1 is not written as Name: value"),
        ("\n\nX: CANARY\x01", "line 3 has control or non-ASCII characters in its value"),
        ("X: CANARYé", "line 1 has control or non-ASCII characters in its value"),
        ("X: CANARY\ry: 2", "line 1 has control or non-ASCII characters in its value"),
        (
            "X: CANARY\nx: 2",
            "line 2 names a header that stands in an earlier line: set only one of them",
        ),
        *(
            (
                f"{name}: CANARY",
                f"line 1 sets {name.lower()}, which the exporter sets itself: remove the line",
            )
            for name in REFUSED
        ),
    ],
)
def test_a_line_that_cannot_be_sent_is_named_by_its_number_and_not_quoted(tmp_path, text, problem):
    with pytest.raises(Blocked) as caught:
        headers_in(tmp_path, text)

    assert str(caught.value) == f"the file of headers {tmp_path}/headers: {problem}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"X: CANARY\xff", "is not UTF-8 text"),
        (b"X: " + b"CANARY" * 20_000, "is larger than 64 KiB"),
    ],
)
def test_a_file_of_headers_that_cannot_be_used_is_named_and_not_quoted(tmp_path, content, problem):
    with pytest.raises(Blocked) as caught:
        headers_in(tmp_path, content)

    assert str(caught.value) == f"the file of headers {tmp_path}/headers {problem}"


def test_a_file_of_headers_that_is_missing_is_named(tmp_path):
    with pytest.raises(Blocked, match=r"cannot read the file of headers .*: No such file"):
        HeadersFile(tmp_path / "nowhere").read()


@given(st.text())
def test_any_header_that_is_read_is_fit_to_be_sent(text):
    try:
        headers = HeadersFile(Path("x"))._parsed(text)
    except Blocked:
        return
    for name, value in headers.items():
        assert re.fullmatch(r"[\x21-\x7e]+", name)
        assert re.fullmatch(r"[\x20-\x7e\t]+", value.reveal())


@pytest.mark.timeout(5)
def test_a_fifo_in_place_of_the_token_file_is_an_error_at_once(tmp_path):
    os.mkfifo(tmp_path / "token")

    with pytest.raises(
        Unauthorized, match=r"cannot read the access token in the file .*: not a regular file"
    ):
        TokenFile(tmp_path / "token").read()


def test_of_a_huge_file_only_a_piece_is_read(tmp_path):
    with (tmp_path / "token").open("wb") as file:
        file.truncate(10**12)

    with pytest.raises(Unauthorized, match="control or non-ASCII"):
        TokenFile(tmp_path / "token").read()


def test_a_shortage_of_descriptors_is_not_blamed_on_the_token(tmp_path):
    (tmp_path / "token").write_text("abc")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(ApiError) as caught:
            TokenFile(tmp_path / "token").read()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert caught.value.reason == Reason.INTERNAL
    assert str(caught.value).endswith("Too many open files")

"""The access token: read when asked, shown to nobody."""

import copy
import json
import logging
import pickle
from pathlib import Path

import pytest
from builders import CANARY_TOKEN
from hypothesis import given
from hypothesis import strategies as st

from exporter.credentials import LiteralToken, Secret, TokenFile, checked_token
from exporter.errors import Unauthorized

WAYS_OF_LOOKING = {
    "repr": repr,
    "str": str,
    "format": format,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret!a}",
    "percent": lambda secret: "%s %r %a" % (secret, secret, secret),  # noqa: UP031 - a way of looking
    "inside a tuple": lambda secret: repr((secret, {"token": secret})),
    "json": lambda secret: json.dumps({"token": secret}, default=repr),
    "a log line": lambda secret: logging.LogRecord("x", 20, "", 1, "%s", (secret,), None).getMessage(),
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


@pytest.mark.parametrize("text", ["", " ", "\n", "\ufeff", "\ufeff\r\n"])
def test_an_empty_token_is_refused_with_the_mend(text):
    with pytest.raises(Unauthorized) as caught:
        checked_token(text, "the file /t")

    assert str(caught.value) == ("the access token in the file /t is empty: put the personal access token there")


@pytest.mark.parametrize(
    "middle", [" ", "\n", "\r\n", "\r", "\t", "\0", "\x7f", "\x1b", "é", "密", "\ufeff", "\u200b", "\ud800", "\x85"]
)
def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_quoted(middle):
    with pytest.raises(Unauthorized) as caught:
        checked_token(f"CANARY{middle}token", "COMETAPI_ACCESS_TOKEN")

    assert str(caught.value) == (
        "the access token in COMETAPI_ACCESS_TOKEN has spaces, line breaks, control or non-ASCII characters inside: "
        "copy it again, as one line"
    )


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


def test_a_token_file_is_read_anew_each_time(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    source = TokenFile(path)

    before = source.read().reveal()
    path.write_bytes("\ufeffsecond\r\n".encode())

    assert (before, source.read().reveal()) == ("first", "second")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda _: None, "cannot read the access token in the file {}: No such file", id="missing"),
        pytest.param(Path.mkdir, "cannot read the access token in the file {}: Is a directory", id="folder"),
        pytest.param(Path.touch, "the access token in the file {} is empty", id="empty"),
        pytest.param(lambda p: p.write_bytes(b"CANARY\xff"), "the access token in the file {} is no text", id="bytes"),
        pytest.param(lambda p: p.write_text("CANARY x"), "the access token in the file {} has spaces", id="two words"),
        pytest.param(lambda p: p.write_text("a\nb"), "the access token in the file {} has spaces", id="two lines"),
    ],
)
def test_a_token_file_that_is_no_use_is_named_and_not_quoted(tmp_path, make, message):
    path = tmp_path / "token"
    make(path)

    with pytest.raises(Unauthorized) as caught:
        TokenFile(path).read()

    assert str(caught.value).startswith(message.format(path))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_of_an_endless_file_only_a_piece_is_read():
    with pytest.raises(Unauthorized, match="control or non-ASCII"):
        TokenFile(Path("/dev/zero")).read()

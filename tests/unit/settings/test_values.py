"""What the user wrote, and what it means: a wrong value is one problem, and a default stands in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.problems import Problem
from exporter.settings import options
from exporter.settings.values import Parsed, RawValue, Values, default_values

# Each character that str.strip() removes in Python's documentation, and some of Unicode's.
WHITE_SPACE = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u2028"


@given(st.text(WHITE_SPACE), st.text(WHITE_SPACE))
def test_white_space_around_a_text_is_removed_and_kept_inside(before, after):
    assert RawValue(f"{before}a \r b{after}", "S").text == "a \r b"


def test_a_value_is_parsed_and_keeps_its_text_and_source():
    problems = []
    values = Values([options.INTERVAL], {"interval": RawValue("2m", "S")}, problems)

    assert values.parsed(options.INTERVAL) == Parsed(120.0, "2m", "S")
    assert values.of(options.INTERVAL) == 120.0
    assert problems == []


def test_the_default_stands_in_for_a_wrong_value():
    problems = []
    values = Values([options.KEYS_MAX], {"keys_max": RawValue("0", "S")}, problems)

    assert values.parsed(options.KEYS_MAX) == Parsed(100_000, "0", "S", is_valid=False)
    assert problems == [Problem("S", "expected a whole number from 1 to 999999999, got '0'")]


def test_a_wrong_value_without_a_default_is_none():
    values = Values([options.USER_ID], {"user_id": RawValue("me", "S")}, [])

    assert values.optional(options.USER_ID) is None


def test_what_is_not_set_is_none():
    assert Values([options.USER_ID], {}, []).optional(options.USER_ID) is None


@pytest.mark.parametrize(
    ("text", "path"), [("ca.pem", Path("/etc/x/ca.pem")), ("/ca.pem", Path("/ca.pem"))]
)
def test_a_relative_path_starts_from_the_folder_of_its_text(text, path):
    raw_values = {"ca_file": RawValue(text, "S", Path("/etc/x"))}

    assert Values([options.CA_FILE], raw_values, []).of(options.CA_FILE) == path


def test_every_default_is_valid():
    problems = []
    Values(options.OPTIONS, default_values(), problems)

    assert problems == []


@pytest.mark.parametrize("text", ['"production/.*"', "'production/.*'", '""', ' "a" \r'])
def test_a_value_in_quotes_is_wrong_since_they_would_count(text):
    problems = []
    values = Values([options.KEYS_INCLUDE], {"keys_include": RawValue(text, "S")}, problems)

    assert values.optional(options.KEYS_INCLUDE) is None
    (problem,) = problems
    assert str(problem).startswith("S: in quotes: leave them out")


@pytest.mark.parametrize("text", ['"', 'a/"b"', '"a/b', "it's"])
def test_a_quote_inside_a_value_counts(text):
    problems = []
    Values([options.KEYS_INCLUDE], {"keys_include": RawValue(text, "S")}, problems)

    assert problems == []

"""No name that somebody chooses makes an expression of the user slow."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.patterns import Pattern, PatternList

# A hundred times what the slowest of them took on a busy machine, and far below what one hung key
# of a backtracking engine takes: longer than anybody waits.
SECONDS = 2.0
NESTED = (
    ".*/(\\w+-?)+",
    ".*/(test.*)+-tmp",
    "(.*-)*prod",
    "(a+)+b",
    "(a|a)*b",
    "(a|aa)+$",
    "(x+x+)+y",
    "([a-z]+)*!",
    "(.*a.{0,100}){3}x",
)
PARTS = ["a", "-", ".", "\\w", "test", "(", ")", "|", "*", "+", "?", "{1,30}", "/", "[a-z-]"]
LONGEST_NAME = 400


def seconds_of(patterns, name):
    began = time.process_time()
    for pattern in patterns:
        pattern.matches(name)
    PatternList(patterns).first_match(name)
    return time.process_time() - began


@pytest.mark.parametrize("name", ["a" * 40 + "!", "test" * 99, "a-" * 199, "/" + "x" * 399])
def test_repeated_repetitions_are_matched_at_once(name):
    assert seconds_of([Pattern(text) for text in NESTED], name) < SECONDS


@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=14).map("".join),
    st.sampled_from(["a", "a-", "test", "-", "ab/"]),
    st.text(max_size=3),
)
@settings(max_examples=200, deadline=None)
def test_no_expression_is_slow_on_any_name(text, repeated, end):
    name = (repeated * LONGEST_NAME)[:LONGEST_NAME] + end
    try:
        pattern = Pattern(text)
    except ValueError:
        return

    assert seconds_of([pattern], name) < SECONDS


@given(st.text(max_size=8), st.text(max_size=8))
@settings(deadline=None)
def test_an_escaped_text_matches_itself_alone(text, other):
    pattern = Pattern(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text))

    assert pattern.matches(text)
    assert pattern.matches(other) == (text == other)

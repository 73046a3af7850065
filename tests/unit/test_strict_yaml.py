"""Strict YAML: every problem is noted with its place, and no value is quoted."""

import pytest

from exporter.strict_yaml import Section, YamlError, load_yaml


def section(text, prefix=""):
    """Return the section in *text* and the list where its problems are noted."""
    problems = []
    return Section(load_yaml(text), prefix, problems), problems


def texts(problems):
    return [str(problem) for problem in problems]


def test_every_scalar_is_text():
    assert load_yaml("{a: 0815, b: yes, c: 1e3, d: 2026-11-24, !!int e: !!int 7}") == {
        "a": "0815",
        "b": "yes",
        "c": "1e3",
        "d": "2026-11-24",
        "e": "7",
    }


@pytest.mark.parametrize(
    "text",
    [
        "accounts: [{name: CANARY",
        "a: *CANARY",
        "a: &CANARY [*CANARY]",
        "a: 1\na: CANARY",
        "? [CANARY]\n: b",
        "a: CANARY\x00",
        "a: 'CANARY\n b: ]",
        "[" * 400,
    ],
)
def test_what_is_not_yaml_is_one_problem_that_quotes_nothing(text):
    with pytest.raises(YamlError) as caught:
        load_yaml(text)

    (problem,) = caught.value.problems
    assert problem.startswith("not valid YAML: ")
    assert "CANARY" not in str(caught.value)


def test_an_unknown_key_is_named_with_its_place_and_the_similar_one():
    top, problems = section("{interval: 1, intervall: 2, x: 3, old: 4, '': 5}", "collect.")
    top.only(["interval"], {"old": "no longer supported"})

    assert texts(problems) == [
        "collect.intervall: unknown key; did you mean interval?",
        "collect.x: unknown key",
        "collect.old: no longer supported",
        "collect.(a key that is not a name): unknown key",
    ]


def test_the_mappings_of_a_list_know_their_number():
    top, problems = section("accounts: [{name: a}, 7, {name: [b]}]")
    names = [each.text("name") for each in top.sections("accounts")]

    assert names == ["a", ""]
    assert texts(problems) == [
        "accounts[1]: expected a mapping",
        "accounts[2].name: expected printable text",
    ]


@pytest.mark.parametrize(
    ("text", "expected"), [("a: ", []), ("a: {}", ["a: expected a list"]), ("b: 1", [])]
)
def test_what_is_no_list_is_noted_unless_it_is_left_out(text, expected):
    top, problems = section(text)

    assert (top.sections("a"), texts(problems)) == ([], expected)


def test_a_place_has_one_problem_and_the_first_is_the_cause():
    top, problems = section("name: [a]")
    top.text("name")
    top.complain("name", "expected a name")

    assert texts(problems) == ["name: expected printable text"]


@pytest.mark.parametrize("text", ["a: []", "a: ", "b: 1", "a: {}", "a: 7"])
def test_a_list_that_must_not_be_empty_is_one_problem(text):
    top, problems = section(text)

    assert top.sections("a", at_least_one="account") == []
    assert texts(problems)[-1:] == ["a: expected a list with at least one account"]
    assert len(problems) == 1


def test_white_space_around_a_text_is_removed():
    top, problems = section('a: " b \\r\\n"')

    assert (top.text("a"), problems) == ("b", [])

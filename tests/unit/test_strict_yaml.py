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


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a:\n\tb: 1", "line 2: a tab: indent with spaces"),
        ("a: 1\nb:\n  - x\n c: 2", "line 4: the indentation does not fit the lines before"),
        ("- name: a\n  base_url:https://x\n  user_id: 7", "line 2: no value: write a space aft"),
        ("a: b: c", "line 1: a colon too many: put the value in quotes"),
        ("a: [1, 2\nb: 3", "line 1: a bracket that begins here does not end"),
        ("b: 1\na: 'x\nc: 3\n", "line 2: a quote that begins here does not end"),
        ("a: 1\nb: @x", "line 2: a value that begins with a reserved character: put it in quotes"),
        ("a: *x", "line 1: an alias (*) whose anchor (&) does not exist"),
        ("a: &x [*x]", "line 1: an alias inside of its own anchor"),
        ("a: 1\n---\nb: 2", "line 2: a second document: write everything into the first"),
        ("a: - b", "line 1: a list in the line of its name: begin it on a new line"),
        ("a: 1\nb: \x01", "line 2: a control character"),
        ("x: {name: a, url: b}\ny:\n  name: a\n  url: b\n  name: c", "line 5: name is set twice"),
        ("? [a]\n: b", "line 1: the name of a field must be text"),
        ("a: 1\n<<: [b]", "line 2: a merge key (<<) requires a mapping, or a list of them"),
        ("x: &x {a: 1}\n<<: *x\n<<: *x", "line 3: << is set twice"),
        ("CANARYaccessTokenMustNeverBeSeen: 1\nCANARYaccessTokenMustNeverBeSeen: 2", "line 2: (a"),
    ],
)
def test_a_mistake_in_yaml_is_named_with_its_line_and_in_plain_words(text, problem):
    with pytest.raises(YamlError) as caught:
        load_yaml(text)

    (found,) = caught.value.problems
    assert found.startswith(f"not valid YAML: {problem}")
    assert "CANARY" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"x": "1", "y": "3"}),
        ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}", {"x": "1", "y": "3"}),
        ("a: [&a {x: 1}, &c {x: 2, z: 4}]\nb: {<<: [*a, *c]}", {"x": "1", "z": "4"}),
        ("b: {<<: {}}", {}),
    ],
)
def test_a_merge_key_takes_over_fields_and_those_written_beside_it_win(text, expected):
    assert load_yaml(text)["b"] == expected


def test_mappings_that_merge_each_other_many_times_take_no_time():
    lines = ["x0: &x0 {a: 1}"]
    for number in range(1, 40):
        before = f"*x{number - 1}"
        lines.append(f"x{number}: &x{number} {{<<: [{before}, {before}, {before}]}}")

    assert load_yaml("\n".join(lines))["x39"] == {"a": "1"}


def test_an_unknown_key_is_named_with_its_place_and_the_similar_one():
    top, problems = section("{interval: 1, intervall: 2, x: 3, old: 4, '': 5}", "collect.")
    top.only(["interval"], {"old": "no longer supported"})

    assert texts(problems) == [
        "collect.intervall: unknown field; did you mean interval?",
        "collect.x: unknown field",
        "collect.old: no longer supported",
        "collect.(a field whose name has 0 characters): unknown field",
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

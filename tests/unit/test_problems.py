"""A problem reads as its place and the fix."""

from exporter.problems import Problem


def test_a_problem_is_shown_as_place_and_text():
    assert str(Problem("F: accounts[0].name", "expected a name")) == (
        "F: accounts[0].name: expected a name"
    )

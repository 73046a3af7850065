"""Expressions of RE2: what they match, what is wrong with one, and that none is slow."""

import pytest

from exporter.patterns import Pattern, PatternList

ADVICE = [
    ("(", "a ( without its )"),
    ("a)", "a ) without its ("),
    ("[a", "at character 1: a [ without its ]"),
    ("x[b-a]", "at character 3: no such class, or a range that does not go upwards"),
    ("*a", "at character 1: nothing to repeat"),
    ("a**", "at character 2: two repetitions in a row"),
    ("a{1001}", "at character 2: RE2 repeats at most 1000 times"),
    (
        "((a{500}){500})",
        "at character 4: RE2 repeats at most 1000 times, also where repetitions are nested",
    ),
    (r"a\q", "at character 2: no such escape sequence"),
    ("a\\", "a backslash at the end"),
    ("a(?=b)", "at character 2: RE2 has no look-ahead"),
    ("(?<=b)a", "at character 1: RE2 has no look-ahead"),
    ("(?!test).*", "at character 1: RE2 has no negative look-ahead and look-behind: use keys.exc"),
    ("(?<!b)a", "at character 1: RE2 has no negative look-ahead"),
    (r"(a)\1", "at character 4: RE2 has no back-references"),
    ("(?P<n>a)(?P=n)", "at character 9: RE2 has no back-references"),
    ("(?#why)a", "at character 1: RE2 has no comments"),
    ("(?>a)", "at character 1: RE2 has no atomic groups: write (?:"),
    ("a*+", "at character 2: RE2 has no possessive repetition"),
    ("(?x)a", "at character 1: RE2 knows only the flags i, m, s and U"),
    (r"a\Z", r"at character 2: leave out \Z"),
    (r"\u20ac", "at character 1: write the character itself"),
    (r"\pL{1000}\pL{1000}", "too large for RE2"),
    ("\ud800", "half of a character pair"),
]


@pytest.mark.parametrize(("text", "advice"), ADVICE)
def test_a_wrong_expression_is_an_error_with_place_and_advice(text, advice):
    with pytest.raises(ValueError, match=r".") as caught:
        Pattern(text)

    assert str(caught.value).startswith(advice)


@pytest.mark.parametrize(("text", "_"), ADVICE)
def test_an_error_never_quotes_the_expression(text, _, capfd):
    secret = "CANARYaccessTokenMustNeverBeSeen"
    said = ""
    try:
        Pattern(f"{secret}{text}{secret}")
    except ValueError as error:
        said = str(error)

    assert "CANARY" not in said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (".*", "line\nbreak"),
        ("a.b", "a\nb"),
        ("team/.*", "team/"),
        ("(?i)TEAM/.*", "team/web"),
        (r"\pL+/[\d-]+", "Zürich/2026-11"),
        (r"\(\?=", "(?="),
        (r"\\Z", r"\Z"),
        ("a{,5}", "a{,5}"),
        ("half.pair", "half\ud800pair"),
    ],
)
def test_the_whole_of_a_text_matches_as_in_prometheus(text, name):
    assert Pattern(text).matches(name)
    assert PatternList([Pattern("nothing"), Pattern(text)]).first_match(name) == 1


@pytest.mark.parametrize("text", ["xab", "abx", "ab\n", "\nab", "", "a"])
def test_a_part_does_not_match(text):
    assert not Pattern("ab").matches(text)
    assert not Pattern("(?m)^ab$").matches(text)


def test_only_the_first_match_of_a_list_counts():
    patterns = PatternList([Pattern("a.*"), Pattern("ab"), Pattern("b")])

    assert [patterns.first_match(text) for text in ("ab", "b", "c")] == [0, 2, None]


def test_patterns_of_the_same_text_are_equal():
    assert Pattern("a") == Pattern("a")
    assert len({Pattern("a"), Pattern("a"), Pattern("b")}) == 2

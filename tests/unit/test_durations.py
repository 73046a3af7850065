"""Durations as Prometheus writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("1ms", 0.001),
        ("500ms", 0.5),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("1h0m", 3600),
        ("1d", 86_400),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("1y2w3d4h5m6s7ms", 31_536_000 + 1_209_600 + 259_200 + 14_400 + 300 + 6 + 0.007),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "s",
        "1.5h",
        "-5s",
        "+5s",
        "5 s",
        " 5s",
        "5s ",
        "5S",
        "30m1h",
        "1h1h",
        "1m30",
        "5s\n",
        "٣s",
        "5min",
        "∞",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example_of_one(text):
    with pytest.raises(ValueError, match="expected a duration such as 90s, 15m or 1h30m, got "):
        parse_duration(text)


def test_an_endless_text_is_neither_read_nor_repeated_whole():
    with pytest.raises(ValueError, match="expected a duration") as caught:
        parse_duration("9" * 100_000 + "s")

    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.001, "1ms"), (1.5, "1s500ms"), (60, "1m"), (5400, "1h30m"), (86_400, "1d"), (31_536_000, "365d")],
)
def test_a_duration_is_written_in_its_shortest_form(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(0, 10**12))
def test_what_is_written_is_read_back(milliseconds):
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.text())
def test_any_text_is_a_duration_or_refused(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0

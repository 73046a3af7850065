"""How the text of each option is parsed, and what is said about a wrong one."""

import re
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.parsers import (
    format_duration,
    is_safe_for_tokens,
    one_of,
    parse_amount,
    parse_base_url,
    parse_concurrency,
    parse_duration,
    parse_index,
    parse_path,
    parse_pattern,
    parse_positive_duration,
    parse_positive_number,
    parse_reload_interval,
    parse_switch,
    parse_url_path,
    parse_whole_number,
)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.cometapi.com", "https://api.cometapi.com"),
        ("https://api.cometapi.com/v1", "https://api.cometapi.com"),
        (" https://api.cometapi.com/v1/ \n", "https://api.cometapi.com"),
        ("https://api.cometapi.com///", "https://api.cometapi.com"),
        ("https://x/gate/v1//", "https://x/gate"),
        ("https://x/v10", "https://x/v10"),
        ("https://x/gatev1", "https://x/gatev1"),
        ("https://v1", "https://v1"),
        ("https://v1/v1", "https://v1"),
        ("HTTPS://x:8443", "https://x:8443"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("http://new_api-1.lan", "http://new_api-1.lan"),
    ],
)
def test_an_address_loses_its_slashes_and_v1(text, url):
    assert parse_base_url(text) == url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a URL such as https://"),
        ("api.cometapi.com", "a URL such as https://"),
        ("ftp://x", "a URL such as https://"),
        ("https://", "a URL such as https://"),
        ("https:///v1", "a URL such as https://"),
        ("https://x:99999", "a URL such as https://"),
        ("https://x:0", "a URL such as https://"),
        ("https://[::1", "a URL such as https://"),
        ("https://[v1.a]", "a URL such as https://"),
        ("https://a b", "a URL such as https://"),
        ("https://a..b", "a URL such as https://"),
        ("https://" + "a" * 64, "a URL such as https://"),
        ("https://x/\x01", "a URL such as https://"),
        ("https://münchen.example", "a URL such as https://"),
        ("https://user:CANARY@x", "without user and password"),
        ("https://CANARY@x", "without user and password"),
        ("https://x/?key=CANARY", "without ? and #"),
        ("https://x/#CANARY", "without ? and #"),
    ],
)
def test_what_is_no_address_of_a_gateway_is_refused_and_not_quoted(text, expected):
    with pytest.raises(ValueError, match="expected") as caught:
        parse_base_url(text)

    assert expected in str(caught.value)
    assert "CANARY" not in str(caught.value)


@given(
    st.builds(
        "{}://{}{}".format,
        st.sampled_from(["http", "https"]),
        st.text(st.sampled_from("aZ0.-_[]:@%ü\\ \x01") | st.characters(), max_size=12),
        st.text(st.sampled_from("/v1%. \x01\\") | st.characters(), max_size=8),
    )
)
def test_every_address_that_is_accepted_is_one_that_can_be_asked(text):
    try:
        url = parse_base_url(text)
    except ValueError:
        return
    assert httpx.URL(url).host
    assert parse_base_url(url) == url or url.endswith("/v1")


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://anywhere.example", True),
        ("http://localhost:3000", True),
        ("http://LOCALHOST", True),
        ("http://127.0.0.1:3000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]", True),
        ("http://10.0.0.1", False),
        ("http://new-api:3000", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://0.0.0.0", False),
        ("http://[fe80::1]", False),
    ],
)
def test_plain_http_is_safe_on_this_machine_alone(url, safe):
    assert is_safe_for_tokens(url) is safe


@pytest.mark.parametrize(("text", "number"), [("1", 1), (" 42 ", 42), ("007", 7), ("999999999", 999_999_999)])
def test_a_whole_number_is_read(text, number):
    assert parse_whole_number(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "0", "000", "-1", "+1", "1.0", "1e3", "1_000", "x", "٣", "1000000000", "0" * 19 + "1" + "9" * 30, "9" * 9999],
)
def test_what_is_no_whole_number_from_1_up_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a whole number from 1 to 999999999, got '.{0,40}'$"):
        parse_whole_number(text)


def test_at_most_64_pages_are_read_at_a_time():
    assert parse_concurrency("64") == 64
    with pytest.raises(ValueError, match="expected at most 64 pages at a time, got 65"):
        parse_concurrency("65")


@pytest.mark.parametrize(("text", "number"), [("500000", 500_000.0), ("0.5", 0.5), (" 1e6 ", 1_000_000.0)])
def test_a_positive_number_is_read(text, number):
    assert parse_positive_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1e999", "x", "1,5"])
def test_what_is_no_positive_number_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a number above 0, got '"):
        parse_positive_number(text)


@pytest.mark.parametrize(("text", "seconds"), [("100ms", 0.1), (" 90s ", 90), ("1h30m", 5400)])
def test_a_positive_duration_is_read(text, seconds):
    assert parse_positive_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"), [("99ms", "at least 100ms"), ("0s", "at least 100ms"), ("60", "90s, 15m or")]
)
def test_what_is_no_duration_or_too_short_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_positive_duration(text)


@pytest.mark.parametrize(
    ("text", "switch"), [("true", True), ("1", True), ("Yes", True), ("false", False), (" 0 ", False), ("NO", False)]
)
def test_a_switch_is_read(text, switch):
    assert parse_switch(text) is switch


@pytest.mark.parametrize("text", ["", "maybe", "2"])
def test_what_is_neither_yes_nor_no_is_refused(text):
    with pytest.raises(ValueError, match="expected true or false, got '"):
        parse_switch(text)


@pytest.mark.parametrize("text", ["/metrics", "/m", "/probe/cometapi", "/metrics/", "/a-b_c~d.e1"])
def test_a_path_for_the_metrics_is_taken(text):
    assert parse_url_path(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *[
            (text, "expected a path such as /metrics")
            for text in ("", "metrics", "//x", "/a b", "/a?b", "/{x}", "/a%20b", "/../x", "/./x", '/"', "/é", "/a\n")
        ],
        *[
            (text, "expected a path that the exporter does not use otherwise")
            for text in ("/", "/-/healthy", "/-/ready", "/-/x", "/api/v1/keys")
        ],
    ],
)
def test_a_path_that_cannot_be_reached_or_is_taken_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_url_path(text)


@pytest.mark.parametrize("text", ["token", "/run/secrets/token", "dir with spaces/тoken", "odd\udcff"])
def test_a_path_of_a_file_is_taken_as_it_is(text):
    assert parse_path(text) == Path(text)


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "\ud800"])
def test_what_is_no_path_of_a_file_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_path(text)


def test_one_of_several_words_is_read_in_any_case():
    parse = one_of(("logfmt", "json"))

    assert parse(" JSON ") == "json"
    with pytest.raises(ValueError, match="expected one of logfmt, json, got 'xml'"):
        parse("xml")


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


@pytest.mark.parametrize(("text", "index"), [("0", 0), (" 00 ", 0), ("7", 7), ("010", 10)])
def test_an_index_counts_from_zero(text, index):
    assert parse_index(text) == index


@pytest.mark.parametrize("text", ["", "-1", "1.0", "x"])
def test_what_is_no_index_is_refused(text):
    with pytest.raises(ValueError, match="expected a whole number"):
        parse_index(text)


def test_an_amount_may_be_zero_but_not_negative_or_endless():
    assert [parse_amount(text) for text in ("0", "2.5", " 1e3 ")] == [0.0, 2.5, 1000.0]
    for text in ("-0.1", "nan", "inf", "five"):
        with pytest.raises(ValueError, match="expected a number that is not negative, got "):
            parse_amount(text)


def test_a_reload_interval_is_never_or_at_least_a_second():
    assert [parse_reload_interval(text) for text in ("0s", "1s", " 5m ")] == [0.0, 1.0, 300.0]
    with pytest.raises(ValueError, match=r"expected 0s \(never\) or at least 1s, got '999ms'"):
        parse_reload_interval("999ms")


def test_the_dot_of_a_pattern_matches_a_line_break_too():
    assert parse_pattern("vip/.*").fullmatch("vip/two\nlines")


@pytest.mark.parametrize("text", ["(", "[a", "a**", "(?P<x>a)(?P<x>b)", "x{99999999999}"])
def test_what_is_no_regular_expression_is_refused_with_the_fault(text):
    with pytest.raises(ValueError, match=re.escape(f"expected a regular expression, got {text!r}: ")):
        parse_pattern(text)

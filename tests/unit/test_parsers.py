"""How the text of each option is parsed, and what is said about a wrong one."""

from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import parsers

WORD = parsers.one_of(("logfmt", "json"), text="logfmt")
ACCEPTED = {
    parsers.base_url: {
        "https://api.cometapi.com": "https://api.cometapi.com",
        "https://api.cometapi.com/v1/": "https://api.cometapi.com",
        "https://api.cometapi.com///": "https://api.cometapi.com",
        "https://x/gate/v1//": "https://x/gate",
        "https://x/v10": "https://x/v10",
        "https://x/gatev1": "https://x/gatev1",
        "https://v1": "https://v1",
        "https://v1/v1": "https://v1",
        "HTTPS://x:8443": "https://x:8443",
        "https://Gate.Example.:443/V2": "https://gate.example/V2",
        "http://gate.example:80": "http://gate.example",
        "http://gate.example:443": "http://gate.example:443",
        "https://gate.example:": "https://gate.example",
        "https://[2001:DB8::1]:443": "https://[2001:db8::1]",
        "http://[::1]:3000/": "http://[::1]:3000",
        "http://new_api-1.lan": "http://new_api-1.lan",
    },
    parsers.whole_number(): {"1": 1, "42": 42, "007": 7, "999999999": 999_999_999},
    parsers.whole_number(0): {"0": 0, "00": 0, "010": 10},
    parsers.whole_number(most=64): {"64": 64},
    parsers.number(0.001, 1e15): {"500000": 500_000.0, "0.5": 0.5, "1e6": 1_000_000.0},
    parsers.number(1e-6, 1e12, zero=True): {"0": 0.0, "2.5": 2.5, "1e3": 1000.0},
    parsers.duration(0.1): {"100ms": 0.1, "90s": 90.0},
    parsers.duration(): {
        "0s": 0.0,
        "1ms": 0.001,
        "90s": 90.0,
        "15m": 900.0,
        "1h30m": 5400.0,
        "1h0m": 3600.0,
        "2w": 1_209_600.0,
        "1y2w3d4h5m6s7ms": 31_536_000 + 1_209_600 + 259_200 + 14_400 + 300 + 6 + 0.007,
    },
    parsers.switch: {
        "true": True,
        "1": True,
        "Yes": True,
        "on": True,
        "false": False,
        "0": False,
        "NO": False,
        "off": False,
    },
    parsers.url_path: {
        path: path for path in ("/metrics", "/m", "/probe/cometapi", "/metrics/", "/a-b_c~d.e1")
    },
    parsers.path: {
        text: Path(text)
        for text in ("token", "/run/secrets/token", "dir with spaces/тoken", "odd\udcff")
    },
    WORD: {"JSON": "json", "text": "logfmt"},
}
NO_URL, NO_NUMBER = "a URL such as https://", "a whole number from 1 to 999999999, got "
NO_DURATION, NO_URL_PATH = (
    "a duration such as 90s, 15m or 1h30m, got ",
    "a path such as /metrics, but not /, /-/… or /api/…, got ",
)
REFUSED = [
    (
        parsers.base_url,
        NO_URL,
        ["", "api.cometapi.com", "ftp://x", "https://", "https:///v1", "https://x:99999"],
    ),
    (
        parsers.base_url,
        NO_URL,
        ["https://x:0", "https://[::1", "https://[v1.a]", "https://a b", "https://a..b"],
    ),
    (
        parsers.base_url,
        NO_URL,
        ["https://" + "a" * 64, "https://x/\x01", "https://münchen.example"],
    ),
    (
        parsers.base_url,
        "a URL without user and password",
        ["https://user:CANARY@x", "https://CANARY@x"],
    ),
    (parsers.base_url, "a URL without ? and #", ["https://x/?key=CANARY", "https://x/#CANARY"]),
    (
        parsers.whole_number(),
        NO_NUMBER,
        ["", "0", "000", "-1", "+1", "1.0", "1e3", "1_000", "x", "٣", "1000000000"],
    ),
    (parsers.whole_number(), NO_NUMBER, ["0" * 19 + "1" + "9" * 30, "9" * 9999]),
    (parsers.whole_number(0), "a whole number from 0 to 999999999, got ", ["", "-1", "x"]),
    (parsers.whole_number(most=64), "a whole number from 1 to 64, got ", ["65"]),
    (
        parsers.number(0.001, 1e15),
        "a number from 0.001 to 1e+15, got ",
        ["", "0", "-1", "nan", "inf", "1e999", "x", "1,5"],
    ),
    (
        parsers.number(1e-6, 1e12, zero=True),
        "0 or a number from 1e-06 to 1e+12, got ",
        ["-0.1", "nan", "inf", "five"],
    ),
    (parsers.duration(0.1), "at least 100ms, got ", ["99ms", "0s"]),
    (
        parsers.duration(),
        NO_DURATION,
        ["", " ", "60", "s", "1.5h", "-5s", "+5s", "5 s", "5S", "30m1h", "1h1h", "1m30"],
    ),
    (parsers.duration(), NO_DURATION, ["٣s", "5min", "∞", "9" * 100_000 + "s"]),
    (parsers.switch, "true or false, got ", ["", "maybe", "2"]),
    (
        parsers.url_path,
        NO_URL_PATH,
        ["", "metrics", "//x", "/a b", "/a?b", "/{x}", "/a%20b", "/../x", "/./x", '/"'],
    ),
    (parsers.url_path, NO_URL_PATH, ["/é", "/a\n", "/", "/-/healthy", "/-/x", "/api/v1/keys"]),
    (parsers.path, "the path of a file, got ", ["", "a\0b", "\ud800"]),
    (
        parsers.pattern,
        "a regular expression of RE2: ",
        ["(", "[a", "a**", "x{99999}", "(?=CANARY)", "\ud800"],
    ),
    (WORD, "one of logfmt, json, got ", ["", "xml"]),
]


@pytest.mark.parametrize(
    ("parse", "text"), [(parse, text) for parse, texts in ACCEPTED.items() for text in texts]
)
def test_what_belongs_is_read(parse, text):
    assert parse(text) == ACCEPTED[parse][text]


@pytest.mark.parametrize(
    ("parse", "expected", "text"),
    [(parse, expected, text) for parse, expected, texts in REFUSED for text in texts],
)
def test_what_does_not_belong_is_refused_with_what_was_expected(parse, expected, text):
    with pytest.raises(ValueError, match="expected") as caught:
        parse(text)

    assert str(caught.value).startswith(f"expected {expected}")
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5min", "'5min'"),
        ("12 letters !", "'12 letters !'"),
        ("13 characters", "a text of 13 characters"),
        ("1234567890123", "'1234567890123'"),
        ("9" * 21, "a text of 21 characters"),
        ("CANARY" * 6, "a text of 36 characters"),
    ],
)
def test_a_wrong_text_is_repeated_only_if_it_is_too_short_to_be_a_secret(text, said):
    with pytest.raises(ValueError, match=f"got {said}$"):
        parsers.duration()(text)


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
        url = parsers.base_url(text)
    except ValueError:
        return
    assert httpx.URL(url).host
    assert parsers.base_url(url) == url or url.endswith("/v1")


@pytest.mark.parametrize(
    ("url", "is_this_machine"),
    [
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
def test_a_loopback_address_is_this_machine(url, is_this_machine):
    assert parsers.is_loopback(url) is is_this_machine


@given(st.text())
def test_any_text_is_a_duration_or_refused(text):
    try:
        seconds = parsers.duration()(text)
    except ValueError:
        return
    assert seconds >= 0


def test_a_wrong_pattern_is_rejected_with_its_fault():
    with pytest.raises(ValueError, match=r"expected a regular expression of RE2: a \( without"):
        parsers.pattern("(")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1782842400", 1_782_842_400.0),
        ("1782842400.5", 1_782_842_400.5),
        ("2026-06-30T18:00:00Z", 1_782_842_400.0),
        ("2026-06-30T20:00:00+02:00", 1_782_842_400.0),
    ],
)
def test_a_moment_is_a_unix_time_or_rfc_3339(text, expected):
    assert parsers.moment(text) == expected


@pytest.mark.parametrize("text", ["2026-06-30T18:00:00", "yesterday", "-5", "", "1e9"])
def test_a_moment_without_its_zone_or_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="expected a time such as"):
        parsers.moment(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("job=a", {"job": "a"}),
        ("job=a,team=b", {"job": "a", "team": "b"}),
        ("team=a, b", {"team": "a, b"}),
        ("query=a=b", {"query": "a=b"}),
        ("instance=", {"instance": ""}),
    ],
)
def test_labels_are_read_by_name(text, expected):
    assert parsers.labels(text) == expected


@pytest.mark.parametrize("text", ["job", "9=a", "a b=c", "__name__=x", "model=x", "a=1,a=2", ""])
def test_a_label_that_cannot_be_added_is_refused(text):
    with pytest.raises(ValueError, match="label"):
        parsers.labels(text)

"""Whatever the user writes: settings, or one SettingsError that says what is wrong and shows no token."""

import os
from functools import partial
from pathlib import Path

import httpx
import pytest
from builders import CANARY_TOKEN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import SettingsError
from exporter.settings.config_file import (
    ACCOUNT_KEYS,
    COLLECT_KEYS,
    FILTER_KEYS,
    THRESHOLD_KEYS,
    TOP_KEYS,
    parse_config,
)
from exporter.settings.load import Settings, load_settings
from exporter.settings.options import BY_KEY, OPTIONS

WORDS = [
    *(
        "60s",
        "1h30m",
        "0s",
        "true",
        "7",
        "-1",
        "nan",
        "1e999",
        "https://x/v1",
        "http://x",
        "http://[::1",
        "[::1]:1",
    ),
    *(
        ":0,:1",
        "/m",
        "/-/ready",
        "a\0b",
        "\ud800",
        "/dev/null",
        ".",
        "json",
        "DEBUG",
        "COMETAPI_ACCESS_TOKEN",
        "model",
    ),
    *("(a|b)/.*", "[[a"),
]
words = (
    st.sampled_from(WORDS)
    | st.text(max_size=20)
    | st.text(st.characters(categories=["Cs", "Cc", "Nd"]), max_size=5)
)
documents = st.recursive(
    words | st.none() | st.booleans() | st.integers() | st.floats() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ACCOUNT_KEYS, *TOP_KEYS, *FILTER_KEYS, *THRESHOLD_KEYS]) | words,
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
accounts = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*ACCOUNT_KEYS, "odd"], words | documents)
)
plausible = st.fixed_dictionaries(
    {"accounts": st.lists(accounts, max_size=3)},
    optional={
        "collect": st.dictionaries(st.sampled_from(COLLECT_KEYS), words, max_size=3),
        "keys": st.dictionaries(st.sampled_from(FILTER_KEYS), words, max_size=3),
        "thresholds": st.lists(
            st.dictionaries(st.sampled_from(THRESHOLD_KEYS), words, max_size=3), max_size=3
        ),
    },
)


def settle(given_, environ, *, demo=False):
    """Load; None for a SettingsError, which must name something and show no token."""
    try:
        return load_settings(given_, environ, demo=demo)
    except SettingsError as error:
        problems = error.problems
    assert problems
    assert all(problem.strip() and CANARY_TOKEN not in problem for problem in problems)
    return None


givens = st.fixed_dictionaries({}, optional={option.key: st.none() | words for option in OPTIONS})


@given(
    givens,
    st.fixed_dictionaries({}, optional={"COMETAPI_ACCESS_TOKEN": st.just(CANARY_TOKEN) | words}),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_texts_for_any_options_are_settings_or_reported_as_wrong(given_, environ, demo):
    loaded = settle(given_, environ, demo=demo)

    if loaded is not None:
        assert isinstance(loaded, Settings)
        assert len(loaded.accounts) == 1
        assert all(httpx.URL(account.base_url).host for account in loaded.accounts)
        assert all(
            account.stale_after >= 2 * account.interval >= 0.2 for account in loaded.accounts
        )


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
@given(text=words)
@settings(max_examples=25, deadline=None)
def test_a_parser_returns_or_says_what_it_expected(option, text):
    try:
        said = BY_KEY[option.key].parse(text)
    except ValueError as error:
        said = str(error) if "expected" in str(error) and len(str(error)) < 300 else None
    assert said is not None


@given(documents | plausible)
@settings(max_examples=80, deadline=None)
def test_any_document_is_judged(document):
    problems = []
    accounts = parse_config(document, Path("F"), problems).accounts

    assert all(str(problem).startswith("F: ") for problem in problems)
    places = [problem.source for problem in problems]
    assert len(set(places)) == len(places)
    assert problems or accounts
    assert problems or len({account.name for account in accounts}) == len(accounts)


YAML_BITS = st.sampled_from(
    [
        "accounts:",
        "\n",
        "  - ",
        "name: a",
        "access_token_file: ",
        *"{}[]",
        ", ",
        ": ",
        '"\\uD800"',
        "&a ",
        "*a",
        "!!int ",
    ]
)


@given(st.lists(YAML_BITS | words, max_size=20).map("".join))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_in_the_file_is_settings_or_reported_as_wrong(tmp_path, text):
    path = tmp_path / "accounts.yml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    settle({"config_file": str(path)}, os.environ)


@given(plausible)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_accounts_in_the_file_are_settings_or_reported_as_wrong(monkeypatch, document):
    monkeypatch.setattr("exporter.settings.load.read_config_file", partial(parse_config, document))

    settle({"config_file": "F"}, os.environ)

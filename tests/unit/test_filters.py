"""Which keys are exposed, which threshold applies, which shard reads an account."""

import re

import pytest
from domain import an_api_key
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import parsers
from exporter.filters import Threshold, key_filter, shard_of, threshold_of

WEB, NIGHTLY, NO_GROUP = KEYS = (
    an_api_key(group="production", name="web"),
    an_api_key(group="sandbox", name="nightly/job"),
    an_api_key(group="", name="loose"),
)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ("production/.*", None, [WEB]),
        ("production", None, []),
        ("web", None, []),
        ("production/we", None, []),
        ("/loose", None, [NO_GROUP]),
        (None, "sandbox/.*", [WEB, NO_GROUP]),
        (".*/nightly/job", None, [NIGHTLY]),
        (".*/(web|loose)", ".*/web", [NO_GROUP]),
    ],
)
def test_include_and_exclude_match_the_whole_of_group_and_name_and_exclude_wins(
    include, exclude, expected
):
    takes = key_filter(*(pattern and parsers.pattern(pattern) for pattern in (include, exclude)))

    assert [key for key in KEYS if takes(key)] == expected


def test_there_is_no_filter_without_patterns():
    assert key_filter(None, None) is None


@given(st.text(max_size=8), st.text(max_size=8))
@settings(deadline=None)
def test_an_escaped_group_and_name_matches_that_key_whatever_they_contain(group, name):
    key, other = an_api_key(group=group, name=name), an_api_key(group=group, name=f"{name}!")
    only = parsers.pattern(re.escape(f"{group}/{name}"))

    assert key_filter(only, None)(key)
    assert not key_filter(only, None)(other)
    assert not key_filter(only, only)(key)
    assert key_filter(parsers.pattern(".*"), None)(key)
    assert threshold_of(key, [Threshold(low_quota_usd=1.0)]) != Threshold()


def test_the_first_threshold_that_matches_counts():
    production = Threshold(keys=parsers.pattern("production/.*"), low_quota_usd=50.0)
    nightly = Threshold(keys=parsers.pattern("sandbox/.*"), daily_budget_usd=1.0)
    rest = Threshold(expiry_warning=86_400.0)

    assert [threshold_of(key, (production, nightly, rest)) for key in (WEB, NIGHTLY, NO_GROUP)] == [
        production,
        nightly,
        rest,
    ]
    assert threshold_of(WEB, (rest, production)) is rest


def test_a_key_that_no_threshold_matches_has_none():
    assert threshold_of(WEB, [Threshold(keys=parsers.pattern("sandbox/.*"))]) == Threshold()


@given(st.text(max_size=30), st.integers(1, 20))
@settings(deadline=None)
def test_every_account_has_a_shard_and_keeps_it_or_moves_to_the_new_one(name, total):
    before, after = shard_of(name, total), shard_of(name, total + 1)

    assert 0 <= before < total
    assert after in (before, total)


@pytest.mark.parametrize("total", [2, 3, 7])
def test_a_shard_more_takes_its_share_of_the_accounts_and_no_more(total):
    names = [f"account-{number}" for number in range(1000)]
    moved = sum(shard_of(name, total) != shard_of(name, total + 1) for name in names)

    assert moved == pytest.approx(1000 / (total + 1), rel=0.25)


def test_shards_get_about_as_many_accounts_each():
    shards = [shard_of(f"account-{number}", 4) for number in range(1000)]

    assert all(200 < shards.count(index) < 300 for index in range(4))


def test_a_shard_is_the_same_in_every_process_and_version():
    """A changed hash would move all accounts at an upgrade."""
    assert [shard_of(name, 3) for name in ("production", "research", "Zürich", "b")] == [2, 2, 0, 1]

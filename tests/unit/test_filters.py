"""Which keys are exposed, which threshold applies, which shard reads an account."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.filters import KeyFilter, Threshold, shard_of, threshold_of
from exporter.parsers import parse_pattern


@dataclass(frozen=True)
class Key:
    group: str
    name: str


WEB, NIGHTLY, NO_GROUP = Key("production", "web"), Key("sandbox", "nightly/job"), Key("", "loose")

keys = st.builds(Key, st.text(max_size=8), st.text(max_size=8))


def chosen(include=None, exclude=None):
    patterns = {"include": include and parse_pattern(include), "exclude": exclude and parse_pattern(exclude)}
    return [key for key in (WEB, NIGHTLY, NO_GROUP) if KeyFilter(**patterns).takes(key)]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (None, None, [WEB, NIGHTLY, NO_GROUP]),
        ("production/.*", None, [WEB]),
        ("production", None, []),
        ("web", None, []),
        ("/loose", None, [NO_GROUP]),
        (None, "sandbox/.*", [WEB, NO_GROUP]),
        (".*/nightly/job", None, [NIGHTLY]),
        (".*/(web|loose)", ".*/web", [NO_GROUP]),
        ("production/we", None, []),
    ],
)
def test_include_and_exclude_match_the_whole_of_group_and_name_and_exclude_wins(include, exclude, expected):
    assert chosen(include, exclude) == expected


def test_a_filter_without_patterns_is_false():
    some = parse_pattern("x")

    assert [bool(each) for each in (KeyFilter(), KeyFilter(include=some), KeyFilter(exclude=some))] == [
        False,
        True,
        True,
    ]


@given(keys)
@settings(deadline=None)
def test_an_escaped_group_and_name_matches_that_key_whatever_they_contain(key):
    only = KeyFilter(include=parse_pattern(re.escape(f"{key.group}/{key.name}")))

    assert only.takes(key)
    assert not only.takes(Key(key.group, f"{key.name}!"))
    assert not KeyFilter(include=only.include, exclude=only.include).takes(key)


@given(keys)
@settings(deadline=None)
def test_dot_star_matches_every_key(key):
    assert KeyFilter(include=parse_pattern(".*")).takes(key)
    assert threshold_of(key, [Threshold(low_quota_usd=1.0)]) is not None


def test_the_first_threshold_that_matches_counts():
    production = Threshold(keys=parse_pattern("production/.*"), low_quota_usd=50.0)
    nightly = Threshold(keys=parse_pattern("sandbox/.*"), daily_budget_usd=1.0)
    rest = Threshold(expiry_warning=86_400.0)

    assert [threshold_of(key, (production, nightly, rest)) for key in (WEB, NIGHTLY, NO_GROUP)] == [
        production,
        nightly,
        rest,
    ]
    assert threshold_of(WEB, (rest, production)) is rest


def test_a_key_that_no_threshold_matches_has_none():
    assert threshold_of(WEB, [Threshold(keys=parse_pattern("sandbox/.*"))]) is None


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

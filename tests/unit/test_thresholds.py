"""Which threshold applies to a key."""

import pytest
from domain import an_api_key

from exporter.patterns import Pattern
from exporter.thresholds import Threshold, Thresholds

WEB = an_api_key(id=1, group="production", name="web")
NIGHTLY = an_api_key(id=2, group="sandbox", name="nightly/job")
NO_GROUP = an_api_key(id=3, group="", name="loose")
PRODUCTION = Threshold(keys=Pattern("production/.*"), low_quota_usd=50.0)
SANDBOX = Threshold(keys=Pattern("sandbox/.*"), daily_budget_usd=1.0)
REST = Threshold(expiry_warning=86_400.0)


def test_the_first_threshold_that_matches_counts():
    found = Thresholds([PRODUCTION, SANDBOX, REST]).by_key([WEB, NIGHTLY, NO_GROUP])

    assert found == {1: PRODUCTION, 2: SANDBOX, 3: REST}
    assert Thresholds([REST, PRODUCTION]).by_key([WEB]) == {1: REST}


def test_a_key_that_no_threshold_matches_has_none():
    assert Thresholds([SANDBOX]).by_key([WEB]) == {}
    assert Thresholds().by_key([WEB]) == {}


def test_an_expression_matches_the_whole_of_group_and_name():
    part = Threshold(keys=Pattern("web"), low_quota_usd=1.0)

    assert Thresholds([part]).by_key([WEB]) == {}


def test_the_same_thresholds_are_equal_and_others_are_not():
    """A reload leaves an account alone whose settings are equal."""
    assert Thresholds([PRODUCTION, REST]) == Thresholds([PRODUCTION, REST])
    assert Thresholds([PRODUCTION, REST]) != Thresholds([REST, PRODUCTION])


def test_expressions_that_are_too_large_together_are_one_error():
    large = [Threshold(keys=Pattern(rf"\pL{{1,60}}{number}")) for number in range(30)]

    with pytest.raises(ValueError, match="too large for RE2"):
        Thresholds(large)

"""How a key is judged: as the alerts judge it."""

import pytest
from domain import DAY, NOW, a_read_state, an_api_key

from exporter.model import UnusableReason
from exporter.site.verdict import Health, judge, share_left
from exporter.thresholds import Threshold

LONG_IDLE = {"last_used_at": NOW - 7 * DAY}


def judged(key, **account):
    return judge(a_read_state(key, **account), key, NOW)


@pytest.mark.parametrize(
    ("facts", "health", "reason"),
    [
        ({}, Health.OK, None),
        ({"expires_at": NOW}, Health.CRITICAL, None),
        ({"expires_at": NOW - 1}, Health.UNUSABLE, UnusableReason.EXPIRED),
        ({"remaining_quota": 0}, Health.UNUSABLE, UnusableReason.EXHAUSTED),
        ({"remaining_quota": -5}, Health.UNUSABLE, UnusableReason.EXHAUSTED),
        ({"status": 3}, Health.UNUSABLE, UnusableReason.EXPIRED),
        ({"status": 4}, Health.UNUSABLE, UnusableReason.EXHAUSTED),
        ({"status": 9}, Health.UNUSABLE, UnusableReason.UNKNOWN_STATUS),
        ({"status": 2, "last_used_at": NOW - DAY + 1}, Health.UNUSABLE, UnusableReason.DISABLED),
        ({"expires_at": NOW + DAY - 1}, Health.CRITICAL, None),
        ({"expires_at": NOW + DAY}, Health.WARNING, None),
        ({"expires_at": NOW + 7 * DAY - 1}, Health.WARNING, None),
        ({"expires_at": NOW + 7 * DAY}, Health.OK, None),
        ({"remaining_quota": 19, "used_quota": 981}, Health.CRITICAL, None),
        ({"remaining_quota": 20, "used_quota": 980}, Health.WARNING, None),
        ({"remaining_quota": 99, "used_quota": 901}, Health.WARNING, None),
        ({"remaining_quota": 100, "used_quota": 900}, Health.OK, None),
        ({"remaining_quota": None, "used_quota": 900}, Health.OK, None),
        ({"remaining_quota": 5, "used_quota": -5}, Health.OK, None),
    ],
)
def test_a_key_in_use_is_judged_by_expiry_and_quota_whatever_its_status_says(facts, health, reason):
    verdict = judged(an_api_key(**facts))

    assert (verdict.health, verdict.unusable_reason) == (health, reason)


@pytest.mark.parametrize(
    ("facts", "health"),
    [
        (LONG_IDLE | {"remaining_quota": 0}, Health.INACTIVE),
        (LONG_IDLE | {"status": 4}, Health.INACTIVE),
        (LONG_IDLE | {"status": 3, "expires_at": NOW - DAY}, Health.INACTIVE),
        (LONG_IDLE | {"status": 9}, Health.INACTIVE),
        ({"last_used_at": NOW - 7 * DAY + 1, "remaining_quota": 0}, Health.UNUSABLE),
        (LONG_IDLE | {"expires_at": NOW - 7 * DAY + 1}, Health.UNUSABLE),
        (LONG_IDLE | {"expires_at": NOW - 7 * DAY}, Health.INACTIVE),
        ({"last_used_at": None, "remaining_quota": 0, "used_quota": 0}, Health.INACTIVE),
        ({"status": 2, "last_used_at": NOW - DAY}, Health.DISABLED),
        ({"status": 2, "last_used_at": None}, Health.DISABLED),
    ],
)
def test_a_dead_key_is_urgent_only_while_it_is_in_use_or_has_just_expired(facts, health):
    assert judged(an_api_key(**facts)).health is health


@pytest.mark.parametrize(
    ("facts", "by_expiry"),
    [
        ({"expires_at": NOW + 3 * DAY}, True),
        ({"remaining_quota": 50, "used_quota": 950}, False),
        ({"remaining_quota": 19, "used_quota": 981, "expires_at": NOW + 90_000}, False),
        ({"remaining_quota": 50, "used_quota": 950, "expires_at": NOW + DAY}, True),
    ],
)
def test_the_more_urgent_of_expiry_and_quota_is_named(facts, by_expiry):
    assert judged(an_api_key(**facts)).by_expiry is by_expiry


def test_of_two_dead_keys_the_one_used_last_is_worse():
    lately, long_ago = (judged(an_api_key(status=4, last_used_at=NOW - idle)) for idle in (60, DAY))

    assert lately.urgency < long_ago.urgency


@pytest.mark.parametrize(
    ("threshold", "facts", "health", "by_expiry"),
    [
        (
            {"low_quota_usd": 5.0},
            {"remaining_quota": 2_499_999, "used_quota": 0},
            Health.WARNING,
            False,
        ),
        ({"low_quota_usd": 5.0}, {"remaining_quota": 2_500_000, "used_quota": 0}, Health.OK, False),
        (
            {"low_quota_usd": 5.0},
            {"remaining_quota": 499_999, "used_quota": 0},
            Health.CRITICAL,
            False,
        ),
        (
            {"low_quota_usd": 5.0},
            {"remaining_quota": 2_500_000, "used_quota": 10**12},
            Health.OK,
            False,
        ),
        ({"low_quota_usd": 0.0}, {"remaining_quota": 1, "used_quota": 999}, Health.OK, False),
        ({"low_quota_usd": 5.0}, {"remaining_quota": None}, Health.OK, False),
        ({"expiry_warning": 30.0 * DAY}, {"expires_at": NOW + 30 * DAY - 1}, Health.WARNING, True),
        ({"expiry_warning": 30.0 * DAY}, {"expires_at": NOW + 30 * DAY}, Health.OK, True),
        ({"expiry_warning": 2.0 * DAY}, {"expires_at": NOW + 3 * DAY}, Health.OK, True),
        ({"expiry_warning": 3600.0}, {"expires_at": NOW + 3600}, Health.OK, True),
        ({"expiry_warning": 3600.0}, {"expires_at": NOW + 3599}, Health.CRITICAL, True),
        (
            {"expiry_warning": 3600.0},
            {"expires_at": NOW + 7200, "remaining_quota": 19, "used_quota": 981},
            Health.CRITICAL,
            False,
        ),
        ({"expiry_warning": 0.0}, {"expires_at": NOW + 1}, Health.OK, False),
        ({"expiry_warning": 0.0}, {"expires_at": NOW}, Health.OK, False),
        ({}, {"remaining_quota": 99, "used_quota": 901}, Health.WARNING, False),
    ],
)
def test_a_threshold_of_the_user_takes_the_place_of_the_common_limit(
    threshold, facts, health, by_expiry
):
    verdict = judged(an_api_key(**facts), thresholds=(Threshold(**threshold),))

    assert (verdict.health, verdict.by_expiry) == (health, by_expiry)


@pytest.mark.parametrize(
    ("left", "used", "share"), [(0, 0, 0), (-5, 10, 0), (10, -3, 1), (None, 5, None)]
)
def test_the_share_left_is_a_part_of_all_the_quota_there_ever_was(left, used, share):
    assert share_left(an_api_key(remaining_quota=left, used_quota=used)) == share

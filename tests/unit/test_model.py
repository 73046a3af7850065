"""What a key is, and whether it would serve a request now."""

import pytest
from domain import NOW, a_listing, an_api_key

from exporter.model import STATUS_LABELS, by_id, label_text


@pytest.mark.parametrize(
    ("facts", "usable"),
    [
        pytest.param({}, True, id="enabled, for ever, quota left"),
        pytest.param({"status": 2}, False, id="disabled"),
        pytest.param({"status": 3}, False, id="expired by the API's word"),
        pytest.param({"status": 4}, False, id="exhausted by the API's word"),
        pytest.param({"status": 9}, False, id="a status nobody knows"),
        pytest.param({"status": 0}, False, id="no status"),
        pytest.param({"expires_at": NOW}, True, id="in the second of its expiry"),
        pytest.param({"expires_at": NOW - 1}, False, id="past its expiry"),
        pytest.param({"remaining_quota": 1}, True, id="one unit left"),
        pytest.param({"remaining_quota": 0}, False, id="nothing left"),
        pytest.param({"remaining_quota": -5}, False, id="overdrawn"),
        pytest.param({"remaining_quota": None}, True, id="unlimited"),
        pytest.param({"remaining_quota": None, "expires_at": NOW - 1}, False, id="unlimited but past its expiry"),
        pytest.param({"remaining_quota": None, "status": 2}, False, id="unlimited but disabled"),
    ],
)
def test_a_key_is_usable_only_where_status_expiry_and_quota_all_allow_it(facts, usable):
    assert an_api_key(**facts).is_usable(NOW) is usable


def test_a_key_for_ever_never_expires():
    assert not an_api_key(expires_at=None).has_expired(10**18)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (1, "enabled"),
        (2, "disabled"),
        (3, "expired"),
        (4, "exhausted"),
        (0, "unknown"),
        (5, "unknown"),
        (-1, "unknown"),
        (2**63 - 1, "unknown"),
    ],
)
def test_a_status_code_has_a_word(status, word):
    assert an_api_key(status=status).status_word == word


def test_the_status_labels_are_those_that_users_were_promised():
    assert STATUS_LABELS == ("enabled", "disabled", "expired", "exhausted", "unknown")


def test_a_key_has_no_place_for_its_secret():
    assert set(an_api_key().__struct_fields__) == {
        "id",
        "name",
        "group",
        "status",
        "remaining_quota",
        "used_quota",
        "expires_at",
        "created_at",
        "last_used_at",
        "has_model_limits",
        "has_ip_allowlist",
        "has_cross_group_retry",
    }


def test_skipped_keys_are_those_with_and_without_a_readable_id():
    assert a_listing(unreadable=[7, 8], nameless=3).skipped == 5


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", ""),
        ('a "b" \\ \n c', 'a "b" \\ \n c'),
        ("ключ 密钥 🔑", "ключ 密钥 🔑"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200),
        ("🔑" * 201, "🔑" * 200),
    ],
)
def test_any_text_can_be_a_label(text, label):
    assert label_text(text) == label


def test_of_two_keys_with_one_id_the_later_counts():
    assert by_id([an_api_key(id=1, name="a"), an_api_key(id=1, name="b")])[1].name == "b"

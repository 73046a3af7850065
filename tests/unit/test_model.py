"""What a key is."""

import pytest
from domain import a_listing, an_api_key

from exporter.model import STATUS_LABELS, label_text, sharing_memory


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
        *(
            "id",
            "name",
            "group",
            "status",
            "remaining_quota",
            "used_quota",
            "expires_at",
            "created_at",
            "last_used_at",
        ),
        *("model_limits", "ip_allowlist", "has_cross_group_retry", "unread"),
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
        ("🔑" * 201, "🔑" * 64),
    ],
)
def test_any_text_can_be_a_label(text, label):
    assert label_text(text) == label


def test_a_listing_shares_the_memory_of_what_is_known():
    known = [an_api_key(id=n, name=f"key {n}") for n in (1, 2, 3)]
    same = an_api_key(id=1, name="key 1")
    spent = an_api_key(id=2, name="key 2", used_quota=7)
    renamed = an_api_key(id=3, name="other")
    new = an_api_key(id=4)
    listing = a_listing(same, spent, renamed, new)
    shared = sharing_memory(listing, known)

    assert shared == listing
    assert shared.keys[0] is known[0]
    assert shared.keys[1].name is known[1].name
    assert shared.keys[2:] == (renamed, new)

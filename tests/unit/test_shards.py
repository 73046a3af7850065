"""Which exporter reads an account."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.shards import shard_of


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

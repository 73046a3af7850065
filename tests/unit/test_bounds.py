"""What a gateway chooses is bounded: groups in number, labels in bytes."""

import pytest
from domain import an_api_key

from exporter.bounds import (
    MOST_GROUPS,
    OTHER_GROUPS,
    Bounds,
    bounds_of,
    counted_groups,
    cut,
    longest_label,
)


def test_up_to_a_thousand_groups_are_all_counted():
    seen = {f"g{n}": 5.0 for n in range(1000)}

    assert counted_groups(seen, 5.0) == seen


def test_further_groups_are_counted_together():
    seen = {f"g{n}": 5.0 for n in range(1001)}
    counted = counted_groups(seen, 5.0)

    assert len(counted) == 1000
    assert list(counted)[-1] == "other" == OTHER_GROUPS
    assert "g998" in counted
    assert "g999" not in counted


def test_groups_with_keys_come_before_those_that_only_linger():
    lingering = {f"old{n}": 4.0 for n in range(999)}
    present = {f"new{n}": 5.0 for n in range(998)}
    counted = counted_groups({**lingering, **present}, 5.0)

    assert present.keys() <= counted.keys()
    assert sum(name.startswith("old") for name in counted) == 1
    assert len(counted) == MOST_GROUPS


@pytest.mark.parametrize(
    ("count", "name", "longest"),
    [
        (0, "", 256),
        (100_000, "app-12345", 256),
        # 100 keys may have 20,000 bytes and 36 each.
        (100, "x" * 200, 256),
        # 1,000 keys with names of 200 bytes and groups of 7: 56,000 bytes are 48 of each name.
        (1000, "x" * 200, 48),
        (1000, "\u4e2d" * 66, 48),
        # 380,000 bytes for 10,000 keys: 31 of each name beside their groups.
        (10_000, "x" * 200, 24),
    ],
)
def test_names_are_as_long_as_all_of_them_together_may_be(count, name, longest):
    keys = [an_api_key(id=n, name=name, group="default") for n in range(count)]

    assert longest_label(keys) == longest


def test_keys_that_are_cut_and_groups_that_are_counted_together_are_counted():
    # 1,000 keys may have 56,000 bytes: 48 of each name fit.
    long_ones = [an_api_key(id=n, name="x" * 200, group="default") for n in range(997)]
    short_ones = [an_api_key(id=n, name="app", group=f"g{n}") for n in range(997, 1000)]

    assert bounds_of([*long_ones, *short_ones], {"default", "g998", "other"}) == Bounds(
        longest_label=48, shortened_keys=997, folded_groups=2
    )


def test_a_long_group_is_cut_like_a_long_name():
    keys = [an_api_key(id=n, name="app", group="\u4e2d" * 66) for n in range(1000)]

    assert bounds_of(keys, {"\u4e2d" * 66}).shortened_keys == 1000


def test_nothing_is_beyond_the_bounds_of_ordinary_keys():
    keys = [an_api_key(id=n, name=f"app-{n}", group="default") for n in range(1000)]

    assert bounds_of(keys, {"default"}) == Bounds(256, 0, 0)


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("short", 256, "short"),
        ("abcdef", 3, "abc"),
        ("\u4e2d\u6587", 6, "\u4e2d\u6587"),
        ("\u4e2d\u6587", 5, "\u4e2d"),
        ("\U0001f511", 3, ""),
    ],
)
def test_a_text_is_cut_between_characters(text, most, expected):
    assert cut(text, most) == expected

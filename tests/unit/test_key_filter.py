"""Which keys are exposed."""

import pytest
from domain import an_api_key

from exporter.key_filter import KeyFilter
from exporter.patterns import Pattern

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
        ("production/.*", "production/.*", []),
    ],
)
def test_include_and_exclude_match_the_whole_of_group_and_name_and_exclude_wins(
    include, exclude, expected
):
    chosen = KeyFilter(
        None if include is None else Pattern(include),
        None if exclude is None else Pattern(exclude),
    )

    assert chosen.is_set
    assert [key for key in KEYS if chosen.takes(key)] == expected


def test_without_expressions_every_key_is_exposed():
    assert not KeyFilter().is_set
    assert all(KeyFilter().takes(key) for key in KEYS)

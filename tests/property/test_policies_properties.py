"""Policies judged against a second judge, which is slow and shares nothing with the first."""

import re

from domain import NOW, an_api_key
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import UNREAD_LIST, RestrictionList
from exporter.patterns import Pattern
from exporter.policies import Policies, Policy

# The same in the dialects of both judges.
EXPRESSIONS = ("a/.*", ".*/x", "[ab]?/x+", ".*", "x+", "", "[^/]+")
LISTS = (
    None,
    UNREAD_LIST,
    RestrictionList(),
    RestrictionList(count=1, digest=1, allows_all=True),
    RestrictionList(count=1, digest=2, allows_all=False),
)
times = st.none() | st.integers(NOW - 20, NOW + 20)
seconds = st.none() | st.integers(1, 30).map(float)
expressions = st.sampled_from(EXPRESSIONS).map(Pattern)

keys = st.builds(
    an_api_key,
    name=st.sampled_from(["", "x", "xx", "y"]),
    group=st.sampled_from(["", "a", "b", "a,b"]),
    status=st.sampled_from([1, 1, 1, 2, 3]),
    remaining_quota=st.sampled_from([None, 0, 5]),
    expires_at=times,
    created_at=times,
    last_used_at=times,
    model_limits=st.sampled_from(LISTS),
    ip_allowlist=st.sampled_from(LISTS),
    unread=st.frozensets(st.sampled_from(["name", "group", "expires_at", "last_used_at"])),
)
policies = st.builds(
    Policy,
    keys=expressions,
    max_lifetime=seconds,
    limited_quota=st.booleans(),
    ip_allowlist=st.booleans(),
    model_limits=st.booleans(),
    max_unused=seconds,
    name=st.none() | expressions,
    groups=st.none() | st.frozensets(st.sampled_from(["", "a", "b"]), min_size=1),
)


def naive(key, policy):  # noqa: C901, PLR0912 - one sentence after the other
    """Return what one *key* breaks of one *policy*, sentence by sentence of the documentation."""
    if key.status != 1:
        return set()
    is_named = not {"name", "group"} & key.unread
    if policy.keys.text != ".*":
        if not is_named:
            return set()
        if not re.fullmatch(policy.keys.text, f"{key.group}/{key.name}"):
            return set()
    found = set()
    if policy.max_lifetime is not None and "expires_at" not in key.unread:
        is_endless = key.expires_at is None
        is_dated = key.expires_at is not None and key.created_at is not None
        if is_endless or (is_dated and key.expires_at > key.created_at + policy.max_lifetime):
            found.add("max_lifetime")
    if policy.limited_quota and key.remaining_quota is None:
        found.add("limited_quota")
    open_list = RestrictionList(count=1, digest=1, allows_all=True)
    if policy.ip_allowlist and key.ip_allowlist in (None, open_list):
        found.add("ip_allowlist")
    if policy.model_limits and key.model_limits is None:
        found.add("model_limits")
    if policy.max_unused is not None and "last_used_at" not in key.unread:
        last = key.last_used_at if key.last_used_at is not None else key.created_at
        if last is not None and last + policy.max_unused < NOW:
            found.add("max_unused")
    is_judged = policy.name is not None and "name" not in key.unread
    if is_judged and not re.fullmatch(policy.name.text, key.name):
        found.add("name")
    is_judged = policy.groups is not None and "group" not in key.unread
    if is_judged and not set(key.group.split(",")) & policy.groups:
        found.add("groups")
    return found


@given(st.lists(keys, max_size=4), st.lists(policies, max_size=4))
def test_both_judges_find_the_same(some_keys, entries):
    numbered = [an_api_key(**{**fields(key), "id": n}) for n, key in enumerate(some_keys)]
    judged = Policies(entries).by_key(numbered)

    for key in numbered:
        expected = set().union(*(naive(key, policy) for policy in entries))
        found = judged[key.id].broken_by(key, NOW) if key.id in judged else {}
        assert {kind.value for kind in found} == expected
        for kind, entry in found.items():
            assert kind in naive(key, entry)


def fields(key):
    return {name: getattr(key, name) for name in key.__struct_fields__}

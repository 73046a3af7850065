"""Which policies a key breaks."""

import pytest
from domain import A_LIST, DAY, NOW, an_api_key

from exporter.model import UNREAD_LIST, RestrictionList
from exporter.patterns import Pattern
from exporter.policies import Policies, Policy, PolicyKind

OPEN = RestrictionList(count=1, digest=3, allows_all=True)


def broken(policy, /, **key):
    """Return the policies that the key breaks, by their labels."""
    (found,) = broken_by_each(Policies([policy]), [an_api_key(**key)])
    return [kind.value for kind in found]


def broken_by_each(policies, keys):
    """Return what each of *keys* breaks, with the entries."""
    judged = policies.by_key(keys)
    return [judged[key.id].broken_by(key, NOW) if key.id in judged else {} for key in keys]


def has_unread(name):
    return {"unread": frozenset({name})}


@pytest.mark.parametrize(
    ("policy", "key", "is_broken"),
    [
        ({"max_lifetime": 90 * DAY}, {"expires_at": None}, True),
        ({"max_lifetime": 90 * DAY}, {"created_at": NOW, "expires_at": NOW + 90 * DAY}, False),
        ({"max_lifetime": 90 * DAY}, {"created_at": NOW, "expires_at": NOW + 90 * DAY + 1}, True),
        ({"max_lifetime": 90 * DAY}, {"created_at": NOW, "expires_at": 0}, False),
        ({"max_lifetime": 90 * DAY}, {"created_at": None, "expires_at": 2**62}, False),
        ({"max_lifetime": 90 * DAY}, {"created_at": None, "expires_at": None}, True),
        ({"max_lifetime": 90 * DAY}, {"expires_at": None, **has_unread("expires_at")}, False),
        ({"limited_quota": True}, {"remaining_quota": None}, True),
        ({"limited_quota": True}, {"remaining_quota": 0}, False),
        ({"limited_quota": False}, {"remaining_quota": None}, False),
        ({"ip_allowlist": True}, {"ip_allowlist": None}, True),
        ({"ip_allowlist": True}, {"ip_allowlist": OPEN}, True),
        ({"ip_allowlist": True}, {"ip_allowlist": A_LIST}, False),
        ({"ip_allowlist": True}, {"ip_allowlist": RestrictionList()}, False),
        ({"ip_allowlist": True}, {"ip_allowlist": UNREAD_LIST}, False),
        ({"model_limits": True}, {"model_limits": None}, True),
        ({"model_limits": True}, {"model_limits": A_LIST}, False),
        ({"model_limits": True}, {"model_limits": UNREAD_LIST}, False),
        ({"max_unused": 30 * DAY}, {"last_used_at": NOW - 30 * DAY}, False),
        ({"max_unused": 30 * DAY}, {"last_used_at": NOW - 30 * DAY - 1}, True),
        ({"max_unused": 30 * DAY}, {"last_used_at": None, "created_at": NOW - 31 * DAY}, True),
        ({"max_unused": 30 * DAY}, {"last_used_at": None, "created_at": NOW - DAY}, False),
        ({"max_unused": 30 * DAY}, {"last_used_at": None, "created_at": None}, False),
        (
            {"max_unused": DAY},
            {"last_used_at": None, "created_at": 1, **has_unread("last_used_at")},
            False,
        ),
        ({"name": Pattern("[a-z]+")}, {"name": "web"}, False),
        ({"name": Pattern("[a-z]+")}, {"name": "web 2"}, True),
        ({"name": Pattern("[a-z]+")}, {"name": ""}, True),
        ({"name": Pattern("[a-z]+")}, {"name": "", **has_unread("name")}, False),
        ({"groups": frozenset({"production", ""})}, {"group": "production"}, False),
        ({"groups": frozenset({"production", ""})}, {"group": ""}, False),
        ({"groups": frozenset({"production"})}, {"group": ""}, True),
        ({"groups": frozenset({"production"})}, {"group": "staging"}, True),
        ({"groups": frozenset({"production"})}, {"group": "staging,production"}, False),
        ({"groups": frozenset({"production"})}, {"group": "", **has_unread("group")}, False),
    ],
)
def test_a_key_breaks_what_it_certainly_does_not_meet(policy, key, is_broken):
    (kind,) = policy

    assert broken(Policy(**policy), **key) == ([kind] if is_broken else [])


@pytest.mark.parametrize("status", [0, 2, 3, 4, 9])
def test_policies_hold_for_enabled_keys_only(status):
    assert broken(Policy(ip_allowlist=True), status=status) == []


def test_a_policy_holds_for_the_keys_whose_group_and_name_match_as_a_whole():
    policy = Policy(keys=Pattern("production/.*"), ip_allowlist=True)

    assert broken(policy, group="production", name="web") == ["ip_allowlist"]
    assert broken(policy, group="staging", name="production/web") == []


@pytest.mark.parametrize("unread", ["group", "name"])
def test_only_a_policy_for_every_key_holds_for_one_whose_name_or_group_is_unknown(unread):
    policies = [Policy(keys=Pattern("/.*"), model_limits=True), Policy(ip_allowlist=True)]
    key = an_api_key(name="", **has_unread(unread))

    (found,) = broken_by_each(Policies(policies), [key])

    assert list(found) == ["ip_allowlist"]


def test_every_policy_that_matches_applies_and_each_kind_is_broken_once():
    lax = Policy(max_lifetime=365.0 * DAY, line=1)
    strict = Policy(max_lifetime=30.0 * DAY, limited_quota=True, line=2)
    other = Policy(keys=Pattern("other/.*"), ip_allowlist=True, line=3)
    key = an_api_key(created_at=NOW, expires_at=NOW + 60 * DAY, remaining_quota=None)

    assert broken_by_each(Policies([lax, strict, other]), [key]) == [
        {
            PolicyKind.MAX_LIFETIME: strict,
            PolicyKind.LIMITED_QUOTA: strict,
        }
    ]


def test_a_key_has_to_be_in_a_group_of_each_policy():
    policies = [Policy(groups=frozenset({"a", "b"})), Policy(groups=frozenset({"b", "c"}))]
    keys = [an_api_key(id=number, group=group) for number, group in enumerate("abc")]

    found = broken_by_each(Policies(policies), keys)

    assert [bool(broken) for broken in found] == [True, False, True]


def test_of_several_policies_of_a_kind_the_first_that_is_broken_is_named():
    policies = [Policy(groups=frozenset({name}), line=n) for n, name in enumerate("abc")]

    (found,) = broken_by_each(Policies(policies), [an_api_key(group="a")])

    assert found[PolicyKind.GROUPS].line == 1


def test_a_name_has_to_match_the_expression_of_each_policy_for_the_key():
    policies = Policies(
        [
            Policy(name=Pattern("[a-z-]+"), line=1),
            Policy(keys=Pattern("vip/.*"), name=Pattern("team-.*"), line=2),
        ]
    )
    keys = [
        an_api_key(id=1, group="vip", name="team-web"),
        an_api_key(id=2, group="vip", name="web"),
        an_api_key(id=3, group="", name="web"),
        an_api_key(id=4, group="", name="Web"),
    ]

    found = broken_by_each(policies, keys)

    lines = [[entry.line for entry in broken.values()] for broken in found]
    assert lines == [[], [2], [], [1]]


def test_what_is_set_is_known_without_any_key():
    policies = Policies([Policy(max_unused=DAY), Policy(limited_quota=True, max_unused=9.0)])

    assert policies.kinds == (PolicyKind.LIMITED_QUOTA, PolicyKind.MAX_UNUSED)


def test_the_same_policies_are_equal_wherever_they_stand_in_the_file():
    """A reload leaves an account alone whose settings are equal."""
    assert Policies([Policy(max_unused=DAY, line=1)]) == Policies([Policy(max_unused=DAY, line=7)])
    assert Policies([Policy(max_unused=DAY)]) != Policies([])

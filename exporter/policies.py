"""Say which policies of the user a key breaks.

Pure: knows no metric, no settings, no file, no clock (times are arguments). Keys are judged once
for each listing, because ten policies and 100,000 keys are a million pairs; only `max_unused`
depends on the time. What could not be read breaks nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from exporter.model import (
    UNREAD_LIST,
    ApiKey,
    KeyStatus,
    RestrictionList,
    full_name,
    group_names,
)
from exporter.patterns import ANY_TEXT, Pattern, PatternList

# What `<group>/<name>` is made of.
_NAMING = ("group", "name")


class PolicyKind(StrEnum):
    """What a policy can require: the fields of an entry, and the values of the label `policy`."""

    MAX_LIFETIME = "max_lifetime"
    LIMITED_QUOTA = "limited_quota"
    IP_ALLOWLIST = "ip_allowlist"
    MODEL_LIMITS = "model_limits"
    MAX_UNUSED = "max_unused"
    NAME = "name"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user requires of the keys whose `<group>/<name>` the whole of *keys* matches.

    *max_lifetime* and *max_unused* are in seconds. None, or false, requires nothing. *line* is
    where the entry begins in the configuration file, counted from 1; 0 where there is none.
    """

    keys: Pattern = ANY_TEXT
    max_lifetime: float | None = None
    limited_quota: bool = False
    ip_allowlist: bool = False
    model_limits: bool = False
    max_unused: float | None = None
    name: Pattern | None = None
    groups: frozenset[str] | None = None
    # A policy that only moves in the file is the same policy.
    line: int = field(default=0, compare=False)

    @property
    def kinds(self) -> tuple[PolicyKind, ...]:
        """What this entry requires, in the order of `PolicyKind`."""
        return tuple(kind for kind in PolicyKind if getattr(self, kind) not in (None, False))


# Whether a key breaks one requirement.


def _lives_too_long(policy: Policy, key: ApiKey) -> bool:
    if policy.max_lifetime is None or "expires_at" in key.unread:
        return False
    if key.expires_at is None:
        return True
    if key.created_at is None:
        return False
    return key.expires_at - key.created_at > policy.max_lifetime


def _is_unlimited(_policy: Policy, key: ApiKey) -> bool:
    return key.remaining_quota is None


def _is_open_to_all(_policy: Policy, key: ApiKey) -> bool:
    if key.ip_allowlist is UNREAD_LIST:
        return False
    if isinstance(key.ip_allowlist, RestrictionList):
        return key.ip_allowlist.allows_all is True
    return True


def _has_every_model(_policy: Policy, key: ApiKey) -> bool:
    return key.model_limits is None


def _has_wrong_name(_policy: Policy, key: ApiKey) -> bool:
    """Only asked of the policies whose expression the key's name does not match."""
    return "name" not in key.unread


def _is_in_wrong_group(policy: Policy, key: ApiKey) -> bool:
    if policy.groups is None or "group" in key.unread:
        return False
    return key.group not in policy.groups and policy.groups.isdisjoint(group_names(key.group))


def _is_unused(policy: Policy, key: ApiKey, now: float) -> bool:
    if policy.max_unused is None or "last_used_at" in key.unread:
        return False
    since = key.created_at if key.last_used_at is None else key.last_used_at
    return since is not None and now - since > policy.max_unused


Judge = Callable[[Policy, ApiKey], bool]
_JUDGES: Mapping[PolicyKind, Judge] = MappingProxyType(
    {
        PolicyKind.MAX_LIFETIME: _lives_too_long,
        PolicyKind.LIMITED_QUOTA: _is_unlimited,
        PolicyKind.IP_ALLOWLIST: _is_open_to_all,
        PolicyKind.MODEL_LIMITS: _has_every_model,
        PolicyKind.NAME: _has_wrong_name,
        PolicyKind.GROUPS: _is_in_wrong_group,
    }
)
"""All kinds that do not depend on the time."""


# All that the user requires of an account's keys.

Broken = Mapping[PolicyKind, Policy]
"""The kinds of policies that a key breaks, each with the entry that requires it."""
NOTHING_BROKEN: Broken = MappingProxyType({})


class Judgement:
    """What a key breaks at any time. Keys that are judged alike share one object.

    *unused* is the entry that limits how long the key may be unused; None for no limit.
    """

    __slots__ = ("_always", "_once_unused", "_unused")

    def __init__(self, broken: Broken, unused: Policy | None = None) -> None:
        self._always = broken
        self._unused = unused
        self._once_unused = broken
        if unused is not None:
            together = {**broken, PolicyKind.MAX_UNUSED: unused}
            self._once_unused = {kind: together[kind] for kind in PolicyKind if kind in together}

    def broken_by(self, key: ApiKey, now: float) -> Broken:
        """Return what *key*, which was judged so, breaks at unix time *now*."""
        if self._unused is not None and _is_unused(self._unused, key, now):
            return self._once_unused
        return self._always


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """One thing that the entry *policy* requires, and how a key is judged by it."""

    kind: PolicyKind
    judge: Judge
    policy: Policy


class Requirements:
    """What the *entries* that match a key require together.

    *with_wrong_name* are those whose expression for names does not match the key's. Keys that are
    matched alike share one object.
    """

    __slots__ = ("_checks", "_judgements", "_unused")

    def __init__(self, entries: Sequence[Policy], with_wrong_name: Sequence[Policy]) -> None:
        self._checks: list[Check] = []
        for kind, judge in _JUDGES.items():
            requiring = [entry for entry in entries if kind in entry.kinds]
            if kind is PolicyKind.NAME:
                requiring = [entry for entry in requiring if entry in with_wrong_name]
            elif kind is not PolicyKind.GROUPS:
                requiring = _strictest(kind, requiring)
            self._checks += [Check(kind, judge, entry) for entry in requiring]
        limiting = [entry for entry in entries if entry.max_unused is not None]
        self._unused = _strictest(PolicyKind.MAX_UNUSED, limiting)
        self._judgements: dict[tuple[Check, ...], Judgement | None] = {}

    def judge(self, key: ApiKey) -> Judgement | None:
        """Judge *key*; None where it breaks nothing, however long it is not used."""
        failed = tuple([check for check in self._checks if check.judge(check.policy, key)])
        if failed not in self._judgements:
            self._judgements[failed] = self._judgement(failed)
        return self._judgements[failed]

    def _judgement(self, failed: Sequence[Check]) -> Judgement | None:
        if not failed and not self._unused:
            return None
        broken: dict[PolicyKind, Policy] = {}
        for check in failed:
            broken.setdefault(check.kind, check.policy)
        return Judgement(broken, *self._unused)


def _strictest(kind: PolicyKind, requiring: Sequence[Policy]) -> list[Policy]:
    """Return the one of *requiring* that includes the others, or none of none.

    Of times it is the shortest; everything else is required or not.
    """
    return sorted(requiring, key=lambda entry: getattr(entry, kind))[:1]


class Policies:
    """All policies of an account, in *entries*: every one that matches a key applies.

    The constructor raises ValueError if their expressions are too large for RE2 together.
    """

    def __init__(self, entries: Sequence[Policy] = ()) -> None:
        self.entries = tuple(entries)
        self._keys = PatternList(entry.keys for entry in self.entries)
        self._for_every_key = tuple(
            place for place, entry in enumerate(self.entries) if entry.keys == ANY_TEXT
        )
        self._naming = [place for place, entry in enumerate(self.entries) if entry.name is not None]
        self._names = PatternList(entry.name for entry in self.entries if entry.name is not None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policies) and other.entries == self.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    @property
    def kinds(self) -> tuple[PolicyKind, ...]:
        """What at least one entry requires."""
        return tuple(
            kind for kind in PolicyKind if any(kind in entry.kinds for entry in self.entries)
        )

    def by_key(self, keys: Iterable[ApiKey]) -> Mapping[int, Judgement]:
        """Judge each enabled key that an entry matches, by the key's ID.

        Those that break nothing, however long they are not used, are left out.
        """
        found: dict[int, Judgement] = {}
        if not self.entries:
            return found
        shared: dict[tuple[tuple[int, ...], tuple[int, ...]], Requirements] = {}
        for key in keys:
            if key.status != KeyStatus.ENABLED:
                continue
            places = self._matching(key)
            right_names = self._right_names(key, places)
            requirements = shared.get((places, right_names))
            if requirements is None:
                requirements = self._requirements(places, right_names)
                shared[places, right_names] = requirements
            judgement = requirements.judge(key)
            if judgement is not None:
                found[key.id] = judgement
        return found

    def _matching(self, key: ApiKey) -> tuple[int, ...]:
        """Return the places of the entries that match *key*."""
        if len(self._for_every_key) == len(self.entries):
            return self._for_every_key
        if key.unread and not key.unread.isdisjoint(_NAMING):
            # Only what matches every key certainly matches one with an unknown name.
            return self._for_every_key
        return self._keys.all_matches(full_name(key))

    def _right_names(self, key: ApiKey, places: Collection[int]) -> tuple[int, ...]:
        """Return which expressions for names *key* matches, if one of those at *places* has one."""
        for place in self._naming:
            if place in places:
                return self._names.all_matches(key.name)
        return ()

    def _requirements(self, places: Sequence[int], right_names: Collection[int]) -> Requirements:
        wrong = [
            self.entries[place]
            for number, place in enumerate(self._naming)
            if number not in right_names
        ]
        return Requirements([self.entries[place] for place in places], wrong)


NO_POLICIES = Policies()

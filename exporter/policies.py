"""Say which policies of the user a key breaks.

Pure: knows no metric, no settings, no file, no clock (times are arguments). Expressions are matched
once for each listing, because ten policies and 100,000 keys are a million pairs. What could not be
read breaks nothing.
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


def _lives_too_long(policy: Policy, key: ApiKey, _now: float) -> bool:
    if policy.max_lifetime is None or "expires_at" in key.unread:
        return False
    if key.expires_at is None:
        return True
    if key.created_at is None:
        return False
    return key.expires_at - key.created_at > policy.max_lifetime


def _is_unlimited(policy: Policy, key: ApiKey, _now: float) -> bool:
    return policy.limited_quota and key.remaining_quota is None


def _is_open_to_all(policy: Policy, key: ApiKey, _now: float) -> bool:
    if not policy.ip_allowlist or key.ip_allowlist is UNREAD_LIST:
        return False
    if isinstance(key.ip_allowlist, RestrictionList):
        return key.ip_allowlist.allows_all is True
    return True


def _has_every_model(policy: Policy, key: ApiKey, _now: float) -> bool:
    return policy.model_limits and key.model_limits is None


def _is_unused(policy: Policy, key: ApiKey, now: float) -> bool:
    if policy.max_unused is None or "last_used_at" in key.unread:
        return False
    since = key.created_at if key.last_used_at is None else key.last_used_at
    return since is not None and now - since > policy.max_unused


def _has_wrong_name(_policy: Policy, key: ApiKey, _now: float) -> bool:
    """Only asked of the policies whose expression the key's name does not match."""
    return "name" not in key.unread


def _is_in_wrong_group(policy: Policy, key: ApiKey, _now: float) -> bool:
    if policy.groups is None or "group" in key.unread:
        return False
    return key.group not in policy.groups and policy.groups.isdisjoint(group_names(key.group))


Judge = Callable[[Policy, ApiKey, float], bool]
_JUDGES: Mapping[PolicyKind, Judge] = MappingProxyType(
    {
        PolicyKind.MAX_LIFETIME: _lives_too_long,
        PolicyKind.LIMITED_QUOTA: _is_unlimited,
        PolicyKind.IP_ALLOWLIST: _is_open_to_all,
        PolicyKind.MODEL_LIMITS: _has_every_model,
        PolicyKind.MAX_UNUSED: _is_unused,
        PolicyKind.NAME: _has_wrong_name,
        PolicyKind.GROUPS: _is_in_wrong_group,
    }
)


# All that the user requires of an account's keys.

Broken = Mapping[PolicyKind, Policy]
"""The kinds of policies that a key breaks, each with the entry that requires it."""
NOTHING_BROKEN: Broken = MappingProxyType({})


class Requirements:
    """What the *entries* that match a key require together.

    *with_wrong_name* are those whose expression for names does not match the key's. Keys that are
    matched alike share one object.
    """

    __slots__ = ("_checks",)

    def __init__(self, entries: Sequence[Policy], with_wrong_name: Sequence[Policy]) -> None:
        self._checks: list[tuple[PolicyKind, Judge, Sequence[Policy]]] = []
        for kind in PolicyKind:
            requiring = [entry for entry in entries if kind in entry.kinds]
            if kind is PolicyKind.NAME:
                requiring = [entry for entry in with_wrong_name if entry in requiring]
            elif requiring and kind is not PolicyKind.GROUPS:
                # Of times, the shortest includes the others; the rest is required or not.
                requiring = [min(requiring, key=lambda entry: getattr(entry, kind))]
            if requiring:
                self._checks.append((kind, _JUDGES[kind], requiring))

    def broken_by(self, key: ApiKey, now: float) -> Broken:
        """Return what *key* breaks at unix time *now*."""
        found: dict[PolicyKind, Policy] = {}
        for kind, judge, entries in self._checks:
            for entry in entries:
                if judge(entry, key, now):
                    found[kind] = entry
                    break
        return found


class Policies:
    """All policies of an account, in *entries*: every one that matches a key applies.

    The constructor raises ValueError if their expressions are too large for RE2 together.
    """

    def __init__(self, entries: Sequence[Policy] = ()) -> None:
        self.entries = tuple(entries)
        self._keys = PatternList(entry.keys for entry in self.entries)
        self._named = [entry for entry in self.entries if entry.name is not None]
        self._names = PatternList(entry.name for entry in self._named if entry.name is not None)

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

    def by_key(self, keys: Iterable[ApiKey]) -> Mapping[int, Requirements]:
        """Return what is required of each enabled key that an entry matches, by the key's ID."""
        if not self.entries:
            return {}
        found: dict[int, Requirements] = {}
        shared: dict[tuple[tuple[int, ...], tuple[int, ...]], Requirements] = {}
        for key in keys:
            if key.status != KeyStatus.ENABLED:
                continue
            places = self._matching(key)
            if not places:
                continue
            right_names = self._names.all_matches(key.name) if self._named else ()
            requirements = shared.get((places, right_names))
            if requirements is None:
                requirements = self._requirements(places, right_names)
                shared[places, right_names] = requirements
            found[key.id] = requirements
        return found

    def _matching(self, key: ApiKey) -> tuple[int, ...]:
        """Return the places of the entries that match *key*."""
        if key.unread and not key.unread.isdisjoint(_NAMING):
            # Only what matches every key certainly matches one with an unknown name.
            return tuple(
                place for place, entry in enumerate(self.entries) if entry.keys == ANY_TEXT
            )
        return self._keys.all_matches(full_name(key))

    def _requirements(self, places: Sequence[int], right_names: Collection[int]) -> Requirements:
        wrong = [entry for place, entry in enumerate(self._named) if place not in right_names]
        return Requirements([self.entries[place] for place in places], wrong)


NO_POLICIES = Policies()

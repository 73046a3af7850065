"""Write the report of `--audit`: which keys break which policies, and what to do about it.

Pure: states in, text out. Source of the third format: SARIF 2.1.0,
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

from exporter import __version__
from exporter.errors import fix
from exporter.formatting import count, short
from exporter.model import ApiKey
from exporter.policies import Policy, PolicyKind
from exporter.snapshot import AccountState

HOME_PAGE = "https://github.com/cometapi-exporter/cometapi-exporter"
# GitHub rejects a file with more. Source: its documentation, "SARIF support for code scanning".
MOST_RESULTS = 25_000

MEANINGS: Mapping[PolicyKind, tuple[str, str]] = MappingProxyType(
    {
        PolicyKind.MAX_LIFETIME: (
            "Keys expire in time",
            "Set an expiry, or replace the key by one that expires sooner.",
        ),
        PolicyKind.LIMITED_QUOTA: (
            "Keys have a quota limit",
            "Give the key a quota: without one, it can spend all that the account has.",
        ),
        PolicyKind.IP_ALLOWLIST: (
            "Keys work from some addresses only",
            "List the addresses that use the key, without 0.0.0.0/0 and ::/0.",
        ),
        PolicyKind.MODEL_LIMITS: (
            "Keys are limited to a list of models",
            "List the models that the users of the key need.",
        ),
        PolicyKind.MAX_UNUSED: (
            "Keys are in use",
            "Disable or delete the key: a key that nobody uses can still leak.",
        ),
        PolicyKind.NAME: (
            "Keys have names by convention",
            "Rename the key.",
        ),
        PolicyKind.GROUPS: (
            "Keys are in the groups that are allowed",
            "Move the key to one of the groups that the policy allows.",
        ),
    }
)
"""What each kind of policy requires, and what to do about a key that breaks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One key of an account that breaks one kind of policy, by the entry *policy*."""

    account: str
    key: ApiKey
    kind: PolicyKind
    policy: Policy
    message: str


def violations(states: Sequence[AccountState], now: float) -> list[Violation]:
    """Return what the keys of *states* break at unix time *now*: by policy, account and key."""
    found = []
    for state in states:
        for key in state.keys:
            for kind, policy in state.broken_policies(key, now).items():
                message = _message(kind, policy, key, now)
                one = Violation(
                    account=state.name, key=key, kind=kind, policy=policy, message=message
                )
                found.append(one)
    places = {kind: place for place, kind in enumerate(PolicyKind)}
    return sorted(found, key=lambda each: (places[each.kind], each.account, each.key.id))


def _message(kind: PolicyKind, policy: Policy, key: ApiKey, now: float) -> str:
    match kind:
        case PolicyKind.MAX_LIFETIME:
            return _lifetime(policy.max_lifetime or 0, key)
        case PolicyKind.MAX_UNUSED:
            return _rest(policy.max_unused or 0, key, now)
        case PolicyKind.IP_ALLOWLIST if key.ip_allowlist is not None:
            return "works from every address: its list allows all of them"
        case PolicyKind.GROUPS:
            allowed = ", ".join(repr(group) for group in sorted(policy.groups or ()))
            return f"is in the group {key.group!r}; allowed: {allowed}"
        case _:
            return _FIXED_MESSAGES[kind]


_FIXED_MESSAGES = {
    PolicyKind.LIMITED_QUOTA: "has no quota limit",
    PolicyKind.IP_ALLOWLIST: "works from every address: it has no list of allowed ones",
    PolicyKind.MODEL_LIMITS: "may use every model",
    PolicyKind.NAME: "has a name that the policy's expression does not match",
}


def _lifetime(longest: float, key: ApiKey) -> str:
    allowed = f"allowed: {short(longest)} from its creation"
    if key.expires_at is None or key.created_at is None:
        return f"never expires; {allowed}"
    return f"expires {short(key.expires_at - key.created_at)} after its creation; {allowed}"


def _rest(longest: float, key: ApiKey, now: float) -> str:
    allowed = f"allowed: {short(longest)}"
    if key.last_used_at is None:
        age = short(now - (key.created_at or now))
        return f"was never used since its creation {age} ago; {allowed}"
    return f"was last used {short(now - key.last_used_at)} ago; {allowed}"


def named(violation: Violation) -> str:
    """Name the key; names are written so that nothing in them can act on a terminal."""
    key = violation.key
    return f"{violation.account}: {key.name!r} (id {key.id}, group {key.group!r})"


# Accounts that could not be read.


def unread(states: Sequence[AccountState]) -> list[AccountState]:
    """Return the accounts whose keys could not be read."""
    return [state for state in states if state.failing is not None or state.reads_no_key]


def unread_notes(states: Sequence[AccountState], *, in_file: bool) -> list[str]:
    """Say of each account that could not be read why, and what to do."""
    notes = []
    for state in unread(states):
        if state.failing is None:
            notes.append(f"{state.name}: not audited: no key could be read")
        else:
            advice = fix(state.failing, in_file=in_file)
            notes.append(f"{state.name}: not audited: {state.error}\n  fix: {advice}")
    return notes


# The three formats.


def text_report(states: Sequence[AccountState], found: Sequence[Violation]) -> str:
    """Return the report for people: by policy, then by key, with what to do."""
    blocks = []
    for kind, broken in groupby(found, key=lambda each: each.kind):
        title, advice = MEANINGS[kind]
        lines = [f"{kind}: {title.lower()}"]
        lines += [f"  {named(each)} {each.message}" for each in broken]
        lines.append(f"  fix: {advice}")
        blocks.append("\n".join(lines))
    keys = {(each.account, each.key.id) for each in found}
    audited = sum(len(state.keys) for state in states)
    summary = f"{count(len(found), 'violation')} by {count(len(keys), 'key')} of {audited:,}"
    return "\n\n".join([*blocks, summary])


def json_report(found: Sequence[Violation]) -> str:
    """Return the report as JSON, an object for each violation."""
    shown = [
        {
            "account": each.account,
            "key_id": each.key.id,
            "key_name": each.key.name,
            "group": each.key.group,
            "policy": each.kind,
            "message": each.message,
        }
        for each in found
    ]
    return json.dumps({"violations": shown}, indent=2, ensure_ascii=False)


def sarif_report(found: Sequence[Violation], *, file: str | None, notes: Sequence[str] = ()) -> str:
    """Return the report as SARIF 2.1.0.

    *file* is the URI of the configuration file relative to the root of the repository, None
    without one. *notes* are about accounts that could not be read.
    """
    left_out = len(found) - MOST_RESULTS
    if left_out > 0:
        notes = [*notes, f"{left_out} more violations are omitted, because code hosts limit them"]
    kinds = list(PolicyKind)
    run = {
        "tool": {
            "driver": {
                "name": "cometapi-exporter",
                "version": __version__,
                "informationUri": HOME_PAGE,
                "rules": [_rule(kind) for kind in kinds],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not notes,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": note}} for note in notes
                ],
            }
        ],
        "results": [_result(each, kinds.index(each.kind), file) for each in found[:MOST_RESULTS]],
        "columnKind": "unicodeCodePoints",
    }
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(log, indent=2, ensure_ascii=False)


def _rule(kind: PolicyKind) -> dict[str, Any]:
    title, advice = MEANINGS[kind]
    return {
        "id": kind,
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title}, as the policy `{kind}` requires."},
        "help": {"text": advice},
        "helpUri": f"{HOME_PAGE}/blob/main/docs/audit.md",
        "defaultConfiguration": {"level": "warning"},
    }


def _result(violation: Violation, rule_index: int, file: str | None) -> dict[str, Any]:
    identity = f"{violation.account}\n{violation.key.id}\n{violation.kind}"
    result: dict[str, Any] = {
        "ruleId": violation.kind,
        "ruleIndex": rule_index,
        "level": "warning",
        "message": {"text": f"{named(violation)} {violation.message}"},
        # The same violation in the next run is the same alert, wherever the policy has moved to.
        "partialFingerprints": {
            "accountKeyPolicy/v1": hashlib.sha256(identity.encode(errors="replace")).hexdigest()
        },
    }
    if file is not None:
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": file, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": max(violation.policy.line, 1)},
                }
            }
        ]
    return result

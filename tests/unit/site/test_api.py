"""The promise of docs/api.md: what `GET /api/v1/keys` holds."""

import json
import re
from pathlib import Path

import pytest
from domain import (
    A_LIST,
    DAY,
    NOW,
    a_balance,
    a_dry_state,
    a_read_state,
    a_snapshot,
    a_state,
    an_api_key,
    failure,
    withdrawn,
)

from exporter.changes import NO_CHANGES, Change, KeyChange
from exporter.endpoint import ApiPath
from exporter.errors import Reason
from exporter.model import Spending, Usage
from exporter.policies import Policies, Policy
from exporter.site.api import changes_document, document
from exporter.site.choose import Query, choose
from exporter.site.choose_changes import ChangesQuery
from exporter.snapshot import Snapshot

DOCS = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def answered(snapshot, *pairs):
    return json.loads(document(snapshot, choose(snapshot, Query.read(pairs), NOW), NOW))


FAILING = a_read_state(
    an_api_key(),
    at=NOW - 99,
    balance=a_balance(),
    usage=Usage(spending=Spending(read_at=NOW, models=())),
).failed(failure(Reason.SERVER_ERROR, "503"), NOW - 60)


def test_a_key_is_reported_whole_and_in_numbers():
    key = an_api_key(
        id=9,
        name="bot",
        group="vip",
        remaining_quota=1_500_000,
        used_quota=500_000,
        expires_at=NOW + 5 * DAY,
        ip_allowlist=A_LIST,
    )

    assert answered(a_snapshot(key))["keys"] == [
        {
            "account": "main",
            "id": 9,
            "name": "bot",
            "group": "vip",
            "status": "enabled",
            "status_code": 1,
            "usable": True,
            "unusable_reason": None,
            "health": "warning",
            "unlimited": False,
            "remaining_quota": 1_500_000,
            "used_quota": 500_000,
            "remaining_usd": 3.0,
            "used_usd": 1.0,
            "month_usd": None,
            "monthly_budget_usd": None,
            "created_at": 1_747_408_000,
            "last_used_at": 1_749_913_600,
            "expires_at": 1_750_432_000,
            "model_limits": False,
            "ip_allowlist": True,
            "cross_group_retry": False,
            "policies_broken": [],
        }
    ]


def test_the_policies_that_a_key_breaks_are_listed():
    policies = Policies([Policy(ip_allowlist=True, max_unused=60.0, limited_quota=True)])
    snapshot = Snapshot.of([a_read_state(an_api_key(), policies=policies)])

    (key,) = answered(snapshot)["keys"]

    assert key["policies_broken"] == ["ip_allowlist", "max_unused"]


def endpoint(path, word, **over):
    """Write what is said of one endpoint."""
    facts = {"read_at": None, "reason": None, "failing_since": None, "error": None}
    return {"path": path, "state": word, **facts, **over}


def known_endpoint(path):
    return endpoint(path, "known", read_at=NOW - 9)


def test_an_endpoint_that_fails_says_since_when_and_why():
    state = a_read_state(balance=a_balance()).endpoint_failed(
        ApiPath.BALANCE, failure(Reason.BLOCKED), NOW + 60
    )
    failing = {"reason": "blocked", "failing_since": NOW + 60, "error": "it went wrong"}
    shown = [answered(Snapshot.of([each]))["accounts"][0] for each in (state, withdrawn(state))]

    assert [each["endpoints"][1] for each in shown] == [
        endpoint("/api/user/self", "failing", read_at=NOW, **failing),
        endpoint("/api/user/self", "unknown", read_at=NOW, **failing),
    ]


def test_an_account_is_reported_whole():
    spending = Spending(read_at=NOW - 99, models=(("small", 500_000, 1_500_000),))
    state = a_read_state(
        an_api_key(),
        an_api_key(id=2, status=2),
        an_api_key(id=3),
        at=NOW - 9,
        balance=a_balance(),
        usage=Usage(spending=spending),
        gateway="https://gw.example",
        monthly_budget_usd=5.0,
    )

    assert answered(Snapshot.of([state]))["accounts"] == [
        {
            "name": "main",
            "gateway": "https://gw.example",
            "up": True,
            "failing": None,
            "failing_since": None,
            "error": None,
            "read_at": NOW - 9,
            "next_refresh_at": None,
            "interval_seconds": 60.0,
            "stale_after_seconds": 3600.0,
            "stale": False,
            "quota_units_per_usd": 500_000.0,
            "quota_units_per_usd_assumed": False,
            "spendable_quota": 24_997_909,
            "largest_purse_quota": 24_997_909,
            "month_usd": 3.0,
            "monthly_budget_usd": 5.0,
            "dry": None,
            "endpoints": [
                known_endpoint("/api/token/"),
                known_endpoint("/api/user/self"),
                endpoint("/api/status", "not_offered"),
                endpoint("/api/user/self/groups", "not_offered"),
                endpoint("/api/subscription/self", "not_offered"),
                known_endpoint("/api/data/self"),
            ],
            "balance": {
                "remaining_quota": 24_997_909,
                "used_quota": 10_027_091,
                "remaining_usd": 49.995818,
                "used_usd": 20.054182,
                "requests": 339,
            },
            "spending": {
                "read_at": NOW - 99,
                "models": [{"model": "small", "today_usd": 1.0, "month_usd": 3.0}],
            },
            "keys": 3,
            "usable_keys": 2,
            "skipped_keys": 0,
            "excluded_keys": 0,
        }
    ]


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (a_state(), {"up": None, "read_at": None, "stale": False, "balance": None, "keys": 0}),
        (
            FAILING,
            {
                "up": False,
                "failing": "server_error",
                "failing_since": NOW - 60,
                "error": "503",
                "keys": 1,
            },
        ),
        (
            withdrawn(FAILING),
            {"stale": True, "balance": None, "spending": None, "keys": 0, "usable_keys": 0},
        ),
    ],
    ids=["not read yet", "failing", "stale"],
)
def test_an_account_says_what_may_be_believed(state, facts):
    answer = answered(Snapshot.of([state]))

    assert {name: answer["accounts"][0][name] for name in facts} == facts
    assert (answer["ready"], len(answer["keys"]), answer["total"]) == (
        state != a_state(),
        facts["keys"],
        facts["keys"],
    )


@pytest.mark.parametrize(
    ("key", "balance", "facts"),
    [
        (
            {"remaining_quota": None, "last_used_at": None, "created_at": None},
            a_balance(),
            {
                "unlimited": True,
                "remaining_usd": None,
                "created_at": None,
                "last_used_at": None,
                "expires_at": None,
            },
        ),
        (
            {},
            a_balance(remaining_quota=0),
            {"usable": False, "unusable_reason": "account_exhausted"},
        ),
    ],
    ids=["what does not apply", "an empty account"],
)
def test_a_key_says_what_does_not_apply_and_whether_it_works(key, balance, facts):
    (item,) = answered(a_snapshot(an_api_key(**key), balance=balance))["keys"]

    assert {name: item[name] for name in facts} == facts


def test_a_key_that_ran_dry_is_usable_as_far_as_is_known():
    (item,) = answered(Snapshot.of([a_dry_state()]))["keys"]

    assert (item["usable"], item["health"]) == (True, "probably_dry")


def test_the_filters_of_the_page_hold_here():
    snapshot = a_snapshot(
        *(an_api_key(id=number, status=1 + number % 2) for number in range(1, 11))
    )
    answer = answered(
        snapshot, ("status", "enabled"), ("sort", "-id"), ("limit", "2"), ("page", "2")
    )

    assert [key["id"] for key in answer["keys"]] == [6, 4]
    assert (answer["total"], answer["matched"], answer["skipped"]) == (10, 5, 2)
    assert {health: number for health, number in answer["health"].items() if number} == {"ok": 5}


def test_every_field_is_documented():
    documented = {
        word
        for line in re.findall(r"^\| (`.+?) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
        for word in re.findall(r"`(\w+)`", line)
    }
    usage = Usage(spending=Spending(read_at=NOW, models=(("m", 1, 2),)))
    answer = answered(Snapshot.of([a_read_state(an_api_key(), balance=a_balance(), usage=usage)]))
    (account,) = answer["accounts"]
    spending = account["spending"]

    assert {
        *answer,
        *account,
        *account["balance"],
        *spending,
        *spending["models"][0],
        *answer["keys"][0],
        *changed(Snapshot.of([MAIN]))[0],
        *Change,
    } <= documented


def every_field(value, prefix=""):
    """Return the path of each field, of the first item where there are many."""
    if isinstance(value, list):
        return every_field(value[0], f"{prefix}[]") if value else set()
    if not isinstance(value, dict):
        return set()
    fields = {f"{prefix}.{name}" for name in value}
    return fields.union(*(every_field(value[name], f"{prefix}.{name}") for name in value))


def test_the_example_of_a_response_has_every_field_and_no_other():
    response = DOCS.read_text(encoding="utf-8").partition("## Response\n")[2]
    example = json.loads(response.partition("```json\n")[2].partition("```")[0])
    usage = Usage(spending=Spending(read_at=NOW, models=(("m", 1, 2),)))
    answer = answered(Snapshot.of([a_read_state(an_api_key(), balance=a_balance(), usage=usage)]))

    assert every_field(example) == every_field(answer)


def a_changed_state(name, *changes):
    """Build an account with *changes*, oldest first: time, ID of the key, what changed."""
    found = [
        KeyChange(time=time, key_id=key_id, key_name="bot", change=change, before="a", after="b")
        for time, key_id, change in changes
    ]
    return a_state(name=name, changes=NO_CHANGES.plus(found))


MAIN = a_changed_state(
    "main", (NOW + 1, 7, Change.RENAMED), (NOW + 1, 8, Change.DELETED), (NOW + 5, 7, Change.ENABLED)
)
OTHER = a_changed_state("other", (NOW + 3, 7, Change.CREATED))


def changed(snapshot, *pairs):
    return json.loads(changes_document(snapshot, ChangesQuery.read(pairs)))["changes"]


def test_changes_are_reported_whole():
    assert changed(Snapshot.of([OTHER])) == [
        {
            "time": NOW + 3,
            "account": "other",
            "key_id": 7,
            "key_name": "bot",
            "change": "created",
            "before": "a",
            "after": "b",
        }
    ]


@pytest.mark.parametrize(
    ("pairs", "times"),
    [
        ([], [5, 3, 1, 1]),
        ([("account", "main")], [5, 1, 1]),
        ([("account", "elsewhere")], []),
        ([("key_id", "7")], [5, 3, 1]),
        ([("key_id", "7"), ("account", "main"), ("limit", "1")], [5]),
        ([("limit", "2")], [5, 3]),
        ([("limit", "0")], [5, 3, 1, 1]),
        ([("limit", "-1"), ("key_id", "x"), ("nonsense", "1")], [5, 3, 1, 1]),
    ],
)
def test_the_changes_of_all_accounts_are_filtered_and_the_newest_come_first(pairs, times):
    found = changed(Snapshot.of([MAIN, OTHER]), *pairs)

    assert [change["time"] - NOW for change in found] == times


def test_no_more_than_a_thousand_changes_are_reported():
    many = [(NOW + number, 1, Change.RENAMED) for number in range(700)]
    snapshot = Snapshot.of([a_changed_state("one", *many), a_changed_state("two", *many)])

    assert len(changed(snapshot)) == len(changed(snapshot, ("limit", "5000"))) == 1_000

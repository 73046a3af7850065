"""Encode what the page shows as JSON; docs/api.md documents the format.

Pure: a snapshot and a choice in, bytes out. Times are unix seconds. Fields may be added, but no
field changes its meaning.
"""

from typing import Any

import msgspec

from exporter import budgets
from exporter.account_notes import assumed_note
from exporter.changes import KeyChange
from exporter.endpoint import ApiPath, EndpointState, failure_of, last_known, word_of
from exporter.site.choose import Choice, Entry
from exporter.site.choose_changes import ChangesQuery, changes
from exporter.snapshot import AccountState, Snapshot

ENCODER = msgspec.json.Encoder()


def document(snapshot: Snapshot, choice: Choice, now: float) -> bytes:
    """Encode the response."""
    # One by one: a single call for 10,000 keys would hold the interpreter's lock for all of them.
    keys = b",".join(ENCODER.encode(key_item(entry, now)) for entry in choice.entries)
    return ENCODER.encode(
        {
            "generated_at": round(now, 3),
            "ready": snapshot.is_ready,
            "accounts": [account_item(state, now) for state in snapshot.accounts.values()],
            "total": choice.total,
            "matched": choice.matched,
            "skipped": choice.first,
            "health": {health.value: number for health, number in choice.tally.items()},
            "keys": msgspec.Raw(b"[" + keys + b"]"),
        }
    )


def changes_document(snapshot: Snapshot, query: ChangesQuery) -> bytes:
    """Encode the last changes of keys, newest first, that *query* selects."""
    return ENCODER.encode(
        {"changes": [change_item(account, change) for account, change in changes(snapshot, query)]}
    )


def change_item(account: str, change: KeyChange) -> dict[str, Any]:
    """Describe one change of a key; *before* and *after* are texts for people."""
    return {
        "time": change.time,
        "account": account,
        "key_id": change.key_id,
        "key_name": change.key_name,
        "change": change.change,
        "before": change.before,
        "after": change.after,
    }


def account_item(state: AccountState, now: float) -> dict[str, Any]:
    """Describe one account; keys and balance only while they may be served."""
    keys = state.keys if state.serves_data else ()
    month = budgets.of_account(state, now)
    return {
        "name": state.name,
        "gateway": state.gateway,
        "up": state.failing is None if state.first_refresh_ended else None,
        "failing": state.failing,
        "failing_since": state.failing_since,
        "error": state.error or None,
        "read_at": state.read_at,
        "next_refresh_at": state.next_refresh_at,
        "interval_seconds": state.interval_seconds,
        "stale_after_seconds": state.stale_after_seconds,
        "stale": state.is_withdrawn,
        "quota_units_per_usd": state.quota_units_per_usd,
        "quota_units_per_usd_assumed": bool(assumed_note(state)),
        "balance": balance_item(state),
        "spendable_quota": state.spendable_quota,
        "largest_purse_quota": state.largest_purse_quota,
        "month_usd": month.spent_usd if state.serves_data else None,
        "monthly_budget_usd": month.budget_usd,
        "dry": state.dryness,
        "endpoints": [
            endpoint_item(path, endpoint) for path, endpoint in state.endpoints.by_path().items()
        ],
        "spending": spending_item(state),
        "keys": len(keys),
        "usable_keys": state.usable_keys(now) if state.serves_data else 0,
        "skipped_keys": state.skipped,
        "excluded_keys": state.excluded,
    }


def endpoint_item(path: ApiPath, endpoint: EndpointState[Any]) -> dict[str, Any]:
    """Describe what is known of one endpoint, and why its last request failed."""
    failure = failure_of(endpoint)
    known = last_known(endpoint)
    return {
        "path": path,
        "state": word_of(endpoint).replace(" ", "_"),
        "read_at": None if known is None else known.read_at.unix,
        "reason": None if failure is None else failure.reason,
        "failing_since": None if failure is None else failure.since,
        "error": None if failure is None else failure.text,
    }


def balance_item(state: AccountState) -> dict[str, Any] | None:
    """Describe the account's balance; None where it is not reported."""
    if state.balance is None:
        return None
    used = state.balance.used_quota
    return {
        "remaining_quota": state.balance.remaining_quota,
        "used_quota": used,
        "remaining_usd": state.usd(state.balance.remaining_quota),
        "used_usd": None if used is None else state.usd(used),
        "requests": state.balance.requests,
    }


def spending_item(state: AccountState) -> dict[str, Any] | None:
    """Describe what models cost; None where it is not reported."""
    if state.usage is None or state.usage.spending is None:
        return None
    return {
        "read_at": state.usage.spending.read_at,
        "models": [
            {"model": model, "today_usd": state.usd(day), "month_usd": state.usd(month)}
            for model, day, month in state.usage.spending.models
        ],
    }


def key_item(entry: Entry, now: float) -> dict[str, Any]:
    """Describe one key, without its secret."""
    key = entry.key
    verdict = entry.verdict
    month = budgets.of_key(entry.account, key, now)
    return {
        "account": entry.account.name,
        "id": key.id,
        "name": key.name,
        "group": key.group,
        "status": key.status_word,
        "status_code": key.status,
        "usable": verdict.unusable_reason is None,
        "unusable_reason": verdict.unusable_reason,
        "health": verdict.health,
        "unlimited": key.remaining_quota is None,
        "remaining_quota": key.remaining_quota,
        "used_quota": key.used_quota,
        "remaining_usd": entry.remaining_usd,
        "used_usd": entry.used_usd,
        "month_usd": month.spent_usd,
        "monthly_budget_usd": month.budget_usd,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "model_limits": key.has_model_limits,
        "ip_allowlist": key.has_ip_allowlist,
        "cross_group_retry": key.has_cross_group_retry,
        "policies_broken": list(entry.account.broken_policies(key, now)),
    }

"""Read what a gateway reports besides keys: the account's balance, its groups, subscriptions and usage, and its status.

Pure: knows no HTTP client, no clock, no keys. Not every gateway has all of these endpoints:
anything of another shape is an InvalidResponse, which the client takes for "not reported" where the
endpoint is optional.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.cometapi.answer import UNDECODABLE, Answer, Envelope, Int64, content
from exporter.errors import InvalidResponse
from exporter.model import Balance, Facts, Subscriptions, UsageRow, label_text

MOST_GROUPS = 1_000
MOST_ROWS = 50_000


class _Account(msgspec.Struct):
    quota: Int64
    used_quota: Int64
    request_count: Int64 | None = None
    id: Int64 | None = None


class _Status(msgspec.Struct):
    quota_per_unit: float = 0.0
    version: str = ""
    enable_data_export: bool = False


class _Group(msgspec.Struct):
    ratio: msgspec.Raw = msgspec.Raw()


class _Terms(msgspec.Struct):
    amount_total: int
    amount_used: int
    end_time: int = 0
    next_reset_time: int = 0


class _Subscription(msgspec.Struct):
    subscription: _Terms


class _Subscriptions(msgspec.Struct):
    billing_preference: Literal[
        "subscription_first", "wallet_first", "subscription_only", "wallet_only"
    ]
    subscriptions: Annotated[list[_Subscription], Meta(max_length=MOST_GROUPS)] | None


class _UsageRow(msgspec.Struct):
    model_name: str
    quota: int
    token_used: int
    count: int
    token_id: int = 0
    token_name: str = ""
    use_group: str = ""


_decode_account = msgspec.json.Decoder(Envelope[_Account]).decode
_decode_status = msgspec.json.Decoder(Envelope[_Status]).decode
_decode_groups = msgspec.json.Decoder(
    Envelope[Annotated[dict[str, _Group], Meta(max_length=MOST_GROUPS)]]
).decode
_decode_factor = msgspec.json.Decoder(float).decode
_decode_subscriptions = msgspec.json.Decoder(Envelope[_Subscriptions]).decode
_decode_usage = msgspec.json.Decoder(
    Envelope[Annotated[list[_UsageRow], Meta(max_length=MOST_ROWS)] | None]
).decode


def parse_balance(answer: Answer) -> Balance:
    """Read what the account has left."""
    account = content(answer, _decode_account)
    return Balance(
        remaining_quota=account.quota,
        used_quota=account.used_quota,
        requests=account.request_count,
        account_id=account.id,
    )


def parse_status(answer: Answer) -> Facts:
    """Read the gateway's version, its quota units of one US dollar, and whether it records usage."""
    status = content(answer, _decode_status)
    if not (math.isfinite(status.quota_per_unit) and status.quota_per_unit >= 0):
        raise InvalidResponse("the quota units of one US dollar are no positive number")
    return Facts(
        version=label_text(status.version) or None,
        quota_units_per_usd=status.quota_per_unit or None,
        has_usage=status.enable_data_export,
    )


def parse_groups(answer: Answer) -> Mapping[str, float | None]:
    """Read the groups open to the account with their price factors, None for a factor that is no number."""
    groups = content(answer, _decode_groups)
    return MappingProxyType(
        {label_text(name): _factor(group.ratio) for name, group in groups.items()}
    )


def _factor(ratio: msgspec.Raw) -> float | None:
    try:
        return _decode_factor(ratio)
    except UNDECODABLE:
        return None


def parse_subscriptions(answer: Answer) -> Subscriptions | None:
    """Read all running subscriptions taken together; None where none is running."""
    data = content(answer, _decode_subscriptions)
    running = [each.subscription for each in data.subscriptions or ()]
    if not running:
        return None
    is_unlimited = any(terms.amount_total == 0 for terms in running)
    return Subscriptions(
        remaining_quota=None
        if is_unlimited
        else sum(max(0, t.amount_total - t.amount_used) for t in running),
        ends_at=min((terms.end_time for terms in running if terms.end_time > 0), default=None),
        resets_at=min(
            (terms.next_reset_time for terms in running if terms.next_reset_time > 0), default=None
        ),
        preference=data.billing_preference,
    )


def parse_usage(answer: Answer, *, by_key: bool) -> tuple[UsageRow, ...]:
    """Read what models used, *by_key* what each key used with each model, in as many rows as the gateway keeps."""
    return tuple(
        UsageRow(
            model=label_text(row.model_name),
            key_id=row.token_id if by_key else 0,
            key_name=label_text(row.token_name) if by_key else "",
            group=label_text(row.use_group) if by_key else "",
            quota=row.quota,
            tokens=row.token_used,
            requests=row.count,
        )
        for row in content(answer, _decode_usage) or ()
    )

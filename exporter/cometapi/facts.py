"""Read what a gateway reports besides keys and balance: its status, the account's groups, subscriptions and usage.

Pure: knows no HTTP client, no clock, no keys. Not every gateway has these endpoints: anything of another shape is an
InvalidResponse, which the client takes for "not reported".

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from exporter.cometapi.answer import UNDECODABLE, Answer, check_status, check_verdict, what_came_instead
from exporter.errors import InvalidResponse
from exporter.model import Subscriptions, UsageRow, label_text

MOST_GROUPS = 1_000
MOST_ROWS = 50_000

Content = TypeVar("Content")


class Status(msgspec.Struct, frozen=True):
    """What a gateway reports to everybody; 0 and "" where it does not."""

    quota_per_unit: float = 0.0
    version: str = ""
    enable_data_export: bool = False


class _Group(msgspec.Struct):
    ratio: object = None


class _Terms(msgspec.Struct):
    amount_total: int
    amount_used: int
    end_time: int = 0
    next_reset_time: int = 0


class _Subscription(msgspec.Struct):
    subscription: _Terms


class _Subscriptions(msgspec.Struct):
    billing_preference: Literal["subscription_first", "wallet_first", "subscription_only", "wallet_only"]
    subscriptions: Annotated[list[_Subscription], Meta(max_length=MOST_GROUPS)] | None


class _UsageRow(msgspec.Struct):
    model_name: str
    quota: int
    token_used: int
    count: int
    token_id: int = 0
    token_name: str = ""
    use_group: str = ""


class _StatusEnvelope(msgspec.Struct):
    data: Status


class _GroupsEnvelope(msgspec.Struct):
    data: Annotated[dict[str, _Group], Meta(max_length=MOST_GROUPS)]


class _SubscriptionsEnvelope(msgspec.Struct):
    data: _Subscriptions


class _UsageEnvelope(msgspec.Struct):
    data: Annotated[list[_UsageRow], Meta(max_length=MOST_ROWS)] | None


_decode_status = msgspec.json.Decoder(_StatusEnvelope).decode
_decode_groups = msgspec.json.Decoder(_GroupsEnvelope).decode
_decode_subscriptions = msgspec.json.Decoder(_SubscriptionsEnvelope).decode


_decode_usage = msgspec.json.Decoder(_UsageEnvelope).decode


def parse_status(answer: Answer) -> Status:
    """Read the gateway's version, its quota units of one US dollar, and whether it records usage."""
    status = _checked(answer, _decode_status).data
    if not (math.isfinite(status.quota_per_unit) and status.quota_per_unit >= 0):
        raise InvalidResponse("the quota units of one US dollar are no positive number")
    return msgspec.structs.replace(status, version=label_text(status.version))


def parse_groups(answer: Answer) -> Mapping[str, float | None]:
    """Read the groups open to the account with their price factors, None for a factor that is no number."""
    groups = _checked(answer, _decode_groups).data
    return MappingProxyType({label_text(name): _factor(group.ratio) for name, group in groups.items()})


def parse_subscriptions(answer: Answer) -> Subscriptions | None:
    """Read all running subscriptions taken together; None where none is running."""
    data = _checked(answer, _decode_subscriptions).data
    running = [each.subscription for each in data.subscriptions or ()]
    if not running:
        return None
    is_unlimited = any(terms.amount_total == 0 for terms in running)
    return Subscriptions(
        remaining_quota=None if is_unlimited else sum(max(0, t.amount_total - t.amount_used) for t in running),
        ends_at=min((terms.end_time for terms in running if terms.end_time > 0), default=None),
        resets_at=min((terms.next_reset_time for terms in running if terms.next_reset_time > 0), default=None),
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
        for row in _checked(answer, _decode_usage).data or ()
    )


def _factor(ratio: object) -> float | None:
    is_number = isinstance(ratio, int | float) and not isinstance(ratio, bool)
    return float(ratio) if is_number else None  # type: ignore[arg-type]


def _checked(answer: Answer, decode: Callable[[bytes], Content]) -> Content:
    check_status(answer)
    check_verdict(answer)
    try:
        return decode(answer.body)
    except UNDECODABLE as error:
        raise InvalidResponse(what_came_instead(answer, error)) from None

"""Read what a gateway reports besides keys: balance, groups, subscriptions, usage, its status.

Pure: knows no HTTP client, no clock, no keys. Not every gateway has all of these endpoints:
anything of another shape is an InvalidResponse, which the client takes for "not reported" where the
endpoint is optional.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.cometapi.answer import UNDECODABLE, Answer, Envelope, Int64, content
from exporter.errors import InvalidResponse
from exporter.model import (
    Amounts,
    Balance,
    BillingPreference,
    GatewayStatus,
    Series,
    Subscription,
    Subscriptions,
    label_text,
)

MOST_GROUPS = 1_000

# One request reads at most a week, with a row for each model and hour: enough for 59 models that
# are used in every hour of it. By key it has a row for each key and model.
# Decoding and summing as many rows takes about 20 ms and 10 MiB.
MOST_ROWS = 10_000
# A backfill reads 30 days at once. The largest response that is taken, 8 MiB, has about 50,000 rows.
MOST_ROWS_BY_HOUR = 60_000

HOUR = 3_600

# The usual factor is 500,000. Beyond these bounds an amount in dollars is no sane number, and a
# division by the factor can fail.
LEAST_UNITS_PER_USD = 1e-3
MOST_UNITS_PER_USD = 1e15


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
    amount_total: Int64
    amount_used: Int64
    end_time: msgspec.Raw = msgspec.Raw()
    next_reset_time: msgspec.Raw = msgspec.Raw()
    # Gateways from before this field let the wallet pay.
    allow_wallet_overflow: bool = True


class _Subscription(msgspec.Struct):
    subscription: _Terms


class _Subscriptions(msgspec.Struct):
    subscriptions: Annotated[list[msgspec.Raw], Meta(max_length=MOST_GROUPS)] | None
    billing_preference: msgspec.Raw = msgspec.Raw()


class _UsageRow(msgspec.Struct):
    model_name: str
    quota: Int64
    token_used: Int64
    count: Int64
    token_id: Int64 = 0
    # When the hour began; missing or 0 in sums by key, which are of the whole range.
    created_at: Int64 = 0


_decode_account = msgspec.json.Decoder(Envelope[_Account]).decode
_decode_status = msgspec.json.Decoder(Envelope[_Status]).decode
_decode_groups = msgspec.json.Decoder(
    Envelope[Annotated[dict[str, _Group], Meta(max_length=MOST_GROUPS)]]
).decode
# A price factor multiplies what a request costs: it is about 1, and never below 0.
_Factor = Annotated[float, Meta(ge=0, le=1e15)]
_decode_factor: Callable[[msgspec.Raw], float] = msgspec.json.Decoder(_Factor).decode
_decode_subscriptions = msgspec.json.Decoder(Envelope[_Subscriptions]).decode
_decode_subscription = msgspec.json.Decoder(_Subscription).decode
_decode_preference = msgspec.json.Decoder(BillingPreference).decode
_decode_time = msgspec.json.Decoder(Int64).decode
_decode_usage = msgspec.json.Decoder(
    Envelope[Annotated[list[_UsageRow], Meta(max_length=MOST_ROWS)] | None]
).decode
_decode_usage_by_hour = msgspec.json.Decoder(
    Envelope[Annotated[list[_UsageRow], Meta(max_length=MOST_ROWS_BY_HOUR)] | None]
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


def parse_status(answer: Answer) -> GatewayStatus:
    """Read the gateway's version, its quota units per US dollar, and whether it records usage."""
    status = content(answer, _decode_status)
    factor = status.quota_per_unit
    # 0 is what a gateway says that has no factor.
    if factor and not LEAST_UNITS_PER_USD <= factor <= MOST_UNITS_PER_USD:
        raise InvalidResponse("the quota units of one US dollar are not between 0.001 and 1e15")
    return GatewayStatus(
        version=label_text(status.version) or None,
        quota_units_per_usd=factor or None,
        has_usage=status.enable_data_export,
    )


def parse_groups(answer: Answer) -> Mapping[str, float | None]:
    """Read the groups open to the account with their price factors.

    None for a factor that is no number.
    """
    groups = content(answer, _decode_groups)
    return MappingProxyType(
        {label_text(name): _factor(group.ratio) for name, group in groups.items()}
    )


def _factor(ratio: msgspec.Raw) -> float | None:
    try:
        return _decode_factor(ratio)
    except UNDECODABLE:
        return None


def parse_subscriptions(answer: Answer) -> Subscriptions:
    """Read the running subscriptions, and how the account prefers to pay.

    A subscription, a time or a preference that cannot be read costs nothing but itself.
    """
    data = content(answer, _decode_subscriptions)
    running, unreadable = [], 0
    for row in data.subscriptions or ():
        try:
            running.append(_subscription(_decode_subscription(row).subscription))
        except UNDECODABLE:
            unreadable += 1
    return Subscriptions(
        running=tuple(running),
        unreadable=unreadable,
        preference=_preference(data.billing_preference),
    )


def _subscription(terms: _Terms) -> Subscription:
    # A total of 0 is no limit.
    left = max(0, terms.amount_total - terms.amount_used) if terms.amount_total else None
    return Subscription(
        remaining_quota=left,
        ends_at=_time(terms.end_time),
        resets_at=_time(terms.next_reset_time),
        allows_wallet_overflow=terms.allow_wallet_overflow,
    )


def _preference(raw: msgspec.Raw) -> BillingPreference | None:
    try:
        return _decode_preference(raw)
    except UNDECODABLE:
        return None


def _time(raw: msgspec.Raw) -> int | None:
    """Return a unix time; None where there is none, or none that can be read."""
    try:
        return max(0, _decode_time(raw)) or None
    except UNDECODABLE:
        return None


def parse_usage(answer: Answer, *, first: int, last: int, by_key: bool) -> dict[Series, Amounts]:
    """Sum what models used, *by_key* what each key used with each model.

    The request was for the hours that begin from unix time *first* to *last*. Rows of other hours
    are left out, since some gateways ignore the range: their rows would count once a request. A
    negative amount counts as 0.
    """
    sums: dict[Series, Amounts] = {}
    for row in content(answer, _decode_usage) or ():
        if row.created_at and not first <= row.created_at < last + HOUR:
            continue
        series = Series(
            model=label_text(row.model_name),
            key_id=row.token_id if by_key else 0,
        )
        _add(sums, series, row)
    return sums


def parse_usage_by_hour(
    answer: Answer, *, first: int, last: int
) -> dict[int, dict[Series, Amounts]]:
    """Sum what models used by the beginning of the hour, in the hours from *first* to *last*.

    Rows of other hours are left out. A row that does not say its hour is an InvalidResponse.
    """
    hours: dict[int, dict[Series, Amounts]] = {}
    for row in content(answer, _decode_usage_by_hour) or ():
        if row.created_at <= 0:
            raise InvalidResponse("expected rows of usage by hour, got one without its hour")
        hour = row.created_at // HOUR * HOUR
        if first <= hour <= last:
            _add(hours.setdefault(hour, {}), Series(model=label_text(row.model_name)), row)
    return hours


def _add(sums: dict[Series, Amounts], series: Series, row: _UsageRow) -> None:
    amounts = Amounts(
        quota=max(0, row.quota),
        tokens=max(0, row.token_used),
        requests=max(0, row.count),
    )
    known = sums.get(series)
    sums[series] = amounts if known is None else known.plus(amounts)

"""Read what a gateway reports besides keys: balance, groups, subscriptions, usage, its status.

Pure: knows no HTTP client, no clock, no keys. A field that cannot be read costs itself and is named
in *unread*; anything of another shape as a whole is an InvalidResponse.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.cometapi.answer import UNDECODABLE, Answer, Envelope, Int64, content
from exporter.cometapi.fields import Fields
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
# A backfill reads 30 days at once. The largest response that is taken, 8 MiB, has about 50,000
# rows.
MOST_ROWS_BY_HOUR = 60_000

HOUR = 3_600

# The usual factor is 500,000. Beyond these bounds an amount in dollars is no sane number, and a
# division by the factor can fail.
LEAST_UNITS_PER_USD = 1e-3
MOST_UNITS_PER_USD = 1e15


# A price factor is about 1; what is beyond this is a mistake.
LARGEST_FACTOR = 1e15


class _UsageRow(msgspec.Struct):
    model_name: str
    quota: Int64
    token_used: Int64
    count: Int64
    token_id: Int64 = 0
    # When the hour began; missing or 0 in sums by key, which are of the whole range.
    created_at: Int64 = 0


_decode_any = msgspec.json.Decoder(Envelope[msgspec.Raw]).decode
_decode_objects = msgspec.json.Decoder(
    Annotated[list[msgspec.Raw], Meta(max_length=MOST_GROUPS)]
).decode
_decode_usage = msgspec.json.Decoder(
    Envelope[Annotated[list[msgspec.Raw], Meta(max_length=MOST_ROWS)] | None]
).decode
_decode_usage_by_hour = msgspec.json.Decoder(
    Envelope[Annotated[list[msgspec.Raw], Meta(max_length=MOST_ROWS_BY_HOUR)] | None]
).decode
_decode_row = msgspec.json.Decoder(_UsageRow).decode


def parse_balance(answer: Answer) -> Balance:
    """Read what the account has left; only its quota is indispensable."""
    fields = _fields(answer)
    quota = fields.whole_number("quota")
    if quota is None:
        raise InvalidResponse("not the expected JSON: no whole number - at `$.data.quota`")
    return Balance(
        remaining_quota=quota,
        used_quota=fields.whole_number("used_quota"),
        requests=fields.whole_number("request_count"),
        account_id=fields.whole_number("id"),
        # Some gateways keep what they gave away apart, and do not document when it pays.
        has_gifts=(fields.whole_number("gift_quota") or 0) > 0,
        unread=tuple(fields.unread),
    )


def parse_status(answer: Answer) -> GatewayStatus:
    """Read the gateway's version, its quota units per US dollar, and whether it records usage."""
    fields = _fields(answer)
    factor = fields.number("quota_per_unit")
    # 0 is what a gateway says that has no factor.
    if factor and not LEAST_UNITS_PER_USD <= factor <= MOST_UNITS_PER_USD:
        factor = None
        fields.unread.append("quota_per_unit")
    return GatewayStatus(
        version=label_text(fields.text("version") or "") or None,
        quota_units_per_usd=factor or None,
        has_usage=fields.flag("enable_data_export") or False,
        unread=tuple(fields.unread),
    )


def parse_groups(answer: Answer) -> Mapping[str, float | None]:
    """Read the groups open to the account with their price factors.

    None for a factor that is no number; some gateways describe a group by a text alone.
    """
    groups = _fields(answer).raw
    if len(groups) > MOST_GROUPS:
        raise InvalidResponse(f"not the expected JSON: expected length <= {MOST_GROUPS} groups")
    return MappingProxyType({label_text(name): _factor(raw) for name, raw in groups.items()})


def _factor(group: msgspec.Raw) -> float | None:
    try:
        factor = Fields(group).number("ratio")
    except UNDECODABLE:
        return None
    # A price factor multiplies what a request costs: it is about 1, and never below 0.
    if factor is None or not 0 <= factor <= LARGEST_FACTOR:
        return None
    return factor


def parse_subscriptions(answer: Answer) -> Subscriptions:
    """Read the running subscriptions, and how the account prefers to pay.

    A subscription, a time or a preference that cannot be read costs nothing but itself.
    """
    fields = _fields(answer)
    running: list[Subscription] = []
    unread: list[str] = []
    entries = _subscription_entries(fields)
    for entry in entries:
        subscription = _subscription(entry, unread)
        if subscription is not None:
            running.append(subscription)
    preference = _preference(fields)
    return Subscriptions(
        running=tuple(running),
        unreadable=len(entries) - len(running),
        preference=preference,
        unread=(*fields.unread, *unread),
    )


def _subscription_entries(fields: Fields) -> list[msgspec.Raw]:
    raw = fields.raw.get("subscriptions")
    if raw is None:
        raise InvalidResponse("not the expected JSON: missing - at `$.data.subscriptions`")
    if bytes(memoryview(raw)[:5]) == b"null":
        return []
    try:
        entries: list[msgspec.Raw] = _decode_objects(raw)
    except UNDECODABLE as error:
        raise InvalidResponse(f"not the expected JSON: {_what(error)} in `subscriptions`") from None
    return entries


def _subscription(entry: msgspec.Raw, unread: list[str]) -> Subscription | None:
    """Return one subscription, None where its amounts cannot be read; *unread* gets the names."""
    try:
        terms = Fields(entry).inner("subscription")
    except UNDECODABLE:
        terms = None
    if terms is None:
        unread.append("subscription")
        return None
    total = terms.whole_number("amount_total")
    used = terms.whole_number("amount_used")
    ends_at = terms.whole_number("end_time") or 0
    resets_at = terms.whole_number("next_reset_time") or 0
    # Gateways from before this field let the wallet pay.
    allows_overflow = terms.flag("allow_wallet_overflow")
    unread += terms.unread
    unread += [name for name in ("amount_total", "amount_used") if not terms.has(name)]
    if total is None or used is None:
        return None
    # A total of 0 is no limit.
    left = max(0, total - used) if total else None
    return Subscription(
        remaining_quota=left,
        ends_at=max(0, ends_at) or None,
        resets_at=max(0, resets_at) or None,
        allows_wallet_overflow=allows_overflow is not False,
    )


def _preference(fields: Fields) -> BillingPreference | None:
    text = fields.text("billing_preference")
    if text in list(BillingPreference):
        return BillingPreference(text)
    if text is not None:
        fields.unread.append("billing_preference")
    return None


def _what(error: Exception) -> str:
    """Say what is wrong with JSON, as far as that quotes none of it."""
    return str(error) if isinstance(error, msgspec.ValidationError) else "broken"


def _fields(answer: Answer) -> Fields:
    try:
        return Fields(content(answer, _decode_any))
    except UNDECODABLE:
        raise InvalidResponse("not the expected JSON: no object - at `$.data`") from None


class UsageSums(msgspec.Struct, frozen=True, kw_only=True):
    """What was used by each series; *unread_rows* counts rows that could not be read."""

    sums: dict[Series, Amounts]
    unread_rows: int = 0


def parse_usage(answer: Answer, *, first: int, last: int, by_key: bool) -> UsageSums:
    """Sum what models used, *by_key* what each key used with each model.

    The request was for the hours that begin from unix time *first* to *last*. Rows of other hours
    are left out, since some gateways ignore the range: their rows would count once a request. A
    negative amount counts as 0.
    """
    sums: dict[Series, Amounts] = {}
    unread_rows = 0
    rows = content(answer, _decode_usage) or ()
    for raw in rows:
        row = _usage_row(raw)
        if row is None:
            unread_rows += 1
            continue
        if row.created_at and not first <= row.created_at < last + HOUR:
            continue
        series = Series(
            model=label_text(row.model_name),
            key_id=row.token_id if by_key else 0,
        )
        _add(sums, series, row)
    if rows and unread_rows == len(rows):
        raise InvalidResponse("not the expected JSON: no row can be read - at `$.data`")
    return UsageSums(sums=sums, unread_rows=unread_rows)


def parse_usage_by_hour(
    answer: Answer, *, first: int, last: int
) -> dict[int, dict[Series, Amounts]]:
    """Sum what models used by the beginning of the hour, in the hours from *first* to *last*.

    Rows of other hours are left out. A row that does not say its hour, or cannot be read, is an
    InvalidResponse: a history is whole, or it is none.
    """
    hours: dict[int, dict[Series, Amounts]] = {}
    for raw in content(answer, _decode_usage_by_hour) or ():
        row = _usage_row(raw)
        if row is None:
            raise InvalidResponse("expected rows of usage by hour, got one that cannot be read")
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


def _usage_row(raw: msgspec.Raw) -> _UsageRow | None:
    """Return a row, None where one of its fields is missing or cannot be read."""
    try:
        return _decode_row(raw)
    except UNDECODABLE:
        pass
    try:
        fields = Fields(raw)
    except UNDECODABLE:
        return None
    model = fields.text("model_name")
    quota = fields.whole_number("quota")
    tokens = fields.whole_number("token_used")
    requests = fields.whole_number("count")
    key_id = fields.whole_number("token_id") or 0
    created_at = fields.whole_number("created_at") or 0
    if model is None or quota is None or tokens is None or requests is None or fields.unread:
        return None
    return _UsageRow(
        model_name=model,
        quota=quota,
        token_used=tokens,
        count=requests,
        token_id=key_id,
        created_at=created_at,
    )

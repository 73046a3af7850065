"""Turn one raw answer of the API into keys or a balance, or into a typed error.

Pure: knows no HTTP client, no clock, no retries and no paging; the only file that knows the fields of a key and of an
account. The structs have no field for a key's secret, so the decoder never makes a string of it. What a gateway sends
is bounded before it is decoded: a page holds at most 10,000 items.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

import re
import sys
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from exporter.cometapi.answer import UNDECODABLE, Answer, check_status, check_verdict, reject, what_came_instead
from exporter.errors import InvalidResponse
from exporter.model import ApiKey, Balance, label_text

NEVER = -1

MOST_ITEMS = 10_000
MOST_VALUES = 50 * MOST_ITEMS
REPLACEMENT = rb"\ufffd"

# One escape of a surrogate, or two that belong together. It begins with letters, so that it is found at the speed of a
# plain search, however many other escapes there are.
_SURROGATES = re.compile(rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|[89a-fA-F][0-9a-fA-F]{2})")
_ONE_ESCAPE = 6
_BACKSLASH = ord("\\")

Item = TypeVar("Item")
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of keys.

    *total* and *size* are what the gateway says, None for the older variants that answer a bare list. *unreadable*
    are the ids of items that could not be read, *nameless* counts those whose id could not be read either. *is_null*
    marks a page that is null instead of a list, as some forks answer past the end.
    """

    keys: tuple[ApiKey, ...]
    total: int | None = None
    size: int | None = None
    unreadable: tuple[int, ...] = ()
    nameless: int = 0
    is_bare_list: bool = False
    is_null: bool = False

    @property
    def length(self) -> int:
        """How many items came, readable or not."""
        return len(self.keys) + len(self.unreadable) + self.nameless


class _Key(msgspec.Struct, gc=False):
    id: Int64
    status: Int64
    expired_time: Int64
    remain_quota: Int64
    unlimited_quota: bool
    used_quota: Int64
    name: str | None = None
    group: str | None = None
    created_time: Int64 | None = None
    accessed_time: Int64 | None = None
    model_limits_enabled: bool | None = None
    allow_ips: str | None = None
    cross_group_retry: bool | None = None
    models: object = None  # one-api's name for the model limits
    subnet: object = None  # one-api's name for the address list


class _KeyId(msgspec.Struct):
    id: Int64


class _Keys(msgspec.Struct):
    items: list[_Key] | None
    total: int | None = None
    page_size: int | None = None


class _RawKeys(msgspec.Struct):
    items: list[msgspec.Raw] | None
    total: int | None = None
    page_size: int | None = None


class _Account(msgspec.Struct):
    quota: Int64
    used_quota: Int64
    request_count: Int64 | None = None
    id: Int64 | None = None


class _ListEnvelope(msgspec.Struct):
    success: bool
    data: _Keys | list[_Key] | None


class _RawListEnvelope(msgspec.Struct):
    success: bool
    data: _RawKeys | list[msgspec.Raw] | None


class _AccountEnvelope(msgspec.Struct):
    success: bool
    data: _Account


_decode_list = msgspec.json.Decoder(_ListEnvelope).decode
_decode_raw_list = msgspec.json.Decoder(_RawListEnvelope).decode
_decode_account = msgspec.json.Decoder(_AccountEnvelope).decode
_decode_key = msgspec.json.Decoder(_Key).decode
_decode_key_id = msgspec.json.Decoder(_KeyId).decode


def parse_page(answer: Answer) -> Page:
    """Read one page of keys; a key that cannot be read is set aside, a wrong envelope raises an ApiError."""
    check_status(answer)
    if answer.body.count(b",") > MOST_VALUES:
        raise InvalidResponse(f"the page has more than {MOST_VALUES} values")
    try:
        envelope = _decode_list(answer.body)
    except UNDECODABLE:
        return _parse_page_key_by_key(answer)
    if not envelope.success:
        reject()
    data = envelope.data
    if isinstance(data, _Keys):
        keys = tuple(_api_key(key) for key in _bounded(data.items or []))
        return Page(keys=keys, total=data.total, size=data.page_size)
    if data is None:
        return Page(keys=(), is_bare_list=True, is_null=True)
    return Page(keys=tuple(_api_key(key) for key in _bounded(data)), is_bare_list=True)


def parse_balance(answer: Answer) -> Balance:
    """Read what the account has left; raises an ApiError where the answer does not say."""
    check_status(answer)
    check_verdict(answer)
    try:
        data = _decode_account(answer.body).data
    except UNDECODABLE as error:
        raise InvalidResponse(what_came_instead(answer, error)) from None
    return Balance(
        remaining_quota=data.quota, used_quota=data.used_quota, requests=data.request_count, account_id=data.id
    )


def _bounded(items: list[Item]) -> list[Item]:
    if len(items) > MOST_ITEMS:
        raise InvalidResponse(f"the page has more than {MOST_ITEMS} keys")
    return items


def _parse_page_key_by_key(answer: Answer) -> Page:
    check_verdict(answer)
    try:
        data = _decode_raw_list(without_half_pairs(answer.body)).data
    except UNDECODABLE as error:
        raise InvalidResponse(what_came_instead(answer, error)) from None
    keys, unreadable, nameless = [], [], 0
    for raw in _bounded((data.items if isinstance(data, _RawKeys) else data) or []):
        try:
            keys.append(_api_key(_decode_key(raw)))
        except UNDECODABLE:
            key_id = _id_of(raw)
            if key_id is None:
                nameless += 1
            else:
                unreadable.append(key_id)
    page = Page(keys=tuple(keys), unreadable=tuple(unreadable), nameless=nameless)
    if isinstance(data, _RawKeys):
        return msgspec.structs.replace(page, total=data.total, size=data.page_size)
    return msgspec.structs.replace(page, is_bare_list=True)


def without_half_pairs(body: bytes) -> bytes:
    """Write the replacement character for each escape of half a surrogate pair, which no decoder here can skip."""
    return _SURROGATES.sub(_whole_or_replaced, body)


def _whole_or_replaced(found: re.Match[bytes]) -> bytes:
    escapes, rest = found[0][:_ONE_ESCAPE], found[0][_ONE_ESCAPE:]
    before = found.start()
    while before > 0 and found.string[before - 1] == _BACKSLASH:
        before -= 1
    if (found.start() - before) % 2:  # the backslash is itself escaped, so the first escape is none
        return escapes + (REPLACEMENT if rest else b"")
    return found[0] if rest else REPLACEMENT


def _id_of(raw: msgspec.Raw) -> int | None:
    try:
        return _decode_key_id(raw).id
    except UNDECODABLE:
        return None


def _has_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _api_key(wire: _Key) -> ApiKey:
    is_unused = wire.accessed_time == wire.created_time and wire.used_quota <= 0
    return ApiKey(
        id=wire.id,
        name=label_text(wire.name or ""),
        group=sys.intern(label_text(wire.group or "")),
        status=wire.status,
        remaining_quota=None if wire.unlimited_quota else wire.remain_quota,
        used_quota=wire.used_quota,
        expires_at=None if wire.expired_time == NEVER else wire.expired_time,
        created_at=wire.created_time or None,
        last_used_at=None if is_unused else wire.accessed_time or None,
        has_model_limits=bool(wire.model_limits_enabled) or _has_text(wire.models),
        has_ip_allowlist=_has_text(wire.allow_ips) or _has_text(wire.subnet),
        has_cross_group_retry=bool(wire.cross_group_retry),
    )

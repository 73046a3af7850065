"""Turn one raw answer into a page of keys, or into a typed error.

Pure: knows no HTTP client, no clock, no retries and no paging; the only file that knows the fields
of a key. The struct has no field for a key's secret, so the decoder never makes a string of it.
What a gateway sends is bounded before it is decoded: a page holds at most 10,000 items.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

import re
import sys
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.cometapi.answer import UNDECODABLE, Answer, Envelope, Int64, content
from exporter.errors import InvalidResponse
from exporter.model import ApiKey, label_text

NEVER = -1

MOST_ITEMS = 10_000
MOST_VALUES = 50 * MOST_ITEMS

# The first half of a surrogate pair without the second, or the second without the first. It begins
# with letters, so that it is found at the speed of a plain search, however many other escapes there
# are.
_HALF_PAIR = re.compile(
    rb"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|[c-fC-F]..(?<!\\u[dD][89abAB]..\\u....))"
)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of keys.

    *total* and *size* are what the gateway says, None for the older variants that answer a bare
    list. *unreadable* are the ids of items that could not be read, *nameless* counts those whose id
    could not be read either. *is_null* marks a page that is null instead of a list, as some forks
    answer past the end.
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


_Items = Annotated[list[msgspec.Raw], Meta(max_length=MOST_ITEMS)]


class _Keys(msgspec.Struct):
    items: _Items | None
    total: Int64 | None = None
    page_size: Int64 | None = None


_Envelope = Envelope[_Keys | _Items | None]
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_key = msgspec.json.Decoder(_Key).decode
_decode_key_id = msgspec.json.Decoder(_KeyId).decode


def parse_page(answer: Answer) -> Page:
    """Read one page of keys; a key that cannot be read is set aside.

    Raises an ApiError for a wrong envelope.
    """
    data = content(answer, _decode)
    shown = data if isinstance(data, _Keys) else _Keys(items=data)
    keys, unreadable, nameless = [], [], 0
    for raw in shown.items or ():
        try:
            keys.append(_api_key(_decode_key(raw)))
        except UNDECODABLE:
            try:
                unreadable.append(_decode_key_id(raw).id)
            except UNDECODABLE:
                nameless += 1
    return Page(
        keys=tuple(keys),
        total=shown.total,
        size=shown.page_size,
        unreadable=tuple(unreadable),
        nameless=nameless,
        is_bare_list=shown is not data,
        is_null=data is None,
    )


def _decode(body: bytes) -> _Envelope:
    if body.count(b",") > MOST_VALUES:
        raise InvalidResponse(f"the page has more than {MOST_VALUES} values")
    try:
        return _decode_envelope(body)
    except msgspec.DecodeError:
        return _decode_envelope(_without_half_pairs(body))


def _without_half_pairs(body: bytes) -> bytes:
    """Replace each escape of half a surrogate pair, which no decoder here can skip.

    Escaped backslashes are written another way first, so that what looks like an escape is one.
    """
    return _HALF_PAIR.sub(rb"\\ufffd", body.replace(rb"\\", rb"\u005c"))


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

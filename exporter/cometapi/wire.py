"""Decode a response of the list of keys into a page of keys, or raise a typed error.

Pure: knows no HTTP client, no clock, no retries and no paging; the only file that knows the fields
of a key. The struct has no field for a key's secret, so the decoder never makes a string of it.
What a gateway sends is bounded before it is decoded: a page holds at most 10,000 items.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

import functools
import re
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.bounds import MOST_GROUPS
from exporter.cometapi.answer import UNDECODABLE, Answer, Envelope, Int64, content
from exporter.cometapi.fields import Fields, whole_number
from exporter.cometapi.restriction_lists import address_list, model_list
from exporter.errors import InvalidResponse
from exporter.model import (
    UNREAD_LIST,
    ApiKey,
    Restriction,
    RestrictionList,
    Unread,
    label_text,
)

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

    *total* and *size* are what the gateway says, None for the variants that return a bare list.
    *unreadable* are the ids of keys that could not be read, *nameless* counts those whose id could
    not be read either. *unread* names the fields that could not be read, also of keys that could.
    *is_null* marks a page that is null instead of a list, as some forks return past the end.
    """

    keys: tuple[ApiKey, ...]
    total: int | None = None
    size: int | None = None
    unreadable: tuple[int, ...] = ()
    nameless: int = 0
    unread: tuple[Unread, ...] = ()
    is_bare_list: bool = False
    is_null: bool = False

    @property
    def length(self) -> int:
        """How many items came, readable or not."""
        return len(self.keys) + len(self.unreadable) + self.nameless


class _Key(msgspec.Struct, gc=False):
    """A key as nearly all gateways send it; what differs is read field by field."""

    id: Int64
    status: Int64
    expired_time: Int64
    remain_quota: Int64
    unlimited_quota: bool
    used_quota: Int64 | msgspec.UnsetType = msgspec.UNSET
    name: str | None = None
    group: str | None = None
    created_time: Int64 | None = None
    accessed_time: Int64 | None = None
    model_limits_enabled: bool | None = None
    model_limits: str | None = None
    allow_ips: str | None = None
    cross_group_retry: bool | None = None
    # The names in one-api.
    models: str | None = None
    subnet: str | None = None
    # Where one-hub and done-hub keep what restricts a key.
    setting: msgspec.Raw = msgspec.Raw()


_Items = Annotated[list[msgspec.Raw], Meta(max_length=MOST_ITEMS)]


class _Keys(msgspec.Struct):
    """The page of New API, and under other names that of one-hub and done-hub."""

    items: _Items | msgspec.UnsetType | None = msgspec.UNSET
    total: msgspec.Raw = msgspec.Raw()
    page_size: msgspec.Raw = msgspec.Raw()
    data: _Items | msgspec.UnsetType | None = msgspec.UNSET
    total_count: msgspec.Raw = msgspec.Raw()
    size: msgspec.Raw = msgspec.Raw()


_Envelope = Envelope[_Keys | _Items | None]
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_key = msgspec.json.Decoder(_Key).decode


def parse_page(answer: Answer) -> Page:
    """Read one page of keys; a key that cannot be read is set aside.

    Raises an ApiError for a wrong envelope.
    """
    data = content(answer, _decode)
    if not isinstance(data, _Keys):
        return _page(data, is_bare_list=True)
    if data.items is not msgspec.UNSET:
        total = _figure(data.total, "total")
        return _page(data.items, total=total, size=_figure(data.page_size, "page_size"))
    if data.data is not msgspec.UNSET:
        total = _figure(data.total_count, "total_count")
        return _page(data.data, total=total, size=_figure(data.size, "size"))
    raise InvalidResponse(
        "not the expected JSON: Object missing required field `items` - at `$.data`"
    )


def _figure(raw: msgspec.Raw, name: str) -> int | None:
    """Return what the gateway says about the page; None where it says nothing."""
    if bytes(memoryview(raw)[:5]) in {b"", b"null"}:
        return None
    number = whole_number(raw)
    if number is None:
        raise InvalidResponse(f"not the expected JSON: no whole number - at `$.data.{name}`")
    return number


def _page(
    items: _Items | None,
    *,
    total: int | None = None,
    size: int | None = None,
    is_bare_list: bool = False,
) -> Page:
    keys: list[ApiKey] = []
    unreadable: list[int] = []
    unread: list[Unread] = []
    nameless = 0
    for raw in items or ():
        found = _read_key(raw)
        unread += found.unread
        if found.key is not None:
            keys.append(found.key)
        elif found.key_id is not None:
            unreadable.append(found.key_id)
        else:
            nameless += 1
    return Page(
        keys=tuple(keys),
        total=total,
        size=size,
        unreadable=tuple(unreadable),
        nameless=nameless,
        unread=tuple(unread),
        is_bare_list=is_bare_list,
        is_null=is_bare_list and items is None,
    )


class _Found(msgspec.Struct, frozen=True):
    """What could be read of one item.

    *key* is None where a field is missing without which it is none.
    """

    key: ApiKey | None = None
    key_id: int | None = None
    unread: tuple[Unread, ...] = ()


def _read_key(raw: msgspec.Raw) -> _Found:
    try:
        key = _api_key(_decode_key(raw))
    except UNDECODABLE:
        return _read_leniently(raw)
    if key.model_limits is UNREAD_LIST or key.ip_allowlist is UNREAD_LIST:
        return _Found(key=key, unread=(Unread(field="setting", key_id=key.id),))
    return _Found(key=key)


def _read_leniently(raw: msgspec.Raw) -> _Found:
    """Read a key field by field."""
    try:
        fields = Fields(raw)
    except UNDECODABLE:
        return _Found(unread=(Unread(field="id", costs_key=True),))
    key_id = fields.whole_number("id")
    status = fields.whole_number("status")
    is_unlimited = fields.flag("unlimited_quota") or False
    remaining = fields.whole_number("remain_quota")
    used = fields.whole_number("used_quota")
    costly = [name for name, value in (("id", key_id), ("status", status)) if value is None]
    if remaining is None and not is_unlimited:
        costly.append("remain_quota")
    if used is None and fields.has("used_quota"):
        costly.append("used_quota")
    if costly or key_id is None or status is None:
        unread = [Unread(field=name, key_id=key_id, costs_key=True) for name in costly]
        return _Found(key_id=key_id, unread=tuple(unread))
    expires_at = fields.whole_number("expired_time")
    if "expired_time" not in fields.raw:
        fields.unread.append("expired_time")
    key = _api_key(
        _Key(
            id=key_id,
            status=status,
            expired_time=NEVER if expires_at is None else expires_at,
            remain_quota=remaining or 0,
            unlimited_quota=is_unlimited,
            used_quota=msgspec.UNSET if used is None else used,
            name=fields.text("name"),
            group=fields.text("group"),
            created_time=fields.whole_number("created_time"),
            accessed_time=fields.whole_number("accessed_time"),
            model_limits_enabled=fields.flag("model_limits_enabled"),
            model_limits=fields.text("model_limits"),
            allow_ips=fields.text("allow_ips"),
            cross_group_retry=fields.flag("cross_group_retry"),
            models=fields.text("models"),
            subnet=fields.text("subnet"),
            setting=fields.raw.get("setting", msgspec.Raw()),
        )
    )
    # The rest of an unlimited key means nothing.
    names = [name for name in fields.unread if name != "remain_quota"]
    unread = [Unread(field=name, key_id=key_id) for name in names]
    return _Found(key=_with_unread(key, names), key_id=key_id, unread=tuple(unread))


def _with_unread(key: ApiKey, fields: list[str]) -> ApiKey:
    """Return *key* with what is unknown because these *fields* of the API could not be read."""
    if not fields:
        return key
    model_limits = key.model_limits
    if model_limits is None and not _MODEL_FIELDS.isdisjoint(fields):
        model_limits = UNREAD_LIST
    elif model_limits is not None and "model_limits" in fields:
        model_limits = RestrictionList()
    ip_allowlist = key.ip_allowlist
    if ip_allowlist is None and not _ADDRESS_FIELDS.isdisjoint(fields):
        ip_allowlist = UNREAD_LIST
    has_cross_group_retry = key.has_cross_group_retry
    if "cross_group_retry" in fields:
        has_cross_group_retry = None
    return msgspec.structs.replace(
        key,
        model_limits=model_limits,
        ip_allowlist=ip_allowlist,
        has_cross_group_retry=has_cross_group_retry,
        unread=frozenset(_ATTRIBUTES[field] for field in fields if field in _ATTRIBUTES),
    )


_MODEL_FIELDS = frozenset({"model_limits_enabled", "models"})
_ADDRESS_FIELDS = frozenset({"allow_ips", "subnet"})
_ATTRIBUTES = {
    "name": "name",
    "group": "group",
    "unlimited_quota": "remaining_quota",
    "expired_time": "expires_at",
    "created_time": "created_at",
    "accessed_time": "last_used_at",
}
"""The attribute of a key that cannot tell by itself that its field could not be read."""


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


def _has_text(value: str | None) -> bool:
    return value is not None and bool(value.strip())


@functools.lru_cache(maxsize=MOST_GROUPS)
def _group(text: str) -> str:
    """Return the label of a group.

    One text for many keys, and not kept for ever as by sys.intern.
    """
    return label_text(text)


def _api_key(wire: _Key) -> ApiKey:
    used_quota = None if wire.used_quota is msgspec.UNSET else wire.used_quota
    is_unused = wire.accessed_time == wire.created_time and (used_quota or 0) <= 0
    model_limits = _models(wire)
    ip_allowlist: Restriction = address_list(wire.allow_ips or "") or address_list(
        wire.subnet or ""
    )
    if memoryview(wire.setting):
        limits = _Limits.of(wire.setting)
        model_limits = limits.models if model_limits is None else model_limits
        ip_allowlist = limits.addresses if ip_allowlist is None else ip_allowlist
    return ApiKey(
        id=wire.id,
        name=label_text(wire.name or ""),
        group=_group(wire.group or ""),
        status=wire.status,
        remaining_quota=None if wire.unlimited_quota else wire.remain_quota,
        used_quota=used_quota,
        expires_at=None if wire.expired_time == NEVER else wire.expired_time,
        created_at=wire.created_time or None,
        last_used_at=None if is_unused else wire.accessed_time or None,
        model_limits=model_limits,
        ip_allowlist=ip_allowlist,
        has_cross_group_retry=bool(wire.cross_group_retry),
    )


def _models(wire: _Key) -> Restriction:
    if wire.model_limits_enabled:
        return model_list(wire.model_limits or "")
    if _has_text(wire.models):
        return model_list(wire.models or "")
    return None


class _Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What restricts a key of one-hub and done-hub."""

    models: Restriction = UNREAD_LIST
    addresses: Restriction = UNREAD_LIST

    @classmethod
    def of(cls, setting: msgspec.Raw) -> "_Limits":
        """Read the field `setting` of a key."""
        try:
            fields = Fields(setting)
        except UNDECODABLE:
            return cls()
        limits = fields.inner("limits")
        if limits is None and fields.unread:
            return cls()
        if limits is None:
            return cls(models=None, addresses=None)
        return cls(
            models=_enabled_list(limits, "limit_model_setting", "models", model_list),
            addresses=_enabled_list(limits, "limits_ip_setting", "whitelist", _addresses),
        )


def _addresses(entries: list[str]) -> RestrictionList:
    return address_list("\n".join(entries)) or model_list("")


def _enabled_list(
    limits: Fields,
    name: str,
    entries_name: str,
    restriction_list: Callable[[list[str]], RestrictionList],
) -> Restriction:
    """Return the list of a restriction that is switched on, None for one that is not."""
    limit = limits.inner(name)
    if limit is None:
        return UNREAD_LIST if name in limits.unread else None
    is_enabled = limit.flag("enabled")
    if limit.unread:
        return UNREAD_LIST
    if not is_enabled:
        return None
    entries = limit.texts(entries_name)
    if entries is None:
        return RestrictionList()
    return restriction_list(entries)

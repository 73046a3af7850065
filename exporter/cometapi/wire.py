"""Turn one raw answer into a page of keys, or into a typed error.

Pure: knows no HTTP client, no clock, no retries and no paging; the only file that knows the fields
of a key. The struct has no field for a key's secret, so the decoder never makes a string of it.
What a gateway sends is bounded before it is decoded: a page holds at most 10,000 items.

Source: the API's public documentation and the published source of New API, the gateway behind it.
"""

import functools
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.bounds import MOST_GROUPS
from exporter.cometapi.answer import UNDECODABLE, Answer, Envelope, Int64, content
from exporter.cometapi.fields import Fields, whole_number
from exporter.errors import InvalidResponse
from exporter.model import ApiKey, Unread, label_text

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
    """What could be read of one item: *key* is None where a field is missing without which it is none."""

    key: ApiKey | None = None
    key_id: int | None = None
    unread: tuple[Unread, ...] = ()


def _read_key(raw: msgspec.Raw) -> _Found:
    try:
        key = _api_key(_decode_key(raw))
    except UNDECODABLE:
        return _read_leniently(raw)
    if key.has_model_limits is None or key.has_ip_allowlist is None:
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
    return _Found(key=_without(key, names), key_id=key_id, unread=tuple(unread))


def _without(key: ApiKey, unread: list[str]) -> ApiKey:
    """Return *key* with unknown restrictions where the fields that tell them could not be read."""
    unknown = {
        restriction: None
        for restriction, names in _RESTRICTIONS.items()
        if not getattr(key, restriction) and not names.isdisjoint(unread)
    }
    return msgspec.structs.replace(key, **unknown) if unknown else key


_RESTRICTIONS = {
    "has_model_limits": {"model_limits_enabled", "models"},
    "has_ip_allowlist": {"allow_ips", "subnet"},
    "has_cross_group_retry": {"cross_group_retry"},
}


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
    """Return the label of a group: one text for many keys, and not kept for ever as by sys.intern."""
    return label_text(text)


def _api_key(wire: _Key) -> ApiKey:
    used_quota = None if wire.used_quota is msgspec.UNSET else wire.used_quota
    is_unused = wire.accessed_time == wire.created_time and (used_quota or 0) <= 0
    has_model_limits: bool | None = bool(wire.model_limits_enabled) or _has_text(wire.models)
    has_ip_allowlist: bool | None = _has_text(wire.allow_ips) or _has_text(wire.subnet)
    if memoryview(wire.setting):
        limits = _Limits.of(wire.setting)
        has_model_limits = has_model_limits or limits.has_models
        has_ip_allowlist = has_ip_allowlist or limits.has_addresses
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
        has_model_limits=has_model_limits,
        has_ip_allowlist=has_ip_allowlist,
        has_cross_group_retry=bool(wire.cross_group_retry),
    )


class _Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What restricts a key of one-hub and done-hub; None where it could not be read."""

    has_models: bool | None = None
    has_addresses: bool | None = None

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
            return cls(has_models=False, has_addresses=False)
        return cls(
            has_models=_is_enabled(limits, "limit_model_setting"),
            has_addresses=_is_enabled(limits, "limits_ip_setting"),
        )


def _is_enabled(limits: Fields, name: str) -> bool | None:
    """Whether a restriction is switched on; None where it could not be read."""
    limit = limits.inner(name)
    if limit is None:
        return None if name in limits.unread else False
    is_enabled = limit.flag("enabled")
    return None if limit.unread else bool(is_enabled)

"""Describe how the generations and relatives of the gateway list keys and reject requests.

Pure: no sockets, no clock. Keys are given as New API sends them (`builders.a_wire_key`); each
variant sends the same keys in its own fields.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WireKey = dict[str, Any]

GROUPS_PATH = "/api/user/self/groups"
PUBLIC_GROUPS_PATH = "/api/user_group_map"
SUBSCRIPTIONS_PATH = "/api/subscription/self"
USAGE_PATH = "/api/data/self"
USAGE_BY_KEY_PATH = "/api/data/flow/self"

NEVER_ON_ONE_API = frozenset(
    {GROUPS_PATH, SUBSCRIPTIONS_PATH, USAGE_PATH, USAGE_BY_KEY_PATH, PUBLIC_GROUPS_PATH}
)
NEVER_ON_ONE_HUB = frozenset({GROUPS_PATH, SUBSCRIPTIONS_PATH, USAGE_PATH, USAGE_BY_KEY_PATH})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageShown:
    """What the `data` of one page is made of; *number* is the page as the variant counts it."""

    number: int
    size: int
    total: int
    items: list[WireKey] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """How a variant rejects a token and tells that an account is banned.

    *token_status* is the HTTP status for a wrong token. *has_codes*: the JSON has an `AUTH_...`
    code; without them a ban is status 200 with a constant message.
    """

    token_status: int = 401
    has_codes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """How one kind of gateway pages, which fields its keys have, and how it rejects requests."""

    first_page: int
    size_parameter: str | None  # None: the size cannot be asked for
    page_parameter: str = "p"
    most_allowed: int | None = None  # a larger size is an error; None: a larger size is capped
    data: Callable[[PageShown], object]
    key: Callable[[WireKey], WireKey] = dict
    rejection: Rejection = Rejection()
    user_header: str | None = "new-api-user"  # None: the user ID is never required
    never_offers: frozenset[str] = frozenset()  # paths that this kind of gateway does not have
    message: str | None = ""  # the `message` of a success


# The data of one page.


def envelope(page: PageShown) -> object:
    """Show a page as New API does since June 2025."""
    return {"page": page.number, "page_size": page.size, "total": page.total, "items": page.items}


def bare_list(page: PageShown) -> object:
    """Show a page as one-api and older New API do: nothing but the keys."""
    return page.items


def hub_envelope(page: PageShown) -> object:
    """Show a page as one-hub and done-hub do."""
    return {"data": page.items, "page": page.number, "size": page.size, "total_count": page.total}


# The fields of one key.

LACKING_ON_ONE_API = frozenset(
    {"group", "cross_group_retry", "model_limits_enabled", "model_limits", "allow_ips"}
)


def one_api_key(key: WireKey) -> WireKey:
    """Send restrictions as `models` and `subnet`, both separated by commas, and no group."""
    models = key.get("model_limits") if key.get("model_limits_enabled") else ""
    addresses = _lines(key.get("allow_ips"))
    own = {"models": models or "", "subnet": ",".join(addresses)}
    return own | _without(key, LACKING_ON_ONE_API)


def masked_one_api_key(key: WireKey) -> WireKey:
    """Send the key as one-api does, its secret masked."""
    return one_api_key(key) | {"key": "abcd**********wxyz"}


def hub_key(key: WireKey) -> WireKey:
    """Send restrictions inside `setting.limits`, as one-hub and done-hub do."""
    models = _names(key.get("model_limits"))
    addresses = _lines(key.get("allow_ips"))
    limits = {
        "limit_model_setting": {
            "enabled": bool(key.get("model_limits_enabled")),
            "models": models,
        },
        "limits_ip_setting": {"enabled": bool(addresses), "whitelist": addresses},
    }
    own = {
        "backup_group": "",
        "setting": {"heartbeat": {"enabled": False, "timeout_seconds": 0}, "limits": limits},
    }
    lacking = LACKING_ON_ONE_API - {"group"}
    return own | _without(key, lacking)


def _without(key: WireKey, fields: frozenset[str]) -> WireKey:
    return {name: value for name, value in key.items() if name not in fields}


def _lines(text: str | None) -> list[str]:
    return (text or "").split()


def _names(text: str | None) -> list[str]:
    return [name for name in (text or "").split(",") if name]


# The kinds of gateways.

WITHOUT_CODES = Rejection(token_status=200, has_codes=False)

VARIANTS: Mapping[str, Variant] = {
    "new-api": Variant(
        first_page=1,
        size_parameter="page_size",
        data=envelope,
        never_offers=frozenset({PUBLIC_GROUPS_PATH}),
    ),
    # New API for one month.
    "june-2025": Variant(
        first_page=1,
        size_parameter="size",
        data=envelope,
        rejection=Rejection(has_codes=False),
    ),
    "veloera": Variant(
        first_page=0,
        size_parameter="size",
        data=bare_list,
        rejection=Rejection(has_codes=False),
        user_header="veloera-user",
    ),
    # New API before June 2025.
    "older": Variant(first_page=0, size_parameter="size", data=bare_list, rejection=WITHOUT_CODES),
    "one-api": Variant(
        first_page=0,
        size_parameter=None,
        data=bare_list,
        key=one_api_key,
        rejection=WITHOUT_CODES,
        user_header=None,
        never_offers=NEVER_ON_ONE_API,
    ),
    # one-hub and done-hub.
    "one-hub": Variant(
        first_page=1,
        page_parameter="page",
        size_parameter="size",
        most_allowed=100,
        data=hub_envelope,
        key=hub_key,
        rejection=WITHOUT_CODES,
        user_header=None,
        never_offers=NEVER_ON_ONE_HUB,
    ),
    # APIYI, laozhang.ai and yelinai document this list.
    "apiyi": Variant(
        first_page=0,
        size_parameter=None,
        data=bare_list,
        key=masked_one_api_key,
        rejection=WITHOUT_CODES,
        user_header=None,
        never_offers=NEVER_ON_ONE_API,
        message=None,
    ),
}


# What relatives document of single fields.


def texts_of_numbers(
    key: WireKey, fields: Sequence[str] = ("remain_quota", "used_quota")
) -> WireKey:
    """Write numbers as text, as AIHubMix documents them."""
    return key | {name: str(key[name]) for name in fields}


def an_aihubmix_key(key: WireKey) -> WireKey:
    """Send *key* as AIHubMix documents: numbers as text, and status 0 for a disabled key."""
    status = key["status"]
    if status == 2:
        status = 0
    return texts_of_numbers(key) | {"status": status}


def groups_as_texts(*names: str) -> dict[str, str]:
    """Describe open groups as V-API does: a text in place of description and price factor."""
    return {name: f"The group {name}" for name in names}

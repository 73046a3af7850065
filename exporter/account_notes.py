"""Name the state of an account, and describe what is odd about it although its refreshes succeed.

Pure: an account's state in, words out. The status page and `--check` both show them.
"""

from collections.abc import Callable

from exporter.dryness import DRY_AFTER_SECONDS
from exporter.endpoint import ApiPath, EndpointWord, Failure, Unknown, word_of
from exporter.errors import Reason, fix
from exporter.formatting import count, duration, money
from exporter.snapshot import AccountState

# Clocks that NTP keeps differ by less than a second; a minute is noticeable in expiries.
LARGEST_SKEW_SECONDS = 60
# A cache of less delays data by no more than a refresh does at the default interval.
OLDEST_CACHED_SECONDS = 60
CONTENT = {
    ApiPath.KEYS: "the list of keys",
    ApiPath.BALANCE: "the balance",
    ApiPath.STATUS: "the gateway's own status",
    ApiPath.GROUPS: "the list of groups",
    ApiPath.SUBSCRIPTIONS: "the list of subscriptions",
    ApiPath.USAGE: "the usage",
    ApiPath.USAGE_BY_KEY: "the usage of each key",
}
"""What each endpoint is read for."""
# Their advice is about the token and the URL.
REASONS_OF_SETTINGS = (Reason.UNAUTHORIZED, Reason.REJECTED, Reason.INVALID_RESPONSE)


def state_word(state: AccountState) -> str:
    """Name the state of an account in one of the words of docs/architecture.md (Glossary)."""
    if not state.first_refresh_ended:
        return "not read yet"
    if state.is_withdrawn:
        return "stale"
    if state.failing is not None:
        return "failing"
    if state.is_exhausted:
        return "empty"
    return "up"


def units_note(state: AccountState) -> str:
    """Say that the gateway reports other quota units per dollar than are configured, or ""."""
    configured = state.quota_units_per_usd
    reported = state.reported_units_per_usd
    if reported is None or reported == configured:
        return ""
    return (
        f"{configured:,.9g} quota units per USD are configured, the gateway reports {reported:,.9g}"
    )


def assumed_note(state: AccountState) -> str:
    """Say that the quota units of a dollar are assumed, and why; "" if they are not."""
    if state.configured_units_per_usd is not None or state.reported_units_per_usd is not None:
        return ""
    status = state.endpoints.status
    if isinstance(status, Unknown) and status.failure is None:
        return ""
    word = word_of(status)
    why = (
        "the gateway does not tell" if word is EndpointWord.KNOWN else f"{ApiPath.STATUS} is {word}"
    )
    return f"assumed {state.quota_units_per_usd:,.9g} quota units per USD: {why}"


def dry_note(state: AccountState) -> str:
    """Say that the account has probably or possibly run dry, or ""."""
    if state.dryness is None:
        return ""
    rest = f"it has spent nothing for {duration(DRY_AFTER_SECONDS)}"
    return f"the account has {state.dryness} run dry: {rest}, and has {_little_left(state)}"


def little_left_note(state: AccountState) -> str:
    """Say that the account has less left than a typical request costs, or ""."""
    left = state.largest_purse_quota
    price = state.usual_price
    if left is None or left <= 0 or price is None or left >= price:
        return ""
    return f"the account has {_little_left(state)}"


def _little_left(state: AccountState) -> str:
    left = state.largest_purse_quota or 0
    price = state.usual_price
    typical = "" if price is None else f"; a typical one costs {money(state.usd(price))}"
    return f"{money(state.usd(left))} left for one request{typical}"


def gifts_note(state: AccountState) -> str:
    """Say that what the account can spend is unknown because of gifts, or ""."""
    if state.balance is None or not state.balance.has_gifts:
        return ""
    return "the account has gifts (gift_quota) beside its wallet: what it can spend is unknown"


def unreadable_note(state: AccountState) -> str:
    """Say how many running subscriptions could not be read, or ""."""
    found = state.subscriptions
    if found is None or not found.unreadable:
        return ""
    return f"{count(found.unreadable, 'subscription')} could not be read: what is left is unknown"


def endpoint_note(state: AccountState, path: ApiPath) -> str:
    """Say what a failure of the endpoint at *path* means for what is shown of it."""
    unread = f"{CONTENT[path]} ({path}) cannot be read"
    if word_of(state.endpoints.at(path)) is EndpointWord.FAILING:
        return f"{unread}, the last known value is shown"
    return f"{unread} and is unknown"


def endpoint_advice(state: AccountState, failure: Failure, *, in_file: bool) -> str:
    """Say what to do about an endpoint beside the keys.

    Where those come, token and URL are right.
    """
    if state.lists_keys and failure.reason in REASONS_OF_SETTINGS:
        return (
            "ask the gateway's operator why this path is rejected; the keys are read, so leave "
            "the access token and the URL as they are"
        )
    return fix(failure.reason, in_file=in_file)


def balance_text(state: AccountState, money: Callable[[float], str]) -> str:
    """Write what the wallet has left, or in one word why that cannot be said."""
    if state.balance is None:
        return word_of(state.endpoints.balance)
    return money(state.usd(state.balance.remaining_quota))


def subscriptions_text(state: AccountState, money: Callable[[float], str]) -> str:
    """Write what the running subscriptions have left; "" where none is running or offered."""
    found = state.subscriptions
    if found is None:
        is_unknown = word_of(state.endpoints.subscriptions) is EndpointWord.UNKNOWN
        return "unknown" if is_unknown else ""
    if not found.is_any_running:
        return ""
    if found.has_unlimited:
        return "no limit"
    left = found.remaining_quota
    return "unknown" if left is None else f"{money(state.usd(left))} left"


def cached_note(state: AccountState) -> str:
    """Say how old the data of a cache is; "" if it is not old."""
    if state.cached_seconds <= OLDEST_CACHED_SECONDS:
        return ""
    return (
        f"a cache in front of the gateway returned keys that are {duration(state.cached_seconds)} "
        "old, although the exporter asks for fresh data"
    )


def skew_note(state: AccountState) -> str:
    """Say by how much this machine's clock is off; "" if it is not, or if that is not known."""
    skew = state.clock_skew or 0.0
    if abs(skew) <= LARGEST_SKEW_SECONDS:
        return ""
    direction = "ahead of" if skew > 0 else "behind"
    return f"this machine's clock is {duration(abs(skew))} {direction} the gateway's"

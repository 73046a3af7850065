"""Hold what is known of one endpoint, and say how a response or an error changes it.

Pure: knows no HTTP and no clock; moments are arguments. It knows nothing of what an endpoint
returns either.

    Unknown ──answered──> Known ──failed──> Failing ──answered──> Known
       └────not offered────> NotOffered ──answered──> Known

A value that was read is never replaced by a guess: while its endpoint fails it stays, and once it
is older than stale-after it is no longer shown. Only an endpoint that never answered can turn out
to be *not offered*, and only while the same token lists the keys: a rejected token or a banned
account says nothing about what a gateway offers.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from exporter.errors import ApiError, Reason


class ApiPath(StrEnum):
    """The endpoints that are read, as they are named in metrics and log lines."""

    KEYS = "/api/token/"
    BALANCE = "/api/user/self"
    STATUS = "/api/status"
    GROUPS = "/api/user/self/groups"
    SUBSCRIPTIONS = "/api/subscription/self"
    USAGE = "/api/data/self"
    USAGE_BY_KEY = "/api/data/flow/self"


Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by both clocks.

    Unix seconds are shown to people, monotonic seconds measure ages.
    """

    unix: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an endpoint fails, and since which unix time.

    *text* holds nothing that a gateway sent as free text. *denies_endpoint* tells whether the
    response is one that gateways give for an endpoint that they do not have.
    """

    reason: Reason
    text: str
    since: float
    denies_endpoint: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The endpoint never returned its content. *failure* is None before the first error."""

    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class NotOffered:
    """The gateway has no such endpoint."""


@dataclass(frozen=True, slots=True)
class Known(Generic[Value]):
    """The endpoint answered, and reading *value* began at *read_at*.

    *is_stale* tells whether the value is older than stale-after: it is remembered, and not shown.
    """

    value: Value
    read_at: Moment
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Failing(Generic[Value]):
    """The endpoint answered before and fails now; *last* is what it said."""

    failure: Failure
    last: Known[Value]


EndpointState: TypeAlias = Unknown | NotOffered | Known[Value] | Failing[Value]
"""What is known of one endpoint."""


def last_known(state: EndpointState[Value]) -> Known[Value] | None:
    """Return what the endpoint said last, however old; None where it never answered."""
    match state:
        case Known():
            return state
        case Failing():
            return state.last
        case _:
            return None


def value_of(state: EndpointState[Value]) -> Value | None:
    """Return the value to show; None where there is none or where it is stale."""
    known = last_known(state)
    if known is None or known.is_stale:
        return None
    return known.value


def failure_of(state: EndpointState[Value]) -> Failure | None:
    """Return why the last request failed.

    None where it did not, or the gateway has no such endpoint.
    """
    match state:
        case Unknown() | Failing():
            return state.failure
        case _:
            return None


def is_unknown(state: EndpointState[Value]) -> bool:
    """Whether nothing can be said: never answered, or stale. *Not offered* is something to say."""
    if isinstance(state, NotOffered):
        return False
    known = last_known(state)
    return known is None or known.is_stale


class EndpointWord(StrEnum):
    """What is known of an endpoint, in one word; a value that is too old is not known any more."""

    KNOWN = "known"
    FAILING = "failing"
    UNKNOWN = "unknown"
    NOT_OFFERED = "not offered"


def word_of(state: EndpointState[Value]) -> EndpointWord:
    """Say in one word what is known of an endpoint."""
    if isinstance(state, NotOffered):
        return EndpointWord.NOT_OFFERED
    if is_unknown(state):
        return EndpointWord.UNKNOWN
    return EndpointWord.FAILING if isinstance(state, Failing) else EndpointWord.KNOWN


def failed(state: EndpointState[Value], error: ApiError, at: float) -> EndpointState[Value]:
    """Return what is known after *error* at unix time *at*.

    A failure begins with its first error.
    """
    if isinstance(state, NotOffered):
        return state
    before = failure_of(state)
    failure = Failure(
        reason=error.reason,
        text=str(error),
        since=at if before is None else before.since,
        denies_endpoint=error.denies_endpoint,
    )
    known = last_known(state)
    return Unknown(failure) if known is None else Failing(failure, known)


def with_keys_listed(state: EndpointState[Value]) -> EndpointState[Value]:
    """Return what is known once the same token has listed the keys: a denial is believed then."""
    if isinstance(state, Unknown) and state.failure is not None and state.failure.denies_endpoint:
        return NotOffered()
    return state


def aged(
    state: EndpointState[Value], now: Moment, stale_after_seconds: float
) -> EndpointState[Value]:
    """Return *state* with its value marked as stale where it is that old.

    The same object where nothing changes.
    """
    known = last_known(state)
    if known is None or known.is_stale:
        return state
    if now.monotonic - known.read_at.monotonic < stale_after_seconds:
        return state
    stale = replace(known, is_stale=True)
    return replace(state, last=stale) if isinstance(state, Failing) else stale


def with_value(state: EndpointState[Value], value: Value) -> EndpointState[Value]:
    """Return *state* with another *value* in the place of what the endpoint said last."""
    match state:
        case Known():
            return replace(state, value=value)
        case Failing():
            return replace(state, last=replace(state.last, value=value))
        case _:
            return state

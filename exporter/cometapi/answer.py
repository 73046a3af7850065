"""Judge an answer before its content is used: whether it is one of this API, and whether it says yes.

Pure: knows no HTTP client, no clock, no keys. The errors never quote the answer's free text: a
`message` may hold anything, and a `Location` only lends its origin.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from exporter.errors import (
    AccountDisabled,
    ApiError,
    InvalidResponse,
    NoSuchEndpoint,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
)

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
SAFE_CODES = (
    "AUTH_UNAUTHORIZED",
    "AUTH_USER_INVALID",
    "AUTH_USER_DISABLED",
    "AUTH_INTERNAL_ERROR",
    "AUTH_SESSION_REVOKED",
    "AUTH_TOKEN_EXPIRED",
)
"""The codes that gateways of this family are known to send: these alone may be printed."""
REJECTED = "the gateway refused the request (success: false)"
_ORIGIN = re.compile(r"(https?://)(?:[^/?#]*@)?([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)(?:[/?#]|$)")

Content = TypeVar("Content")
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""A number as the gateways' databases hold it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer as it came: header names in lower case, *received_at* in unix seconds.

    *user_id* is the one that the request named, None where it named none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float
    user_id: int | None = None


class Envelope(msgspec.Struct, Generic[Content]):
    """What every answer of this API is wrapped in."""

    success: bool
    data: Content


class _Verdict(msgspec.Struct):
    success: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()


_decode_verdict = msgspec.json.Decoder(_Verdict).decode


def content(answer: Answer, decode: Callable[[bytes], Envelope[Content]]) -> Content:
    """Return what the answer holds; raises the ApiError that its status, its verdict or its shape stands for."""
    check_status(answer)
    try:
        envelope = decode(answer.body)
    except UNDECODABLE as error:
        check_verdict(answer)
        kind = NoSuchEndpoint if _is_web_page(answer) else InvalidResponse
        raise kind(what_came_instead(answer, error)) from None
    if not envelope.success:
        raise Rejected(REJECTED)
    return envelope.data


def check_status(answer: Answer) -> None:
    """Raise the ApiError that the status stands for; return for one that promises content."""
    status = answer.status
    if status in {401, 403}:
        raise _refusal(answer)
    if status == 429:  # noqa: PLR2004 - the number is the well-known name
        raise RateLimited("too many requests (HTTP 429)", retry_after=retry_after(answer))
    if status >= 500:  # noqa: PLR2004 - likewise
        raise ServerFault(
            f"the gateway has a problem (HTTP {status})", retry_after=retry_after(answer)
        )
    if 300 <= status < 400:  # noqa: PLR2004 - likewise
        raise NoSuchEndpoint(
            f"redirects are not followed (HTTP {status} to {_origin_of(answer)}): is the base URL right?"
        )
    if status >= 400:  # noqa: PLR2004 - likewise
        check_verdict(answer)
        kind = NoSuchEndpoint if status == 404 else InvalidResponse  # noqa: PLR2004 - likewise
        raise kind(f"there is no API of this kind (HTTP {status}): is the base URL right?")


def _refusal(answer: Answer) -> ApiError:
    """Say why the gateway refuses the token, as far as it says so itself."""
    code = bytes(_verdict(answer).code)[:99].decode("ascii", "replace").strip('"')
    said = f"HTTP {answer.status}, {code}" if code in SAFE_CODES else f"HTTP {answer.status}"
    if code == "AUTH_USER_DISABLED":
        return AccountDisabled(f"the gateway reports the account as disabled ({said})")
    if answer.user_id is None:
        return Unauthorized(
            f"the gateway refused the access token ({said}), or it requires a user ID: none is set"
        )
    return Unauthorized(
        f"the gateway refused the access token ({said}), or user ID {answer.user_id} does not own the token"
    )


def check_verdict(answer: Answer) -> None:
    """Raise Rejected where the body is JSON that says success: false, whatever else is wrong with it."""
    if bytes(_verdict(answer).success) == b"false":
        raise Rejected(REJECTED)


def _verdict(answer: Answer) -> _Verdict:
    try:
        return _decode_verdict(answer.body)
    except UNDECODABLE:
        return _Verdict()


def retry_after(answer: Answer) -> float | None:
    """Return the pause that the answer asks for, in seconds; None where it names none that can be read.

    Source: RFC 9110 section 10.2.3, both forms.
    """
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,10}", text):
        return float(text)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - answer.received_at)


def clock_skew(answer: Answer) -> float | None:
    """Return how many seconds the receiving machine's clock is ahead of the sender's; None where it names no time."""
    moment = _moment(answer.headers.get("date", ""))
    return None if moment is None else answer.received_at - moment


def _moment(text: str) -> float | None:
    """Return an HTTP date as unix seconds; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _origin_of(answer: Answer) -> str:
    location = answer.headers.get("location", "").lower()
    if origin := _ORIGIN.match(location):
        return origin[1] + origin[2]
    return (
        "an unreadable address"
        if re.match(r"[a-z]*:|//", location)
        else "another path of the same host"
    )


def what_came_instead(answer: Answer, error: Exception) -> str:
    """Say what came where JSON was expected; of wrong JSON the path that is wrong."""
    if isinstance(error, msgspec.ValidationError):
        return f"not the expected JSON: {error}"
    if not answer.body:
        return "expected JSON, got an empty body"
    if _is_web_page(answer):
        return "expected JSON, got a web page: is the base URL right?"
    return "expected JSON, got something else"


def _is_web_page(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    return kind == "text/html" and bool(answer.body)

"""Judge a response before its content is used: whose word it is, and whether it says yes.

Pure: knows no HTTP client, no clock, no keys. Between the exporter and a gateway stand firewalls,
content delivery networks, portals and proxies that respond in the gateway's place, with any
status. Only JSON in the shapes of the family is the gateway's own word:

    {"success": false, "message": "...", ...}         often with a code, AUTH_...
    {"error": {"message": "...", "type": "..."}}      for a path that it does not have

The errors never quote free text of the response: a `message` may hold anything, and a `Location`
only lends its origin.
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
    Blocked,
    InvalidResponse,
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
BAN_MESSAGE = "用户已被封禁"
"""How gateways without codes say that an account is banned: the same in all of them."""

# The longest code is a tenth of this, and the message of a ban has 18 bytes, 36 with escapes.
_LONGEST_WORD = 300
# Labels of host names are shorter than this, access tokens longer.
LONGEST_LABEL = 20
_ORIGIN = re.compile(r"(https?://)(?:[^/?#]*@)?([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)(?:[/?#]|$)")
_BEGINNING_OF_A_PAGE = re.compile(
    rb"[\s\xef\xbb\xbf]*<(?:!doctype|html|head|script)", re.IGNORECASE
)

Content = TypeVar("Content")
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""A number as the gateways' databases hold it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP response as it came: header names in lower case, *received_at* in unix seconds.

    *user_id* is the one that the request named, None where it named none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float
    user_id: int | None = None


class Envelope(msgspec.Struct, Generic[Content]):
    """What every response of this API is wrapped in."""

    success: bool
    data: Content


class _Word(msgspec.Struct):
    """The fields by which a response shows that the gateway itself speaks; each may be missing."""

    success: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _RelativesError(msgspec.Struct):
    message: str
    type: str


_decode_word = msgspec.json.Decoder(_Word).decode
_decode_relatives_error = msgspec.json.Decoder(_RelativesError).decode
_decode_text = msgspec.json.Decoder(str).decode


def content(answer: Answer, decode: Callable[[bytes], Envelope[Content]]) -> Content:
    """Return what the response holds; raises the ApiError that it stands for."""
    check_status(answer)
    try:
        envelope = decode(answer.body)
    except UNDECODABLE as error:
        check_verdict(answer)
        raise InvalidResponse(
            what_came_instead(answer, error), denies_endpoint=_is_front_end(answer)
        ) from None
    if not envelope.success:
        raise _rejection(answer)
    return envelope.data


def check_status(answer: Answer) -> None:
    """Raise the ApiError that the status stands for; return for one that promises content."""
    status = answer.status
    if status == 429:  # noqa: PLR2004 - the number is the well-known name
        raise RateLimited("too many requests (HTTP 429)", retry_after=retry_after(answer))
    if status >= 500:  # noqa: PLR2004 - likewise
        raise ServerFault(_trouble(answer), retry_after=retry_after(answer))
    if status >= 400:  # noqa: PLR2004 - likewise
        raise _client_error(answer)
    if status >= 300:  # noqa: PLR2004 - likewise
        raise InvalidResponse(
            f"redirects are not followed (HTTP {status} to {_origin_of(answer)}): "
            "is the base URL right?",
            denies_endpoint=True,
        )


def check_verdict(answer: Answer) -> None:
    """Raise Rejected or AccountDisabled where the body is JSON that says `success: false`."""
    if _says_no(_word(answer)):
        raise _rejection(answer)


def _client_error(answer: Answer) -> ApiError:
    """Say what a status from 400 to 499 means, which is different in the gateway's own words."""
    status = answer.status
    word = _word(answer)
    if not _is_of_the_family(word):
        return _blocked(answer)
    if _says_ban(word):
        return _account_disabled(answer, word)
    if status in {401, 403}:
        return _unauthorized(answer, word)
    if status == 404:  # noqa: PLR2004 - the number is the well-known name
        return InvalidResponse(
            f"the gateway has no such path ({_said(answer, word)}): is the base URL right?",
            denies_endpoint=True,
        )
    return _rejection(answer)


def _unauthorized(answer: Answer, word: _Word) -> ApiError:
    said = _said(answer, word)
    if answer.user_id is None:
        return Unauthorized(
            f"the gateway rejected the access token ({said}), or it requires a user ID: none is set"
        )
    return Unauthorized(
        f"the gateway rejected the access token ({said}), "
        f"or user ID {answer.user_id} does not own the token"
    )


def _account_disabled(answer: Answer, word: _Word) -> ApiError:
    said = _said(answer, word)
    return AccountDisabled(f"the gateway reports that the account is banned ({said})")


def _rejection(answer: Answer) -> ApiError:
    word = _word(answer)
    if _says_ban(word):
        return _account_disabled(answer, word)
    return Rejected(
        f"the gateway rejected the request ({_said(answer, word)})", denies_endpoint=True
    )


def _blocked(answer: Answer) -> ApiError:
    """Say that something before the gateway responded, and what it wants as far as it says so."""
    where = f"HTTP {answer.status}, {_what_came(answer)}"
    if _is_by_cloudflare(answer):
        where = f"HTTP {answer.status}, by its headers from Cloudflare"
    hint = ""
    scheme = answer.headers.get("www-authenticate", "").partition(" ")[0].strip(",").lower()
    if answer.status == 404:  # noqa: PLR2004 - the number is the well-known name
        hint = ": the base URL is wrong, or something else responds in the gateway's place"
    elif scheme == "bearer":
        hint = "; it asks for `Bearer` before the token, which the option auth-scheme adds"
    elif scheme == "basic":
        hint = "; it asks for a user name and a password of its own"
    return Blocked(
        f"the response is not the gateway's own ({where}){hint}",
        denies_endpoint=answer.status == 404 and not _is_json(answer) and not _is_challenge(answer),  # noqa: PLR2004 - likewise
    )


def _trouble(answer: Answer) -> str:
    if _is_by_cloudflare(answer) and not _is_of_the_family(_word(answer)):
        return f"Cloudflare reports trouble with the gateway (HTTP {answer.status})"
    return f"the gateway, or something before it, has a problem (HTTP {answer.status})"


# Whose word it is.


def _word(answer: Answer) -> _Word:
    try:
        return _decode_word(answer.body)
    except UNDECODABLE:
        return _Word()


def _is_of_the_family(word: _Word) -> bool:
    if _code(word):
        return True
    if _is_boolean(word.success) and _is_text_or_null(word.message):
        return True
    try:
        _decode_relatives_error(word.error)
    except UNDECODABLE:
        return False
    return True


def _says_no(word: _Word) -> bool:
    return _beginning(word.success) == b"false"


def _says_ban(word: _Word) -> bool:
    if _code(word) == "AUTH_USER_DISABLED":
        return True
    return _says_no(word) and _short_text(word.message) == BAN_MESSAGE


def _code(word: _Word) -> str:
    """Return the code where it is one of the family's, else an empty text."""
    code = _short_text(word.code)
    return code if code in SAFE_CODES else ""


def _said(answer: Answer, word: _Word) -> str:
    """Name the status, and of the body what is safe to print."""
    parts = []
    if answer.status >= 300:  # noqa: PLR2004 - the first status that says more than "here it is"
        parts.append(f"HTTP {answer.status}")
    if _code(word):
        parts.append(_code(word))
    elif _says_no(word):
        parts.append("success: false")
    return ", ".join(parts) or f"HTTP {answer.status}"


def _is_boolean(raw: msgspec.Raw) -> bool:
    return _beginning(raw) in {b"true", b"false"}


def _is_text_or_null(raw: msgspec.Raw) -> bool:
    beginning = _beginning(raw)
    return beginning.startswith(b'"') or beginning == b"null"


def _beginning(raw: msgspec.Raw) -> bytes:
    """Return the first bytes, enough to tell one word of JSON from another."""
    return bytes(memoryview(raw)[:8])


def _short_text(raw: msgspec.Raw) -> str:
    if len(memoryview(raw)) > _LONGEST_WORD:
        return ""
    try:
        return _decode_text(raw)
    except UNDECODABLE:
        return ""


def _is_by_cloudflare(answer: Answer) -> bool:
    """Whether Cloudflare's headers are there; they are on what it passes on as well."""
    return answer.headers.get("server", "").lower() == "cloudflare" or "cf-ray" in answer.headers


def _is_challenge(answer: Answer) -> bool:
    return "cf-mitigated" in answer.headers


# What came instead of JSON.


def what_came_instead(answer: Answer, error: Exception) -> str:
    """Say what came where JSON was expected; of wrong JSON the path that is wrong."""
    if isinstance(error, msgspec.ValidationError):
        return f"not the expected JSON: {error}"
    came = _what_came(answer)
    if _is_page(answer):
        return f"expected JSON, got {came}: is the base URL right?"
    return f"expected JSON, got {came}"


def _what_came(answer: Answer) -> str:
    if not answer.body:
        return "an empty body"
    if _is_page(answer):
        return "a web page"
    if _is_json(answer):
        return "JSON of another kind"
    return "data that is neither JSON nor a web page"


def _is_page(answer: Answer) -> bool:
    if not answer.body:
        return False
    return _kind(answer) == "text/html" or _BEGINNING_OF_A_PAGE.match(answer.body) is not None


def _is_front_end(answer: Answer) -> bool:
    """Whether it is a page such as front ends show for paths that they do not know."""
    return _is_page(answer) and not _is_challenge(answer)


def _is_json(answer: Answer) -> bool:
    try:
        msgspec.json.decode(answer.body, type=msgspec.Raw)
    except UNDECODABLE:
        return False
    return True


def _kind(answer: Answer) -> str:
    return answer.headers.get("content-type", "").split(";")[0].strip().lower()


def _origin_of(answer: Answer) -> str:
    location = answer.headers.get("location", "").lower()
    if origin := _ORIGIN.match(location):
        labels = origin[2].split(".")
        # A gateway may put the token that it received into the name of a host.
        shown = [label if len(label) <= LONGEST_LABEL else "…" for label in labels]
        return origin[1] + ".".join(shown)
    return (
        "an unreadable address"
        if re.match(r"[a-z]*:|//", location)
        else "another path of the same host"
    )


# Times.


def retry_after(answer: Answer) -> float | None:
    """Return the pause that the response asks for, in seconds; None where it names none.

    Source: RFC 9110 section 10.2.3, both forms.
    """
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,10}", text):
        return float(text)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - answer.received_at)


def age(answer: Answer) -> float:
    """Return how long a cache has kept the response, in seconds, 0 where it names no age.

    Source: RFC 9111 section 5.1.
    """
    text = answer.headers.get("age", "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0.0


def clock_skew(answer: Answer) -> float | None:
    """Return how many seconds the receiving machine's clock is ahead of the sender's.

    None where the response names no time. An age explains a difference before the clock does. Some
    caches renew the date of what they have kept and others do not, so the smaller difference
    counts.
    """
    moment = _moment(answer.headers.get("date", ""))
    if moment is None:
        return None
    skew = answer.received_at - moment
    skew_of_kept = skew - age(answer)
    return skew if abs(skew) <= abs(skew_of_kept) else skew_of_kept


def _moment(text: str) -> float | None:
    """Return an HTTP date as unix seconds; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

"""Name everything that can go wrong, once.

Pure: knows no HTTP, no JSON, no log. The members of `Reason` are the closed set used verbatim as metric labels,
log fields, alert selectors and runbook headings; every error below carries exactly one of them.

    ExporterError
    ├── SettingsError         wrong settings, all of them at once      exit code 2
    ├── StartError            cannot begin to work (a port in use)     exit code 1
    └── ApiError              the API, or the way to it, failed
        ├── Unauthorized      the access token is missing, unreadable or refused
        ├── AccountDisabled   the gateway says that the account is banned
        ├── RateLimited       HTTP 429
        ├── ServerFault       HTTP 5xx                                 worth another try
        ├── TimedOut          no whole answer within the deadline      worth another try
        ├── Unreachable       no connection, or it broke               worth another try
        ├── Rejected          the API said success: false
        ├── InvalidResponse   not the API's format at all
        └── TooManyKeys       more keys than --keys.max allows
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

SUCCESS = "success"


class Reason(StrEnum):
    """Why a refresh did not succeed."""

    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    INVALID_RESPONSE = "invalid_response"
    INCONSISTENT = "inconsistent"
    ACCOUNT_DISABLED = "account_disabled"
    TOO_MANY_KEYS = "too_many_keys"
    INTERNAL = "internal"


FIXES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.UNAUTHORIZED: "create a new access token in the console under Personal Settings; a self-hosted gateway "
        "also requires --cometapi.user-id (COMETAPI_USER_ID)",
        Reason.RATE_LIMITED: "wait, then lower --collect.max-requests-per-minute or lengthen --collect.interval",
        Reason.SERVER_ERROR: "wait and try again; if it persists, ask the gateway's operator",
        Reason.TIMEOUT: "check the network, or lengthen --collect.timeout",
        Reason.UNREACHABLE: "check --cometapi.base-url, the network, proxies; --cometapi.ca-file trusts a private CA",
        Reason.REJECTED: "check the access token (older gateways answer a wrong one like this) and the user ID",
        Reason.INVALID_RESPONSE: "check --cometapi.base-url: it must be the URL of the API, not of a web page",
        Reason.INCONSISTENT: "keys are created and deleted while they are listed; no action needed unless it lasts",
        Reason.ACCOUNT_DISABLED: "the account is banned: a new token does not help, ask the gateway's operator",
        Reason.TOO_MANY_KEYS: "raise --keys.max, and the memory limit with it, or delete keys that are not needed",
        Reason.INTERNAL: "a bug in the exporter: please report it and include the log line",
    }
)
"""What to do about each reason, for people; it names flags."""

_FLAG = re.compile(r"--(?:cometapi\.|(collect\.|keys\.))([a-z-]+)(?: \([A-Z_]+\))?")


def fix(reason: Reason, *, in_file: bool) -> str:
    """Return what to do about *reason*; *in_file* names the keys of the accounts file instead of flags."""
    if not in_file:
        return FIXES[reason]
    return _FLAG.sub(lambda flag: (flag[1] or "") + flag[2].replace("-", "_"), FIXES[reason])


class ExporterError(Exception):
    """Anything this program raises on purpose."""


class SettingsError(ExporterError):
    """Settings that cannot be used.

    *problems* holds one sentence for each, naming its flag and variable (or its path in a file) and the fix.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StartError(ExporterError):
    """The settings are right, but the machine does not let us start."""


class ApiError(ExporterError):
    """A failed exchange with the API; its text never holds anything the API or the user sent as free text.

    *retry_after* is the pause that the gateway asked for in seconds, None where it asked for none.
    """

    reason: ClassVar[Reason] = Reason.INTERNAL
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unauthorized(ApiError):
    """The access token is missing, unreadable or refused."""

    reason = Reason.UNAUTHORIZED


class AccountDisabled(ApiError):
    """The gateway says that the account is banned; a new token does not help."""

    reason = Reason.ACCOUNT_DISABLED


class RateLimited(ApiError):
    """HTTP 429."""

    reason = Reason.RATE_LIMITED


class ServerFault(ApiError):
    """HTTP 5xx: the gateway, or something before it, is in trouble."""

    reason = Reason.SERVER_ERROR
    transient = True


class TimedOut(ApiError):
    """No whole answer came within the deadline of one request."""

    reason = Reason.TIMEOUT
    transient = True


class Unreachable(ApiError):
    """No connection could be made, or it broke before the answer was whole."""

    reason = Reason.UNREACHABLE
    transient = True


class Rejected(ApiError):
    """The API answered `success: false`."""

    reason = Reason.REJECTED


class InvalidResponse(ApiError):
    """The response is not in the API's format."""

    reason = Reason.INVALID_RESPONSE


class TooManyKeys(ApiError):
    """The account has more keys than the configured maximum."""

    reason = Reason.TOO_MANY_KEYS

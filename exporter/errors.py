"""Name everything that can go wrong, once.

Pure: knows no HTTP, no JSON, no log. The members of `Reason` are the closed set used verbatim as metric labels,
log fields, alert selectors and runbook headings; every error below carries exactly one of them.

    ExporterError
    ├── SettingsError         wrong settings, all of them at once      exit code 2
    ├── StartError            cannot begin to work (a port in use)     exit code 1
    └── ApiError              the API, or the way to it, failed
        ├── Unauthorized      the access token is missing, unreadable or refused
        ├── RateLimited       HTTP 429
        ├── ServerFault       HTTP 5xx                                 worth another try
        ├── TimedOut          no whole answer within the deadline      worth another try
        ├── Unreachable       no connection, or it broke               worth another try
        ├── Rejected          the API said success: false
        └── InvalidResponse   not the API's dialect at all
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why a round did not succeed."""

    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    INVALID_RESPONSE = "invalid_response"
    INCONSISTENT = "inconsistent"
    INTERNAL = "internal"


class ExporterError(Exception):
    """Anything this program raises on purpose."""


class SettingsError(ExporterError):
    """Settings that cannot be used.

    *problems* holds one sentence for each, naming its flag and variable (or its path in a file) and the mend.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StartError(ExporterError):
    """The settings are right, but the machine does not let us start."""


class ApiError(ExporterError):
    """A failed exchange with the API; its text never holds anything the API or the user sent as free text."""

    reason: ClassVar[Reason] = Reason.INTERNAL
    transient: ClassVar[bool] = False


class Unauthorized(ApiError):
    """The access token is missing, unreadable or refused."""

    reason = Reason.UNAUTHORIZED


class RateLimited(ApiError):
    """HTTP 429; *retry_after* is the pause the server asked for in seconds, None where it named none."""

    reason = Reason.RATE_LIMITED

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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
    """What answered does not speak the API's dialect."""

    reason = Reason.INVALID_RESPONSE

"""Name the ways in which settings, the start and the refreshes fail.

Pure: knows no HTTP, no JSON, no log. The members of `Reason` are the closed set used verbatim as
metric labels, log fields, alert selectors and runbook headings; every ApiError carries exactly one
of them.

    ExporterError
    ├── SettingsError     wrong settings, all of them at once               exit code 2
    ├── BackfillError     there is no history to write                      exit code 1
    └── ApiError          the API, or the way to it, failed: one kind for each reason

Two reasons have no kind: `internal` is ApiError itself, `inconsistent` is no error. What knows
nothing of accounts has errors apart: `ListenError`, `YamlError`.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Self

SUCCESS = "success"

_FLAG = re.compile(r"--(?:cometapi\.|(collect\.|keys\.))([a-z-]+)(?: \([A-Z_]+\))?")


class Reason(StrEnum):
    """Why a refresh did not succeed; *advice* tells people what to do, and names flags."""

    advice: str

    def __new__(cls, word: str, advice: str) -> Self:
        """Make the member that is the text *word*."""
        reason = str.__new__(cls, word)
        reason._value_, reason.advice = word, advice
        return reason

    UNAUTHORIZED = (
        "unauthorized",
        (
            "check the user ID (--cometapi.user-id; the console shows it under Personal Settings); "
            "then check that the token can be read and is the account's access token, alone on one "
            "line, without quotes and without NAME= before it; only if both are right, generate a "
            "new token in the console: this revokes the old one, for everyone who uses it"
        ),
    )
    RATE_LIMITED = (
        "rate_limited",
        "wait, then increase --collect.interval or lower --collect.max-requests-per-minute",
    )
    SERVER_ERROR = "server_error", "wait and try again; if it persists, ask the gateway's operator"
    TIMEOUT = "timeout", "check the network, or increase --collect.timeout"
    UNREACHABLE = (
        "unreachable",
        "check --cometapi.base-url, the network, proxies; --cometapi.ca-file trusts a private CA",
    )
    REJECTED = (
        "rejected",
        (
            "check the user ID (--cometapi.user-id), the access token, and whether the account is "
            "banned: older gateways respond to all three like this"
        ),
    )
    INVALID_RESPONSE = (
        "invalid_response",
        "check --cometapi.base-url: it must be the URL of the API, not of a web page",
    )
    INCONSISTENT = (
        "inconsistent",
        (
            "wait: probably keys are created or deleted while they are listed; no action is needed "
            "unless it lasts"
        ),
    )
    ACCOUNT_DISABLED = (
        "account_disabled",
        "ask the gateway's operator: the account is banned, and a new token does not help",
    )
    TOO_MANY_KEYS = (
        "too_many_keys",
        "raise the exporter's memory limit, then --keys.max",
    )
    BLOCKED = (
        "blocked",
        (
            "check --cometapi.base-url; if it is right, a firewall, CDN or proxy probably responds "
            "in the gateway's place: have it let the exporter's address or user agent through, or "
            "set --cometapi.headers-file; leave the access token as it is"
        ),
    )
    INTERNAL = (
        "internal",
        (
            "look at the log line: if it names a limit of this machine, raise it; "
            "otherwise it is a bug: report it with the line"
        ),
    )


def fix(reason: Reason, *, in_file: bool) -> str:
    """Return what to do about *reason*; *in_file* names settings of the file instead of flags."""
    if not in_file:
        return reason.advice
    return _FLAG.sub(lambda flag: (flag[1] or "") + flag[2].replace("-", "_"), reason.advice)


class ExporterError(Exception):
    """The base of the three that are about settings, the past and the API."""


class SettingsError(ExporterError):
    """Settings that cannot be used.

    *problems* holds one sentence for each, naming its flag and variable (or its path in a file) and
    the fix.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class BackfillError(ExporterError):
    """The past cannot be written, with the reason for people; nothing was written yet."""


class ApiError(ExporterError):
    """A failed exchange with the API.

    Its text never holds anything that the API or the user sent as free text.

    *retry_after* is the pause that the gateway asked for in seconds, None where it asked for none.
    *denies_endpoint* tells whether gateways respond like this for an endpoint that they do not
    have: by `success: false`, a 404 of their own, or a page of their front end.
    The kinds of it say their *reason*, and whether they are *transient*: worth another try.
    """

    reason: ClassVar[Reason] = Reason.INTERNAL
    transient: ClassVar[bool] = False

    def __init_subclass__(cls, *, reason: Reason, transient: bool = False) -> None:
        cls.reason, cls.transient = reason, transient

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        denies_endpoint: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.denies_endpoint = denies_endpoint

    def without_traceback(self) -> Self:
        """Return the error without the frames that it passed through.

        These hold whole responses, in cycles that only a full garbage collection ends.
        """
        self.__context__ = None
        return self.with_traceback(None)


class Unauthorized(ApiError, reason=Reason.UNAUTHORIZED):
    """The access token is missing, unreadable or refused."""


class AccountDisabled(ApiError, reason=Reason.ACCOUNT_DISABLED):
    """The gateway says that the account is banned; a new token does not help."""


class Blocked(ApiError, reason=Reason.BLOCKED):
    """Something between here and the gateway responded in its place; a new token does not help."""


class RateLimited(ApiError, reason=Reason.RATE_LIMITED):
    """HTTP 429."""


class ServerFault(ApiError, reason=Reason.SERVER_ERROR, transient=True):
    """HTTP 5xx: the gateway, or something before it, is in trouble."""


class TimedOut(ApiError, reason=Reason.TIMEOUT, transient=True):
    """No whole answer came within the deadline of one request."""


class Unreachable(ApiError, reason=Reason.UNREACHABLE, transient=True):
    """No connection could be made, or it broke before the answer was whole."""


class Rejected(ApiError, reason=Reason.REJECTED):
    """The API answered `success: false`."""


class InvalidResponse(ApiError, reason=Reason.INVALID_RESPONSE):
    """The response is not in the API's format."""


class TooManyKeys(ApiError, reason=Reason.TOO_MANY_KEYS):
    """The account has more keys than the configured maximum."""

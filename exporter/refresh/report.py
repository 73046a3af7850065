"""Log how the refreshes of one account end: loud when trouble starts, changes or ends, quiet in between.

Talks to: the log. Knows no HTTP and no schedule; it remembers what it has said, so that it says
nothing twice.
"""

import traceback

import structlog

from exporter.errors import SUCCESS, ApiError, Reason
from exporter.model import Listing
from exporter.snapshot import AccountState

REPEAT_AFTER_SECONDS = 3600.0
MOST_IDS = 20

log = structlog.get_logger()


class Report:
    """What is said of one account; mutable is the memory of what was said."""

    def __init__(self, account: str) -> None:
        self._log = log.bind(account=account)
        self._skipped: frozenset[int] = frozenset()
        self._has_nameless = False
        self._unavailable: Reason | None = None
        self._last_failure = float("-inf")

    def succeeded(self, before: AccountState, after: AccountState, *, seconds: float) -> None:
        """Say that a refresh ended well: the first one, and the first after trouble."""
        facts = {
            "keys": len(after.keys),
            "seconds": round(seconds, 3),
            "complete": after.outcome == SUCCESS,
        }
        if before.failing is not None:
            self._log.info("refresh recovered", **facts, previous_reason=before.failing.value)
        elif not before.first_refresh_ended:
            self._log.info("refresh succeeded", **facts)
        else:
            self._log.debug("refresh succeeded", **facts)

    def failed(
        self, before: AccountState, error: ApiError, *, at: float, delay: float | None
    ) -> None:
        """Say that a refresh failed at monotonic time *at*: when its reason is new, and then once an hour.

        *delay* is when the next one begins, None where there is none.
        """
        is_news = (
            before.failing is not error.reason or at - self._last_failure >= REPEAT_AFTER_SECONDS
        )
        if is_news:
            self._last_failure = at
        retry = {} if delay is None else {"retry_in_seconds": round(delay, 1)}
        say = self._log.warning if is_news else self._log.debug
        say("refresh failed", reason=error.reason.value, detail=str(error), **retry)

    def crashed(self, bug: Exception) -> None:
        """Say where a bug struck, without its text, which may quote what was read."""
        places = [
            f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(bug.__traceback__)
        ]
        self._log.error("refresh crashed (bug)", error=type(bug).__name__, at=places)

    def balance(self, error: ApiError | None) -> None:
        """Say when the balance is no longer available, for another reason, or available again."""
        reason = None if error is None else error.reason
        if reason is not None and reason is not self._unavailable:
            self._log.warning("account balance unavailable", reason=reason.value, detail=str(error))
        elif reason is None and self._unavailable is not None:
            self._log.info("account balance available again")
        self._unavailable = reason

    def skipped(self, listing: Listing) -> None:
        """Say which keys cannot be parsed, when they are new."""
        news = listing.unreadable - self._skipped
        if news or (listing.nameless and not self._has_nameless):
            self._log.warning(
                "some keys could not be parsed",
                key_ids=sorted(news)[:MOST_IDS],
                count=listing.skipped,
            )
        self._skipped, self._has_nameless = listing.unreadable, listing.nameless > 0

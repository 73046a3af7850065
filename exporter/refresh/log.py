"""Log how the refreshes of one account end.

Loud when trouble starts, changes or ends, quiet in between.

Talks to: the log. Knows no HTTP and no schedule; it remembers what it has logged, so that it logs
nothing twice.
"""

import traceback
from dataclasses import dataclass, field
from typing import Any

import structlog

from exporter.account_notes import assumed_note
from exporter.bounds import MOST_GROUPS, OTHER_GROUPS
from exporter.changes import ChangeHistory
from exporter.endpoint import ApiPath, EndpointState, Failure, Unknown, failure_of
from exporter.errors import SUCCESS, ApiError, Reason, fix
from exporter.formatting import one_line
from exporter.model import LONGEST_LABEL_BYTES, Listing, ListingProgress, Unread
from exporter.snapshot import AccountState
from exporter.workers import NoThread

# Who looks at the log of a day sees that trouble lasts, and the log does not grow by it.
REPEAT_AFTER_SECONDS = 3600.0
# Enough to find what the keys have in common; the metric has the number.
MOST_UNREAD = 20

# A script that changes every key of a team is told in full, a whole account is not.
MOST_CHANGES = 100
SLOW_ADVICE = (
    "raise --collect.max-requests-per-minute, increase --collect.interval, "
    "or give keys to an exporter of their own"
)
# Of the interval. Refreshes that take almost as long are not reported again and again.
QUICK_AGAIN = 0.9

log = structlog.get_logger()


@dataclass(slots=True)
class LogMemory:
    """What was logged of an account, so that nothing is logged twice.

    That is *unread* fields of keys and of *endpoints*, paths with *unread_rows*, whether the
    filters exclude all keys, *failing* endpoints, the note on *assumed_units*, and in monotonic
    seconds the *last_failure* and the *last_inconsistent* listing.
    """

    unread: frozenset[Unread] = frozenset()
    endpoints: dict[ApiPath, tuple[str, ...]] = field(default_factory=dict)
    unread_rows: set[ApiPath] = field(default_factory=set)
    excludes_all: bool = False
    failing: dict[ApiPath, Reason] = field(default_factory=dict)
    assumed_units: str = ""
    last_failure: float = float("-inf")
    last_inconsistent: float = float("-inf")
    is_inconsistent: bool = False
    is_slow: bool = False
    are_labels_cut: bool = False
    are_groups_joined: bool = False


class RefreshLog:
    """The log of one account; mutable is *memory*, so that nothing is logged twice.

    With *in_file*, advice names the settings of the configuration file instead of flags.
    """

    def __init__(self, account: str, *, in_file: bool = False) -> None:
        self.memory = LogMemory()
        self._in_file = in_file
        self._log = log.bind(account=account)

    def succeeded(
        self, before: AccountState, after: AccountState, *, at: float, seconds: float
    ) -> None:
        """Log that a refresh succeeded: the first one, and the first after trouble.

        It began at monotonic time *at* and took so many *seconds*.
        """
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
        self._consistency(is_inconsistent=after.outcome != SUCCESS, at=at)
        self._changes(before.changes, after.changes)
        self._duration(after, seconds)
        self._bounds(after)

    def _consistency(self, *, is_inconsistent: bool, at: float) -> None:
        """Log that lists became inconsistent, at most once an hour, and that they are not now."""
        if is_inconsistent and at - self.memory.last_inconsistent >= REPEAT_AFTER_SECONDS:
            self.memory.last_inconsistent = at
            self.memory.is_inconsistent = True
            self._log.warning(
                "listing inconsistent",
                reason=Reason.INCONSISTENT.value,
                detail="the pages did not add up; they were merged with the previous list",
                advice=fix(Reason.INCONSISTENT, in_file=self._in_file),
            )
        elif self.memory.is_inconsistent and not is_inconsistent:
            self.memory.is_inconsistent = False
            self._log.info("listing consistent again")

    def _duration(self, state: AccountState, seconds: float) -> None:
        """Log that refreshes no longer fit into their interval, and that they do again."""
        facts = {
            "seconds": round(seconds, 1),
            "interval": state.interval_seconds,
            "keys": len(state.keys),
        }
        if not self.memory.is_slow and seconds > state.interval_seconds:
            self.memory.is_slow = True
            self._log.warning(
                "refreshes take longer than their interval", **facts, advice=SLOW_ADVICE
            )
        elif self.memory.is_slow and seconds < QUICK_AGAIN * state.interval_seconds:
            self.memory.is_slow = False
            self._log.info("refreshes fit into their interval again", **facts)

    def _bounds(self, state: AccountState) -> None:
        """Log once that labels are cut, and that groups are counted together."""
        if state.bounds is None:
            return
        longest = state.bounds.longest_label
        if longest < LONGEST_LABEL_BYTES and not self.memory.are_labels_cut:
            self._log.warning(
                "names and groups of the keys are too long together: their labels are cut",
                bytes=longest,
                keys=state.bounds.shortened_keys,
            )
        self.memory.are_labels_cut = longest < LONGEST_LABEL_BYTES
        has_too_many = state.bounds.folded_groups > 0
        if has_too_many and not self.memory.are_groups_joined:
            self._log.warning(
                "too many groups: further ones are counted together",
                most=MOST_GROUPS,
                further=state.bounds.folded_groups,
                group=OTHER_GROUPS,
            )
        self.memory.are_groups_joined = has_too_many

    def _changes(self, before: ChangeHistory, after: ChangeHistory) -> None:
        """Log what people changed about keys, the first changes one by one."""
        counts = after.counts_since(before)
        number = sum(counts.values())
        newest = after.last[:number]
        told = newest[-MOST_CHANGES:]
        for change in reversed(told):
            states = {"before": change.before, "after": change.after}
            self._log.info(
                "key changed",
                change=change.change.value,
                key_id=change.key_id,
                key_name=one_line(change.key_name),
                **{name: one_line(text) for name, text in states.items() if text is not None},
            )
        if number > len(told):
            by_change = ", ".join(f"{each} {change}" for change, each in counts.items())
            self._log.info("more keys changed", count=number - len(told), changes=by_change)

    def failed(
        self, before: AccountState, error: ApiError, *, at: float, delay: float | None
    ) -> None:
        """Log that a refresh failed at monotonic time *at*.

        When its reason is new, with advice, and then once an hour.

        The next refresh begins in *delay* seconds, None where there is none.
        """
        is_new = before.failing is not error.reason
        is_news = is_new or at - self.memory.last_failure >= REPEAT_AFTER_SECONDS
        if is_news:
            self.memory.last_failure = at
        facts: dict[str, object] = {"reason": error.reason.value, "detail": str(error)}
        if delay is not None:
            facts["retry_in_seconds"] = round(delay, 1)
        if is_new:
            facts["advice"] = fix(error.reason, in_file=self._in_file)
        say = self._log.warning if is_news else self._log.debug
        say("refresh failed", **facts)

    def crashed(self, bug: Exception) -> None:
        """Log where a bug struck, without its text, which may quote what was read.

        A lack of threads is none; it is logged as the failure that it causes.
        """
        if isinstance(bug, NoThread):
            return
        places = [
            f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(bug.__traceback__)
        ]
        self._log.error(
            "refresh crashed (bug)",
            error=type(bug).__name__,
            at=places,
            advice="the last known data stays; please report the bug with this line",
        )

    def endpoints(self, state: AccountState) -> None:
        """Log which other endpoints began to fail, fail for another reason, or recovered.

        One that fails for the reason for which the refresh itself fails is no news of its own.
        """
        for path, endpoint in state.endpoints.by_path().items():
            if path is ApiPath.KEYS:
                continue
            self.unread_of_endpoint(path, state.unread_of_endpoints.get(path, ()))
            failure = failure_of(endpoint)
            if failure is None:
                self._answers_again(path)
            elif failure.reason is not state.failing and not _seems_absent(endpoint):
                self._fails(path, failure)
        if state.failing is None:
            self._assumes_units(assumed_note(state))

    def _assumes_units(self, note: str) -> None:
        if note and not self.memory.assumed_units:
            self._log.warning("quota units per USD assumed", detail=note)
        self.memory.assumed_units = note

    def _fails(self, path: ApiPath, failure: Failure) -> None:
        if self.memory.failing.get(path) is not failure.reason:
            self.memory.failing[path] = failure.reason
            self._log.warning(
                "endpoint failed", path=path.value, reason=failure.reason.value, detail=failure.text
            )

    def _answers_again(self, path: ApiPath) -> None:
        if self.memory.failing.pop(path, None) is not None:
            self._log.info("endpoint recovered", path=path.value)

    def listing(self, progress: ListingProgress, *, is_waiting: bool) -> None:
        """Log how far a long first listing is."""
        facts: dict[str, object] = {"pages": progress.pages}
        if progress.expected is not None:
            facts["pages_expected"] = progress.expected
        self._log.info("listing keys", **facts, waiting_for_rate_limit=is_waiting)

    def unread_of_keys(self, listing: Listing) -> None:
        """Log which fields of keys could not be read, when they are new."""
        news = sorted(listing.unread - self.memory.unread)
        self.memory.unread = listing.unread
        costly = [str(unread) for unread in news if unread.costs_key]
        others = [str(unread) for unread in news if not unread.costs_key]
        if costly:
            self._log.warning(
                "some keys could not be parsed",
                skipped_keys=listing.skipped,
                new_fields=len(costly),
                fields=costly[:MOST_UNREAD],
            )
        if others:
            self._log.warning(
                "some fields of keys could not be parsed", fields=others[:MOST_UNREAD]
            )

    def unread_of_endpoint(self, path: ApiPath, fields: tuple[str, ...]) -> None:
        """Log which fields of an endpoint's response could not be read, when they are others."""
        if fields and fields != self.memory.endpoints.get(path, ()):
            self._log.warning(
                "some fields could not be parsed", path=path.value, fields=fields[:MOST_UNREAD]
            )
        self.memory.endpoints[path] = fields

    def unread_rows(self, path: ApiPath, rows: int) -> None:
        """Log how many rows of usage could not be read, once until all can."""
        had_some = path in self.memory.unread_rows
        if rows and not had_some:
            self.memory.unread_rows.add(path)
            self._log.warning("some rows could not be parsed", path=path.value, count=rows)
        if not rows:
            self.memory.unread_rows.discard(path)

    def excluded(self, listing: Listing) -> None:
        """Log that the filters leave no key of an account that has some, when that begins."""
        excludes_all = bool(listing.excluded) and not listing.keys
        if excludes_all and not self.memory.excludes_all:
            self._log.warning(
                "every key is excluded",
                count=len(listing.excluded),
                advice="keys.include and keys.exclude must match the whole of <group>/<name>",
            )
        self.memory.excludes_all = excludes_all


def _seems_absent(endpoint: EndpointState[Any]) -> bool:
    """Whether the endpoint never answered, and the gateway seems not to have it."""
    if not isinstance(endpoint, Unknown) or endpoint.failure is None:
        return False
    return endpoint.failure.denies_endpoint

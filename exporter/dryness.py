"""Infer that a key or an account has run dry from how it has spent.

Pure: times are monotonic seconds, and arguments; amounts are quota units. Knows no HTTP and no
status.

A gateway rejects a request whose estimated price exceeds what is left, so what has run dry mostly
keeps a small rest for ever. It is probably dry if it has spent nothing for a while, and less is
left than it spent in its last busy quarter of an hour and than a few of its own requests cost. Rest
is never judged by the time of the last use: gateways also update that for requests that they
reject.

The thresholds are those of CometAPIKeyProbablyDry and CometAPIAccountProbablyDry in
deploy/prometheus/rules/alerts.yml, so that the page and the pager agree.
"""

from enum import StrEnum

import msgspec

# cometapi:threshold:dry_idle_seconds, and the five minutes for which the alert waits.
DRY_AFTER_SECONDS = 25 * 60
# cometapi:threshold:dry_own_requests
OWN_REQUESTS = 3
QUARTER_SECONDS = 900.0


class Dryness(StrEnum):
    """How certain it is that something has run dry; *possibly* where its own price is not known."""

    PROBABLY = "probably"
    POSSIBLY = "possibly"


class Spent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How something has spent since it is watched.

    *used* is the level of its used quota. *grew_at* is when that last grew, or when it was first
    seen if *smallest_step* is None: it has not grown since. *smallest_step* is the least that it
    grew by at once, at most the price of its cheapest request. *before_busy* is the level 15 to 30
    minutes before it last grew, *level* that at *quarter_at*, within the last busy quarter of an
    hour.
    """

    used: int
    grew_at: float
    smallest_step: int | None = None
    before_busy: int = 0
    level: int = 0
    quarter_at: float = 0.0

    @property
    def last_busy_quarter(self) -> int:
        """What was spent in the last 15 to 30 minutes in which anything was spent."""
        return self.used - self.before_busy

    def rests(self, now: float) -> bool:
        """Whether nothing was spent for long enough at monotonic time *now*."""
        return now - self.grew_at >= DRY_AFTER_SECONDS

    def seen(self, used: int, at: float) -> "Spent":
        """Return what is known after the level *used* was seen at monotonic time *at*.

        A level that falls is a refund, and no growth.
        """
        if used == self.used:
            return self
        if used < self.used:
            return msgspec.structs.replace(
                self,
                used=used,
                before_busy=min(self.before_busy, used),
                level=min(self.level, used),
            )
        step = used - self.used
        if self.smallest_step is None:
            return Spent(
                used=used,
                grew_at=at,
                smallest_step=step,
                before_busy=self.used,
                level=self.used,
                quarter_at=at,
            )
        before_busy, level, quarter_at = self._quarter(at)
        return Spent(
            used=used,
            grew_at=at,
            smallest_step=min(step, self.smallest_step),
            before_busy=before_busy,
            level=level,
            quarter_at=quarter_at,
        )

    def _quarter(self, at: float) -> tuple[int, int, float]:
        """Return `before_busy`, `level` and `quarter_at` for a growth at *at*."""
        since = at - self.quarter_at
        if since < QUARTER_SECONDS:
            return self.before_busy, self.level, self.quarter_at
        before_busy = self.level if since < 2 * QUARTER_SECONDS else self.used
        return before_busy, self.used, at


def dryness(
    left: int, spent: Spent, now: float, *, own_price: float | None, usual_price: float | None
) -> Dryness | None:
    """Judge what has *left* so much, and has *spent* so, at monotonic time *now*.

    *own_price* is what one of its requests costs; None to take the smallest step. *usual_price* is
    that of a typical request of the account, which counts where nothing was seen to be spent.
    """
    if not spent.rests(now):
        return None
    if spent.smallest_step is None:
        is_little = usual_price is not None and left < usual_price
        return Dryness.POSSIBLY if is_little else None
    price = spent.smallest_step if own_price is None else own_price
    if left < spent.last_busy_quarter and left < OWN_REQUESTS * price:
        return Dryness.PROBABLY
    return None

"""Read what models cost.

Counters by hour every five minutes, and the spending of the month once an hour.

Knows no HTTP: it is given the client and the clocks. `usage` does the arithmetic, off the event
loop, since a response may have many rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from exporter.cometapi.client import CometClient
from exporter.credentials import Secret
from exporter.endpoint import ApiPath, Moment, last_known, with_value
from exporter.errors import ApiError, InvalidResponse
from exporter.model import Amounts, ApiKey, Series, Spending, Usage, is_other_account
from exporter.refresh.pollers import Poller
from exporter.refresh.schedule import Runtime
from exporter.refresh.usage import (
    DAY,
    HOUR,
    LONGEST_SPAN,
    Ledger,
    Span,
    days_of_month,
    gateway_time,
    hour_of,
    month_rows,
    quota_by_series,
    spending,
)
from exporter.snapshot import AccountState
from exporter.workers import decode

# Gateways book usage in batches, some minutes late: reading more often shows nothing new.
USAGE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Month:
    """What the UTC month cost: for the status page, and in quota units by series."""

    spending: Spending
    quota: Mapping[Series, int]


@dataclass(slots=True)
class UsageMemory:
    """What is remembered of an account's usage.

    Whose it is, the *month* as last read, and the counters. *longest_span* is how many seconds of
    the month one request may ask for.
    """

    ledger: Ledger
    counts_by_key: bool
    owner: int | None = None
    month: Month | None = None
    longest_span: int = LONGEST_SPAN


class UsagePoller:
    """The usage of one account, *by_key* or by model alone; mutable is *memory*.

    At most *max_series* counters are kept.
    """

    def __init__(
        self, client: CometClient, *, max_series: int, by_key: bool, runtime: Runtime
    ) -> None:
        self.is_by_key = by_key
        self._client = client
        self._runtime = runtime
        self._max_series = max_series
        self.memory = UsageMemory(Ledger(max_series), counts_by_key=by_key)

    @property
    def path(self) -> ApiPath:
        """The endpoint, whether it is asked by key or not."""
        return ApiPath.USAGE

    def pace(self, _state: AccountState, _: Moment) -> float:
        """Read every five minutes."""
        return USAGE_SECONDS

    def take_over(self, before: Poller) -> None:
        """Go on counting where *before* stopped, unless the counters have other labels."""
        if not isinstance(before, UsagePoller) or before.is_by_key is not self.is_by_key:
            return
        self.memory = before.memory
        self.memory.ledger.max_series = self._max_series

    def is_due(self, state: AccountState) -> bool:
        """Whether the gateway records usage and, where keys count, some are known."""
        status = last_known(state.endpoints.status)
        if status is None or not status.value.has_usage:
            return False
        return not self.is_by_key or bool(state.keys)

    async def read(self, token: Secret, state: AccountState) -> object:
        """Count what is due, and sum the month again when an hour has begun; raises ApiError."""
        if is_other_account(self.memory.owner, state.account_id):
            self.memory = UsageMemory(Ledger(self._max_series), counts_by_key=self.is_by_key)
        self.memory.owner = state.account_id
        now = gateway_time(self._runtime.clock(), self._client.dialect.clock_skew)
        spans = self.memory.ledger.due(now)
        hours = await self._read_hours(token, state, spans)
        readings = list(zip(spans, hours, strict=True))
        keys = keys_by_id(state) if self.memory.counts_by_key else None
        counted = await decode(partial(self.memory.ledger.record, readings, now, keys))
        await self._read_month(token, state, now)
        return self._with_month(counted, keys)

    def with_labels(self, state: AccountState) -> AccountState:
        """Return *state* with the names and groups in its usage as they were listed last."""
        known = last_known(state.endpoints.usage)
        if known is None or not self.memory.counts_by_key:
            return state
        keys = keys_by_id(state)
        usage = self._with_month(self.memory.ledger.relabel(keys), keys)
        labelled = with_value(state.endpoints.usage, usage)
        return replace(state, endpoints=replace(state.endpoints, usage=labelled))

    def _with_month(self, counted: Usage, keys: Mapping[int, ApiKey] | None) -> Usage:
        """Return *counted* with what the month cost, if that is known."""
        month = self.memory.month
        if month is None:
            return counted
        return msgspec.structs.replace(
            counted, spending=month.spending, month=month_rows(month.quota, keys)
        )

    async def _read_hours(
        self, token: Secret, state: AccountState, spans: Sequence[Span]
    ) -> list[Mapping[Series, Amounts]]:
        """Read what was used in each of *spans*, by model where the gateway has no sums by key."""
        by_key = self.memory.counts_by_key
        try:
            return await self._read_spans(token, spans, by_key=by_key)
        except ApiError as error:
            if not by_key or not _is_missing(state, error):
                raise
        self.memory = UsageMemory(
            Ledger(self._max_series), counts_by_key=False, owner=self.memory.owner
        )
        return await self._read_spans(token, spans, by_key=False)

    async def _read_month(self, token: Secret, state: AccountState, now: float) -> None:
        """Read the spending of the month where an hour has begun.

        No counter waits for what fails here.
        """
        month = self.memory.month
        if month is not None and hour_of(month.spending.read_at) == hour_of(now):
            return
        try:
            days = await self._read_days(token, now)
        except ApiError as error:
            if error.denies_endpoint or _is_month_stale(month, state, now):
                self.memory.month = None
            return
        by_key = self.memory.counts_by_key
        self.memory.month = await decode(
            partial(month_of, now, days, self._max_series, by_key=by_key)
        )

    async def _read_days(self, token: Secret, now: float) -> list[Mapping[Series, Amounts]]:
        """Read the month by the week, or by the day where a week has too many rows."""
        memory = self.memory
        weeks = days_of_month(now, memory.longest_span)
        try:
            return await self._read_spans(token, weeks, by_key=memory.counts_by_key)
        except InvalidResponse as error:
            if error.denies_endpoint or memory.longest_span == DAY:
                raise
        memory.longest_span = DAY
        days = days_of_month(now, DAY)
        return await self._read_spans(token, days, by_key=memory.counts_by_key)

    async def _read_spans(
        self, token: Secret, spans: Sequence[Span], *, by_key: bool
    ) -> list[Mapping[Series, Amounts]]:
        return [
            await self._client.read_usage(token, first, last, by_key=by_key)
            for first, last in spans
        ]


def keys_by_id(state: AccountState) -> dict[int, ApiKey]:
    """Return the keys that usage is counted by."""
    return {key.id: key for key in state.keys}


def month_of(
    now: float, days: Sequence[Mapping[Series, Amounts]], max_series: int, *, by_key: bool
) -> Month:
    """Sum what the *days* of the month cost, the day of *now* first."""
    quota = quota_by_series(*days, max_series=max_series)
    return Month(spending(now, *days, by_key=by_key), quota)


def _is_month_stale(month: Month | None, state: AccountState, now: float) -> bool:
    """Whether *month* is older than stale-after beyond the hour for which it holds in any case."""
    if month is None:
        return True
    return now - month.spending.read_at >= HOUR + state.stale_after_seconds


def _is_missing(state: AccountState, error: ApiError) -> bool:
    """Whether *error* shows that the gateway does not have the endpoint."""
    has_answered = last_known(state.endpoints.usage) is not None
    return state.lists_keys and not has_answered and error.denies_endpoint

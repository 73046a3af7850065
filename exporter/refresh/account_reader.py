"""Read an account's balance, what changes slowly, and what models cost, beside the listing of its keys.

Knows no HTTP: it is given the client and the clocks. Nothing here fails a refresh or, unless it is
the last, delays it by more than a moment: an endpoint that hangs is read on in the background, one
that fails for a while leaves what was known.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from exporter.cometapi.client import CometClient
from exporter.credentials import Secret
from exporter.errors import ApiError, Reason
from exporter.model import Amounts, ApiKey, Balance, Facts, Series, Usage, is_other_account
from exporter.refresh.report import Report
from exporter.refresh.schedule import Surroundings
from exporter.refresh.usage import (
    Ledger,
    Span,
    days_of_month,
    gateway_time,
    hour_of,
    spending,
)
from exporter.workers import decode

FACTS_SECONDS = 600.0
USAGE_SECONDS = 300.0
PATIENCE_SECONDS = 2.0
NOT_OFFERED = (Reason.UNAUTHORIZED, Reason.REJECTED, Reason.INVALID_RESPONSE)


class AccountReader:
    """The last known *balance*, *facts* and *usage*; *balance* and *usage* are None where the gateway reports none.

    *ledger* is None where usage is not wanted. *listed_keys* returns the keys to count usage by,
    none before the first listing; it is None where models alone count.
    """

    def __init__(
        self,
        client: CometClient,
        *,
        report: Report,
        world: Surroundings,
        keep_seconds: float,
        ledger: Ledger | None = None,
        listed_keys: Callable[[], Mapping[int, ApiKey]] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.balance: Balance | None = None
        self.facts = Facts()
        self.usage: Usage | None = None
        self._client = client
        self._report = report
        self._world = world
        self._keep_seconds = keep_seconds
        self._patience = patience
        self._balance_at = float("-inf")
        self._facts_due = self._usage_due = float("-inf")
        self._month_hour = 0
        self._ledger = ledger
        self._listed_keys = listed_keys
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, token: Secret) -> None:
        """Begin to read what is due, unless the last reading of it goes on."""
        for name, read in (("balance", self._read_balance), ("facts", self._read_facts_and_usage)):
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(read(token))

    async def settle(self, *, is_last: bool = False) -> None:
        """Wait a moment for what is being read, to its end if *is_last*; raises what is not expected."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=None if is_last else self._patience)
        for name in [name for name, task in self._tasks.items() if task.done()]:
            self._tasks.pop(name).result()

    async def close(self) -> None:
        """Give up what is being read."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_balance(self, token: Secret) -> None:
        known = self.balance
        try:
            self.balance = await self._client.read_balance(token)
        except ApiError as error:
            self._report.balance(error)
            if (
                error.reason in NOT_OFFERED
                or self._world.monotonic() - self._balance_at >= self._keep_seconds
            ):
                self.balance = None
        else:
            self._report.balance(None)
            self._balance_at = self._world.monotonic()
            if is_other_account(known, self.balance):
                self._forget()

    async def _read_facts_and_usage(self, token: Secret) -> None:
        if self._world.monotonic() >= self._facts_due:
            await self._read_facts(token)
        if self.facts.has_usage and self._world.monotonic() >= self._usage_due:
            with contextlib.suppress(
                ApiError
            ):  # tried again by the next refresh; what was known stays
                await self._read_usage(token)

    async def _read_facts(self, token: Secret) -> None:
        try:
            self.facts = await self._client.read_facts(token)
        except ApiError:
            return  # tried again by the next refresh; what was known stays
        self._facts_due = self._world.monotonic() + FACTS_SECONDS

    async def relabel_usage(self) -> None:
        """Give the counters the names and groups of the keys as they were listed."""
        if self._ledger is None or self._listed_keys is None or self.usage is None:
            return
        counters = await decode(partial(self._ledger.relabel, self._listed_keys()))
        self.usage = msgspec.structs.replace(counters, spending=self.usage.spending)

    async def _read_usage(self, token: Secret) -> None:
        """Count what is due, and sum the month again when an hour has begun; raises ApiError."""
        ledger = self._ledger
        keys = None if self._listed_keys is None else self._listed_keys()
        if ledger is None or keys == {}:
            return  # not wanted, or the first listing is still under way
        now = gateway_time(self._world.clock(), self._client.clock_skew)
        spans = ledger.due(now)
        hours = await self._read_spans(token, spans, by_key=keys is not None)
        if hours is None and keys is not None and self.usage is None:
            # Older gateways sum by model alone.
            self._listed_keys = keys = None
            hours = await self._read_spans(token, spans, by_key=False)
        if hours is None or ledger is not self._ledger:
            return  # not reported, or of an account that is forgotten
        known = None if self.usage is None else self.usage.spending
        readings = list(zip(spans, hours, strict=True))
        counters = await decode(partial(ledger.record, readings, now, keys))
        if ledger is not self._ledger:
            return
        self.usage = msgspec.structs.replace(counters, spending=known)
        self._usage_due = self._world.monotonic() + USAGE_SECONDS
        if self._month_hour != hour_of(now):
            days = await self._read_spans(token, days_of_month(now), by_key=False)
            if ledger is not self._ledger:
                return
            self._month_hour = hour_of(now)
            found = None if days is None else spending(now, *days)
            self.usage = msgspec.structs.replace(self.usage, spending=found)

    async def _read_spans(
        self, token: Secret, spans: list[Span], *, by_key: bool
    ) -> list[Mapping[Series, Amounts]] | None:
        """Read what was used in each of *spans*; None where usage is not reported. Raises ApiError."""
        found = []
        for span in spans:
            sums = await self._client.read_usage(token, *span, by_key=by_key)
            if sums is None:
                return None
            found.append(sums)
        return found

    def _forget(self) -> None:
        """Forget what belongs to another account."""
        self.facts, self.usage = Facts(), None
        if self._ledger is not None:
            self._ledger = Ledger(self._ledger.max_series)
        self._facts_due = self._usage_due = float("-inf")
        self._month_hour = 0

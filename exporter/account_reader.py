"""Read an account's balance, and what changes slowly, beside the listing of its keys.

Knows no HTTP: it is given the reader and a monotonic clock. Nothing here fails a refresh or delays it by more than a
moment: an endpoint that hangs is read on in the background, one that fails for a while leaves what was known.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from exporter.credentials import Secret
from exporter.errors import ApiError, Reason
from exporter.model import Balance, Facts
from exporter.report import Report

FACTS_SECONDS = 600.0
PATIENCE_SECONDS = 2.0
NOT_OFFERED = (Reason.UNAUTHORIZED, Reason.REJECTED, Reason.INVALID_RESPONSE)


class Source(Protocol):
    """What can read an account; raises ApiError."""

    async def read_balance(self, token: Secret) -> Balance:
        """Read the account's own quota."""

    async def read_facts(self, token: Secret) -> Facts:
        """Read what changes slowly; what the gateway does not report is None."""


class AccountReader:
    """The last known *balance* and *facts*; *balance* is None where the gateway reports none."""

    def __init__(
        self,
        source: Source,
        *,
        report: Report,
        monotonic: Callable[[], float],
        keep_seconds: float,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.balance: Balance | None = None
        self.facts = Facts()
        self._source = source
        self._report = report
        self._monotonic = monotonic
        self._keep_seconds = keep_seconds
        self._patience = patience
        self._balance_at = float("-inf")
        self._facts_due = float("-inf")
        self._tasks: dict[Callable[[Secret], Awaitable[None]], asyncio.Task[None]] = {}

    def begin(self, token: Secret) -> None:
        """Begin to read what is due, unless the last reading of it goes on."""
        due = [self._read_balance]
        if self._monotonic() >= self._facts_due:
            due.append(self._read_facts)
        for read in due:
            if read not in self._tasks:
                self._tasks[read] = asyncio.create_task(read(token))

    async def settle(self) -> None:
        """Wait a moment for what is being read; raises what nobody expected."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=self._patience)
        ended = {read: task for read, task in self._tasks.items() if task.done()}
        for read, task in ended.items():
            del self._tasks[read]
            task.result()

    async def close(self) -> None:
        """Give up what is being read."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_balance(self, token: Secret) -> None:
        try:
            self.balance = await self._source.read_balance(token)
        except ApiError as error:
            self._report.balance(error)
            if error.reason in NOT_OFFERED or self._monotonic() - self._balance_at >= self._keep_seconds:
                self.balance = None
        else:
            self._report.balance(None)
            self._balance_at = self._monotonic()

    async def _read_facts(self, token: Secret) -> None:
        try:
            self.facts = await self._source.read_facts(token)
        except ApiError:
            return  # tried again by the next refresh; what was known stays
        self._facts_due = self._monotonic() + FACTS_SECONDS

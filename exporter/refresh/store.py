"""Hold the state of one account, and publish each change of it.

Talks to: whatever *publish* and *count* talk to. This is the only place that changes an account's
state, one change at a time, so that no update is lost and nothing old is published over something
newer. A bug while a change is computed, rendered or published is an `internal` failure of this
account: the last rendering stays, and the process goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable

from exporter.endpoint import Moment
from exporter.errors import ApiError, Reason
from exporter.refresh.log import RefreshLog
from exporter.refresh.schedule import Runtime
from exporter.snapshot import AccountState
from exporter.workers import NoThread, decode

Change = Callable[[AccountState], AccountState]
"""How what was read changes the state; returns the same object where it changes nothing."""


def internal_error(bug: Exception) -> ApiError:
    """Return the error of *bug*, without its text, which may quote what was read."""
    if isinstance(bug, NoThread):
        return ApiError(str(bug.strerror))
    return ApiError(f"a bug in the exporter: {type(bug).__name__}")


class Store:
    """The one door to the state of an account.

    Mutable are *state*, *on_change*, whether it is closed.

    *publish* renders a state and makes it current. *count* counts the outcome and the seconds of a
    refresh. *on_change* gets the states before and after each change.
    """

    def __init__(
        self,
        state: AccountState,
        *,
        publish: Callable[[AccountState], Awaitable[None]],
        count: Callable[[str, str, float], None],
        log: RefreshLog,
        runtime: Runtime,
    ) -> None:
        self.state = state
        self.on_change: Callable[[AccountState, AccountState], None] = _ignore
        self._publish = publish
        self._count = count
        self._log = log
        self._runtime = runtime
        self._lock = asyncio.Lock()
        self._is_closed = False

    async def change(self, change: Change) -> ApiError | None:
        """Change the state and publish it; return the `internal` failure if that crashed."""
        async with self._lock:
            before = self.state
            if self._is_closed:
                return None
            try:
                after = await decode(lambda: change(before))
                if after is before:
                    return None
                self.state = after
                await self._publish(after)
            except Exception as bug:  # noqa: BLE001 - no bug in what follows from one response may end the process
                self.state = before
                return await self._fail(bug)
        self.on_change(before, after)
        return None

    async def show(self) -> None:
        """Publish the state as it is."""
        async with self._lock:
            if self._is_closed:
                return
            try:
                await self._publish(self.state)
            except Exception as bug:  # noqa: BLE001 - likewise
                await self._fail(bug)

    async def close(self) -> None:
        """Wait for the change under way; change and publish nothing from then on."""
        async with self._lock:
            self._is_closed = True

    async def _fail(self, bug: Exception) -> ApiError:
        """Show what was shown before, as failing.

        Where not even that can be published, the last rendering stays.
        """
        error = internal_error(bug)
        self._log.crashed(bug)
        self.state = self.state.failed(error, self._runtime.clock())
        try:
            await self._publish(self.state)
        except Exception as second_bug:  # noqa: BLE001 - likewise
            self._log.crashed(second_bug)
        return error

    async def age(self) -> None:
        """Stop showing what is older than stale-after."""
        now = self._runtime.moment()
        if self.state.aged(now) is not self.state:
            error = await self.change(_aging(now))
            if error is not None:
                self.count(Reason.INTERNAL, 0.0)

    def count(self, outcome: str, seconds: float) -> None:
        """Count the *outcome* and the *seconds* of a refresh, or of a change that crashed."""
        self._count(self.state.name, outcome, seconds)


def _aging(now: Moment) -> Change:
    def change(state: AccountState) -> AccountState:
        return state.aged(now)

    return change


def _ignore(_before: AccountState, _after: AccountState) -> None:
    """Do nothing on a change."""

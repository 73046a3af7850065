"""Read the endpoints beside the keys, each at its own pace and with its own memory of failures.

Knows no HTTP: it is given the client and the clocks. A poller reads one endpoint and returns its
value; `PollLoop` turns that into a change of the state, again and again. No poller waits for
another one, nor for the listing of the keys.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from exporter.credentials import Secret
from exporter.endpoint import ApiPath, Moment, NotOffered
from exporter.errors import ApiError, Reason
from exporter.model import is_other_account
from exporter.refresh.log import RefreshLog
from exporter.refresh.schedule import Runtime, next_delay
from exporter.refresh.store import Change, Store, internal_error
from exporter.refresh.token import TokenReader
from exporter.snapshot import AccountState

# What a gateway's operator changes, not what requests change.
SLOW_SECONDS = 600.0
# An upgrade of the gateway may bring what it did not offer; nobody waits for it.
ASK_AGAIN_SECONDS = 3600.0

Pace = Callable[[AccountState, Moment], float]
"""How many seconds lie between the starts of two requests, as long as the endpoint answers."""


def each_interval(state: AccountState, _: Moment) -> float:
    """Read as often as the keys."""
    return state.interval_seconds


def slowly(_state: AccountState, _: Moment) -> float:
    """Read what rarely changes."""
    return SLOW_SECONDS


def with_subscriptions(state: AccountState, now: Moment) -> float:
    """Read subscriptions with the balance where one is running, or where the account cannot pay.

    The moment at which one ends or is reset is not missed. The times are the gateway's.
    """
    found = state.subscriptions
    if found is None or not (found.is_any_running or state.is_exhausted):
        return SLOW_SECONDS
    pace = state.interval_seconds
    gateway_now = now.unix - (state.clock_skew or 0.0)
    for moment in (found.ends_at, found.resets_at):
        if moment is not None and moment > gateway_now:
            # A second later, so that the gateway has noticed it too.
            pace = min(pace, moment - gateway_now + 1)
    return pace


class Poller(Protocol):
    """What reads one endpoint."""

    @property
    def path(self) -> ApiPath:
        """The endpoint."""

    @property
    def pace(self) -> Pace:
        """How often it is read."""

    def is_due(self, state: AccountState) -> bool:
        """Whether there is anything to ask for, as far as is known."""

    async def read(self, token: Secret, state: AccountState) -> object:
        """Return what the endpoint says now; raises ApiError."""

    def take_over(self, before: "Poller") -> None:
        """Go on with what *before*, which read the same endpoint, remembers."""


@dataclass(frozen=True, slots=True)
class SimplePoller:
    """An endpoint that one request reads."""

    path: ApiPath
    pace: Pace
    request: Callable[[Secret], Awaitable[object]]

    def is_due(self, _state: AccountState) -> bool:
        """Return True: the gateway alone knows whether it has the endpoint."""
        return True

    async def read(self, token: Secret, _state: AccountState) -> object:
        """Return what the endpoint says now; raises ApiError."""
        return await self.request(token)

    def take_over(self, _before: Poller) -> None:
        """Remember nothing: the state has it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What every loop of one account works with."""

    token: TokenReader
    store: Store
    log: RefreshLog
    runtime: Runtime


class PollLoop:
    """Read *poller*'s endpoint for ever.

    Mutable are its failures in a row and whether it is woken.
    """

    def __init__(self, poller: Poller, access: Access) -> None:
        self.poller = poller
        self.failures = 0
        self._access = access
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Read at once, without waiting for the end of the pause."""
        self._woken.set()

    def take_over(self, before: "PollLoop") -> None:
        """Go on with what *before* remembers."""
        self.failures = before.failures
        self.poller.take_over(before.poller)

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:
            self._woken.clear()
            await pause(await self.read(), self._woken, self._access.runtime)

    async def read(self) -> float:
        """Read once, change the state, and return the pause until the next time, in seconds."""
        access = self._access
        path = self.poller.path
        state = access.store.state
        began = access.runtime.moment()
        if not self.poller.is_due(state):
            return state.interval_seconds
        error: ApiError | None = None
        try:
            token = await access.token.read()
            value = await self.poller.read(token, state)
            change = _answer(path, value, began)
        except ApiError as api_error:
            error = api_error.without_traceback()
        except Exception as bug:  # noqa: BLE001 - no bug in reading an endpoint may end the process
            access.log.crashed(bug)
            error = internal_error(bug)
        if error is not None:
            change = _failure(path, error, access.runtime.clock())
        crash = await access.store.change(of_same_account(state, change, path))
        if crash is not None:
            access.store.count(Reason.INTERNAL, 0.0)
        return self._next_pause(began, error or crash)

    def _next_pause(self, began: Moment, error: ApiError | None) -> float:
        runtime = self._access.runtime
        state = self._access.store.state
        if isinstance(state.endpoints.at(self.poller.path), NotOffered):
            self.failures = 0
            return ASK_AGAIN_SECONDS
        self.failures = 0 if error is None else self.failures + 1
        now = runtime.moment()
        pace = self.poller.pace(state, now) if error is None else state.interval_seconds
        return next_delay(
            pace,
            took=now.monotonic - began.monotonic,
            failures=self.failures,
            retry_after=None if error is None else error.retry_after,
            random=runtime.random(),
        )


async def pause(seconds: float, woken: asyncio.Event, runtime: Runtime) -> None:
    """Sleep *seconds*, or until *woken*."""
    waits = (
        asyncio.ensure_future(runtime.sleep(seconds)),
        asyncio.ensure_future(woken.wait()),
    )
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        # Nothing is suppressed here: a loop that loses its cancellation goes on for ever.
        await asyncio.gather(*waits, return_exceptions=True)


def of_same_account(before: AccountState, change: Change, path: ApiPath) -> Change:
    """Return *change*, but without effect where another account appeared since *before*.

    What was asked for before that may be the former account's. The balance is what tells accounts
    apart, so it always counts.
    """
    if path is ApiPath.BALANCE:
        return change

    def guarded(state: AccountState) -> AccountState:
        if is_other_account(before.account_id, state.account_id):
            return state
        return change(state)

    return guarded


def _answer(path: ApiPath, value: object, read_at: Moment) -> Change:
    def change(state: AccountState) -> AccountState:
        return state.answered(path, value, read_at)

    return change


def _failure(path: ApiPath, error: ApiError, at: float) -> Change:
    def change(state: AccountState) -> AccountState:
        return state.endpoint_failed(path, error, at)

    return change

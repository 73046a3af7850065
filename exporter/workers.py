"""Run what may block in threads, apart by who waits for it.

Talks to: threads. Knows nothing of what it runs. What clients wait for, renderings and decoding have a small pool each,
so that none waits for another. What may hang for good (a file on a dead mount, a resolver) runs in a lane: a daemon
thread that the end of the process does not wait for, one at a time for each lane, so it can hold up only its owner.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

LANE_SECONDS = 5.0

Result = TypeVar("Result")

_SERVING = ThreadPoolExecutor(2, "serving")
_RENDERING = ThreadPoolExecutor(1, "rendering")
_DECODING = ThreadPoolExecutor(1, "decoding")


async def serve(function: Callable[[], Result]) -> Result:
    """Run *function*, which a client waits for."""
    return await asyncio.get_running_loop().run_in_executor(_SERVING, function)


async def render(function: Callable[[], Result]) -> Result:
    """Run *function*, which prepares what will be served."""
    return await asyncio.get_running_loop().run_in_executor(_RENDERING, function)


async def decode(function: Callable[[], Result]) -> Result:
    """Run *function*, which makes sense of what a gateway sent."""
    return await asyncio.get_running_loop().run_in_executor(_DECODING, function)


class Lane:
    """A thread for calls that may hang, one at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = asyncio.Lock()
        self._hanging: threading.Thread | None = None

    async def run(self, function: Callable[[], Result], *, seconds: float = LANE_SECONDS) -> Result:
        """Run *function*; raises TimeoutError after *seconds*, and at once while an earlier call still hangs."""
        async with asyncio.timeout(seconds), self._turn:
            if self._hanging is not None and self._hanging.is_alive():
                raise TimeoutError
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            self._hanging = threading.Thread(target=_work, args=(function, future), name=self._name, daemon=True)
            self._hanging.start()
            await asyncio.wait([future])
            self._hanging = None
            return future.result()


def _work(function: Callable[[], Result], future: "asyncio.Future[Result]") -> None:
    try:
        result = function()
    except Exception as error:  # noqa: BLE001 - handed to the caller as it is
        _settle(future, lambda error=error: future.set_exception(error))  # type: ignore[misc]
    else:
        _settle(future, lambda: future.set_result(result))


def _settle(future: "asyncio.Future[Result]", settle: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(lambda: None if future.done() else settle())


class LookUps(ThreadPoolExecutor):
    """The event loop's default executor, for name look-ups alone.

    asyncio resolves names in its default executor, where a few look-ups without an answer would keep all others
    waiting. Here each name has a daemon thread, shared by all that ask for it meanwhile.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self._running: dict[object, Future[Any]] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ANN401 - any call
        """Run the call in a thread of its own, or wait for the same one that is running already."""
        call = (function, args)
        future = self._running.get(call)
        if future is None:
            future = self._running[call] = Future()
            future.set_running_or_notify_cancel()
            threading.Thread(target=self._run, args=(call, future, kwargs), name="look-up", daemon=True).start()
        return future

    def _run(self, call: tuple[Callable[..., Any], tuple[Any, ...]], future: "Future[Any]", kwargs: Any) -> None:  # noqa: ANN401 - likewise
        function, args = call
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - handed to the caller as it is
            self._running.pop(call, None)
            future.set_exception(error)
        else:
            self._running.pop(call, None)
            future.set_result(result)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Wait for nothing: a look-up may hang for good."""

"""Run what may block in threads, apart by who waits for it.

Talks to: threads. Knows nothing of what it runs. What clients wait for, renderings and decoding have a small pool each,
so that none waits for another. What may hang for good (a file on a dead mount, a resolver) runs in a lane: a daemon
thread that the end of the process does not wait for, one at a time for each lane, so it can hold up only its owner.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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

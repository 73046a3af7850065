"""Run in threads what may block, separated by who waits for it.

Talks to: threads. Knows nothing of what it runs. Scrapes, other responses, renderings and decoding
have a small pool each, so that none waits for another. What may hang for good (a file on a dead
mount, a resolver) runs in a `SingleFlight`: one call at a time in a daemon thread, which holds up
its owner alone and which the process does not wait for when it exits.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

# A file or a name that takes longer is on a mount or a server that does not respond.
CALL_SECONDS = 5.0
# A crowd of clients delays a rendering by no more than this.
GIVE_WAY_SECONDS = 0.1

Result = TypeVar("Result")


class _Awaited:
    """What clients wait for at the moment, in whichever pool."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, pool: ThreadPoolExecutor, function: Callable[[], Result]) -> Result:
        """Run *function* in *pool*."""
        future = asyncio.get_running_loop().run_in_executor(pool, function)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await future

    async def wait(self, seconds: float) -> None:
        """Wait until everything that runs now has ended, at most *seconds*."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)


_SERVING = ThreadPoolExecutor(2, "serving")
_SCRAPING = ThreadPoolExecutor(2, "scraping")
_RENDERING = ThreadPoolExecutor(1, "rendering")
_DECODING = ThreadPoolExecutor(1, "decoding")
_AWAITED = _Awaited()


async def serve(function: Callable[[], Result]) -> Result:
    """Run *function*, which a client waits for."""
    return await _AWAITED.run(_SERVING, function)


async def scrape(function: Callable[[], Result]) -> Result:
    """Run *function*, which a gzip scrape waits for; no page delays it."""
    return await _AWAITED.run(_SCRAPING, function)


async def render(function: Callable[[], Result]) -> Result:
    """Run *function*, which prepares what will be served.

    What clients wait for already goes first, for at most `GIVE_WAY_SECONDS`.
    """
    await _AWAITED.wait(GIVE_WAY_SECONDS)
    return await asyncio.get_running_loop().run_in_executor(_RENDERING, function)


async def decode(function: Callable[[], Result]) -> Result:
    """Run *function*, which decodes a response of a gateway."""
    return await asyncio.get_running_loop().run_in_executor(_DECODING, function)


class SingleFlight:
    """Run calls that may hang, one at a time.

    A call that hangs occupies one thread for as long as it hangs; further calls fail meanwhile.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None

    async def run(self, function: Callable[[], Result], *, seconds: float = CALL_SECONDS) -> Result:
        """Run *function* in a daemon thread.

        Raises TimeoutError after *seconds*, and at once while an earlier call still hangs.
        """
        async with asyncio.timeout(seconds), self._turn:
            if self._last is not None and not self._last.done():
                raise TimeoutError
            self._last = future = start(function, self._name)
            return await asyncio.wrap_future(future)


def start(function: Callable[[], Result], name: str) -> "Future[Result]":
    """Run *function* in a daemon thread called *name*."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller as it is
            future.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


class ResolverExecutor(ThreadPoolExecutor):
    """The event loop's default executor, for resolving names alone.

    asyncio resolves names in its default executor, where a few names that do not resolve would
    block all others. Here each name has a daemon thread, shared by all callers that need it.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self._running: dict[object, Future[Any]] = {}

    # The signatures are those of the library.
    def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> "Future[Any]":
        """Run the call in a thread of its own, or wait for the same one that is running already."""
        call = (function, args)
        future = self._running.get(call)
        if future is None:
            future = self._running[call] = start(partial(function, *args, **kwargs), "look-up")
            future.add_done_callback(lambda _: self._running.pop(call, None))
        return future

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002
        *,
        cancel_futures: bool = False,
    ) -> None:
        """Wait for nothing: a look-up may hang for good."""

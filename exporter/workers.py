"""Run calls that may block in threads, with separate threads for each kind of caller.

Talks to: threads. Knows nothing of what it runs. Scrapes, other responses, renderings and decoding
have a few threads each, so that none waits for another. What may hang for good (a file on a dead
mount, a resolver) runs in a `SingleFlight` or in the `ResolverExecutor`, which hold up their owners
alone. All are daemon threads, so the process does not wait for them when it exits. Each stays once
it has started, so that a limit on tasks that is reached later stops nothing.
"""

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

# A file or a name that takes longer is on a mount or a server that does not respond.
CALL_SECONDS = 5.0
# A crowd of clients delays a rendering by no more than this.
GIVE_WAY_SECONDS = 0.1
# Tokens and headers are read within moments: eight on mounts that hang still let others be read.
FILE_THREADS = 8
# Names that do not resolve take seconds each. With all other threads, this fits into the 64 tasks
# that the systemd unit allows.
LOOK_UP_THREADS = 16

Result = TypeVar("Result")


class NoThread(OSError):
    """The machine does not let the exporter start a thread."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "cannot start a thread: the limit on tasks is reached")


class Threads:
    """Up to *most* daemon threads; mutable are how many have started, and the work that waits."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._started = 0
        self._unfinished = 0
        self._lock = threading.Lock()
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def submit(
        self, function: Callable[[], Result], *, can_be_cancelled: bool = True
    ) -> "Future[Result]":
        """Run *function* as soon as a thread is free; until then, the future can be cancelled.

        Raises NoThread if there is no thread yet and none can be started.
        """
        future: Future[Result] = Future()
        if not can_be_cancelled:
            future.set_running_or_notify_cancel()
        with self._lock:
            if self._unfinished >= self._started and self._started < self._most:
                self._start()
            self._unfinished += 1
        self._work.put((future, function))
        return future

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:
            if not self._started:
                raise NoThread from None
        else:
            self._started += 1

    def _run(self) -> None:
        while True:
            self._run_next()
            with self._lock:
                self._unfinished -= 1

    def _run_next(self) -> None:
        """Run one piece of work. It is a method so that nothing of it outlives it."""
        future, function = self._work.get()
        if not future.running() and not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller as it is
            future.set_exception(error)


class _Awaited:
    """What clients wait for at the moment, in whichever threads."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, threads: Threads, function: Callable[[], Result]) -> Result:
        """Run *function* in one of *threads*; where none can be started, in the event loop."""
        try:
            future = asyncio.wrap_future(threads.submit(function))
        except NoThread:
            # A response that holds up others is better than none.
            return function()
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await future

    async def wait(self, seconds: float) -> None:
        """Wait until everything that runs now has ended, at most *seconds*."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)


_SERVING = Threads(2, "serving")
_SCRAPING = Threads(2, "scraping")
_RENDERING = Threads(1, "rendering")
_DECODING = Threads(1, "decoding")
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
    return await asyncio.wrap_future(_RENDERING.submit(function))


async def decode(function: Callable[[], Result]) -> Result:
    """Run *function*, which decodes a response of a gateway."""
    return await asyncio.wrap_future(_DECODING.submit(function))


# For the files of all accounts: a thread for each would exceed the limit on tasks.
ACCOUNT_FILES = Threads(FILE_THREADS, "account files")


class SingleFlight:
    """Run calls that may hang, one at a time.

    They run in a thread of their own, or in one of *threads*, which several owners share. A call
    that hangs occupies one thread for as long as it hangs; further calls fail meanwhile.
    """

    def __init__(self, name: str, threads: Threads | None = None) -> None:
        self._threads = threads or Threads(1, name)
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None

    async def run(self, function: Callable[[], Result], *, seconds: float = CALL_SECONDS) -> Result:
        """Run *function* in a thread.

        Raises TimeoutError after *seconds*, and at once while an earlier call still hangs; NoThread
        if no thread can be started.
        """
        async with asyncio.timeout(seconds), self._turn:
            if self._last is not None and not self._last.done():
                raise TimeoutError
            self._last = future = self._threads.submit(function)
            return await asyncio.wrap_future(future)


class ResolverExecutor(ThreadPoolExecutor):
    """The event loop's default executor, for resolving names alone.

    asyncio resolves names in its default executor. Here each name is looked up once at a time, for
    all callers that need it, and at most *most* names are: those beyond wait for a free thread,
    while their callers count the time.
    """

    def __init__(self, most: int = LOOK_UP_THREADS) -> None:
        super().__init__(1)
        self._look_ups = Threads(most, "look-up")
        self._running: dict[object, Future[Any]] = {}

    # The signatures are those of the library.
    def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> "Future[Any]":
        """Run the call in a thread, or wait for the same one that is running already."""
        call = (function, args)
        future = self._running.get(call)
        if future is None:
            # A caller that gives up may not cancel it for the others.
            future = self._look_ups.submit(
                partial(function, *args, **kwargs), can_be_cancelled=False
            )
            self._running[call] = future
            future.add_done_callback(lambda _: self._running.pop(call, None))
        return future

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002
        *,
        cancel_futures: bool = False,
    ) -> None:
        """Wait for nothing: a look-up may hang for good."""


class _EventLoop(asyncio.SelectorEventLoop):
    """An event loop that waits for no look-up at its end, which would take a further thread."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's signature
        """Do nothing."""


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run *main* in an event loop, as `asyncio.run` does, also where no thread starts any more."""
    with asyncio.Runner(loop_factory=_EventLoop) as runner:
        return runner.run(main)

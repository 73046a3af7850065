"""Reload the configuration file: one reload at a time and one waiting, whoever asks.

Talks to: the configuration file, in a thread of its own, since a file on a dead mount may hang. A
broken file changes nothing, and every problem in it is logged and returned.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from exporter.errors import SettingsError, StartError
from exporter.files import Identity, identity
from exporter.settings.load import Settings
from exporter.watch import Watch
from exporter.workers import SingleFlight

Problems = tuple[str, ...]

log = structlog.get_logger()


class Reloads:
    """The reloads of *watch*; *load* reads the settings again and raises SettingsError.

    Mutable are the reload under way and the one that waits for its end.
    """

    def __init__(self, watch: Watch, load: Callable[[], Settings]) -> None:
        self._watch = watch
        self._load = load
        self._flight = SingleFlight("configuration")
        self._current: asyncio.Task[Problems] | None = None
        self._waiting: asyncio.Task[Problems] | None = None

    async def reload(self) -> Problems:
        """Apply what the configuration file says now; return every problem, none where that succeeded.

        Whoever asks while one is under way shares the one that follows it. A caller that leaves does
        not stop it half way.
        """
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._after(self._current))
        return await asyncio.shield(self._waiting)

    async def _after(self, before: asyncio.Task[Problems] | None) -> Problems:
        if before is not None:
            await asyncio.wait([before])
        self._current = self._waiting
        self._waiting = None
        return await self._reload()

    async def _reload(self) -> Problems:
        file = self._watch.settings.config_file
        if file is None:
            log.info(
                "nothing to reload: no --config.file is set; "
                "tokens and the web config are re-read as they change"
            )
            return ()
        problems = await self._apply(file)
        if problems:
            self._watch.telemetry.reload_failed()
            log.error(
                "failed to reload configuration; keeping the previous one",
                problems="; ".join(problems),
            )
        else:
            log.info("configuration reloaded", file=str(file))
        return problems

    async def _apply(self, file: Path) -> Problems:
        try:
            await self._watch.apply(await self._flight.run(self._load))
        except SettingsError as error:
            return error.problems
        except StartError as error:
            return (str(error),)
        except TimeoutError:
            return (f"{file}: could not be read in time",)
        except Exception as bug:  # noqa: BLE001 - a bug in reloading may not end the process
            return (f"a bug in the exporter: {type(bug).__name__}",)
        return ()

    async def run(self, asked: asyncio.Event, seconds: float) -> None:
        """Reload when *asked*, and when the file has changed, looked at every *seconds* unless 0, until cancelled."""
        seen = await self._signature()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), seconds or None)
            before = seen
            seen = await self._signature()
            if asked.is_set() or seen != before:
                asked.clear()
                await self.reload()

    async def _signature(self) -> Identity:
        file = self._watch.settings.config_file
        if file is None:
            return None
        try:
            return await self._flight.run(lambda: identity(file))
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [task for task in (self._current, self._waiting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

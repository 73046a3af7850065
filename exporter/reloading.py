"""Reload the configuration file: one reload runs and one waits, however many are requested.

Talks to: the configuration file, in a thread of its own, since a file on a dead mount may hang. A
broken file changes nothing, and every problem in it is logged and returned.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from exporter.errors import SettingsError
from exporter.files import identity
from exporter.settings.load import Settings
from exporter.watch import Watch
from exporter.workers import NoThread, SingleFlight

Problems = tuple[str, ...]

log = structlog.get_logger()


class Reloads:
    """The reloads of *watch*; *load* reads the settings again and raises SettingsError.

    Mutable are the reload under way, the one that waits for its end, and the problems of the last
    one.
    """

    def __init__(self, watch: Watch, load: Callable[[], Settings]) -> None:
        self._watch = watch
        self._load = load
        self._flight = SingleFlight("configuration")
        self._current: asyncio.Task[Problems] | None = None
        self._waiting: asyncio.Task[Problems] | None = None
        self._problems: Problems = ()

    async def reload(self) -> Problems:
        """Apply what the configuration file says now.

        Return every problem, none where that succeeded.

        Requests during a reload share the one that follows it. A caller that leaves
        does not stop it half way.
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
                "token files and the web config are re-read as they change"
            )
            return ()
        known = self._problems
        self._problems = await self._apply(file)
        if not self._problems:
            log.info("configuration reloaded", file=str(file))
            return ()
        self._watch.telemetry.reload_failed()
        # A file that stays broken is tried again and again, and logged once.
        if self._problems != known:
            log.error(
                "failed to reload configuration; keeping the previous one",
                problems="; ".join(self._problems),
            )
        return self._problems

    async def _apply(self, file: Path) -> Problems:
        known = self._watch.settings.warnings
        try:
            settings = await self._flight.run(self._load)
            await self._watch.apply(settings)
        except SettingsError as error:
            return error.problems
        except NoThread as shortage:
            return (str(shortage.strerror),)
        except TimeoutError:
            return (f"{file}: could not be read in time",)
        except Exception as bug:  # noqa: BLE001 - a bug in reloading may not end the process
            return (f"a bug in the exporter: {type(bug).__name__}",)
        for warning in settings.warnings:
            if warning not in known:
                log.warning("check this setting", setting=warning.source, detail=warning.text)
        return ()

    async def run(self, asked: asyncio.Event, seconds: float) -> None:
        """Reload when *asked*, until cancelled.

        Every *seconds*, unless 0, reload as well if the file has changed since it was read, or if
        the last reload failed: what it lacked may be there now.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), seconds or None)
            if asked.is_set():
                asked.clear()
                # The person who asked reads the log: tell the problems, also if they are the same.
                self._problems = ()
                await self.reload()
            elif self._problems or await self._has_changed():
                await self.reload()

    async def _has_changed(self) -> bool:
        settings = self._watch.settings
        file = settings.config_file
        if file is None:
            return False
        try:
            return await self._flight.run(lambda: identity(file)) != settings.config_identity
        except NoThread:
            return False
        except TimeoutError:
            # The reload reports it.
            return True

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [task for task in (self._current, self._waiting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

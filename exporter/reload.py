"""Reload the file of accounts: on a signal, on request, or when it changes. A broken file changes nothing.

Talks to: that file, and the log. Knows no server and no API: it is given how to load settings and how to apply them.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from exporter.errors import SettingsError, StartError
from exporter.exposition.telemetry import Telemetry
from exporter.files import Identity, identity
from exporter.settings.load import Settings
from exporter.workers import Lane

log = structlog.get_logger()


class Reloader:
    """Reloads *path*, None where there is no such file; one reload at a time."""

    def __init__(
        self,
        path: Path | None,
        *,
        load: Callable[[], Settings],
        apply: Callable[[Settings], Awaitable[None]],
        telemetry: Telemetry,
    ) -> None:
        self._path = path
        self._load = load
        self._apply = apply
        self._telemetry = telemetry
        self._turn = asyncio.Lock()
        self._lane = Lane("configuration")

    async def reload(self) -> tuple[str, ...]:
        """Apply what the file says now; return every problem, none where that succeeded."""
        if self._path is None:
            log.info("nothing to reload: no --config.file is set; tokens and the web config are re-read as they change")
            return ()
        problems: tuple[str, ...] = ()
        try:
            async with self._turn:
                await self._apply(await self._lane.run(self._load))
        except SettingsError as error:
            problems = error.problems
        except StartError as error:
            problems = (str(error),)
        except TimeoutError:
            problems = (f"{self._path}: could not be read in time",)
        if problems:
            self._telemetry.reload_failed()
            log.error("failed to reload configuration; keeping the previous one", problems="; ".join(problems))
        else:
            log.info("configuration reloaded", file=str(self._path))
        return problems

    async def follow(self, asked: asyncio.Event, seconds: float) -> None:
        """Reload when *asked*, and when the file has changed, looking every *seconds* (never for 0); for ever."""
        seen = await self._signature()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), seconds or None)
            before, seen = seen, await self._signature()
            if asked.is_set() or seen != before:
                asked.clear()
                await self.reload()

    async def _signature(self) -> Identity:
        try:
            return await self._lane.run(lambda: identity(self._path) if self._path else None)
        except TimeoutError:
            return None

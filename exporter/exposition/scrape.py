"""Hold what was rendered of each account, and answer scrapes from it.

Talks to: threads, in which it renders and compresses. Knows nothing of HTTP, the API or settings.

Between two changes of an account, only the countdown to each key's expiry and the exporter's own
metrics change. Everything else, the head, is compressed once in each format: before the change is
exposed if most keys changed, else by the first scrape after it. A scrape writes the rest, the tail,
compresses it as the last block of the same gzip member, and closes the member. No scrape waits for
a rendering: until it is done, scrapes get the previous one.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import partial

import structlog
from prometheus_client.registry import Collector

from exporter import workers
from exporter.exposition.catalogue import COUNTDOWN, HEAD_FAMILIES
from exporter.exposition.compression import Head, compress
from exporter.exposition.rendering import Format, Rendering, lines, render
from exporter.exposition.telemetry import Telemetry, text_of
from exporter.snapshot import AccountState

# Large enough that 100,000 keys, 8 MB compressed, take some 30 turns of the event loop instead of
# hundreds; small enough that 20 slow readers hold little.
CHUNK_BYTES = 1 << 18
# Writing and compressing the countdown of 2,000 keys takes about 2 ms, and so do the exporter's own
# metrics of 10 accounts. More is done in a thread, so that no other request waits for it.
SHORT_TAIL_KEYS = 2_000
SHORT_TAIL_ACCOUNTS = 10

Renderings = Mapping[str, Rendering]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Exposed:
    """What scrapes get until the next change: the renderings of the accounts, by name and in order.

    *heads* has the head of the exposition in each format in which it was asked for.
    """

    renderings: Renderings = field(default_factory=dict)
    heads: dict[Format, Head] = field(default_factory=dict)

    @property
    def has_long_tail(self) -> bool:
        """Whether what is written at each scrape takes long."""
        expiring_keys = sum(len(rendering.expiries) for rendering in self.renderings.values())
        return expiring_keys > SHORT_TAIL_KEYS or len(self.renderings) > SHORT_TAIL_ACCOUNTS

    def head(self, format_: Format, names: Collection[str] = ()) -> Iterator[bytes]:
        """Yield everything that changes with an account only, or the families called *names*."""
        for family in HEAD_FAMILIES:
            if not names or family.name in names:
                yield format_.comments(family).encode()
                for rendering in self.renderings.values():
                    yield from rendering.text(family)

    def compressed_head(self, format_: Format) -> Head:
        """Return everything that changes with an account only, compressed."""
        return compress(self.head(format_))

    def countdown(self, format_: Format, now: float) -> Iterator[bytes]:
        """Yield the seconds from unix time *now* until each key expires."""
        yield format_.comments(COUNTDOWN).encode()
        for rendering in self.renderings.values():
            series = ((labels, end - now) for labels, end in rendering.expiries.items())
            yield lines(COUNTDOWN, series).encode()


class Exposition:
    """What `/metrics` responds with.

    *telemetry* and *process* are the exporter's own metrics; *clock* returns unix seconds. Mutable
    are what is exposed and which accounts cannot be rendered.
    """

    def __init__(
        self, *, telemetry: Telemetry, process: Sequence[Collector], clock: Callable[[], float]
    ) -> None:
        self._telemetry = telemetry
        self._process = process
        self._clock = clock
        self._exposed = Exposed()
        self._compressing = asyncio.Lock()
        self._failing: set[str] = set()

    async def renew(self, *states: AccountState) -> None:
        """Render *states*, then expose them all at once; until then, scrapes get the previous ones.

        Raises what a row of the catalogue raises. Then nothing changes: the previous renderings
        stay, also of those accounts that could be rendered.
        """
        renderings = {state.name: await self._render(state) for state in states}
        await self._expose(lambda exposed: {**exposed, **renderings})

    def keep(self, names: Iterable[str]) -> None:
        """Expose only the accounts called *names*, in this order, of which there is a rendering."""
        renderings = self._exposed.renderings
        self._replace(Exposed({name: renderings[name] for name in names if name in renderings}))

    async def catch_up(self) -> None:
        """Render the accounts again whose rendering is too old, for example because a key expired.

        An account that cannot be rendered keeps its previous rendering and does not hold up the
        others. It is logged once, until it can be rendered again.
        """
        for name, before in list(self._exposed.renderings.items()):
            if before.is_current(self._clock()):
                continue
            try:
                rendering = await self._render(before.state)
            except Exception as error:  # noqa: BLE001 - a bug in one row must not stop the others
                self._log_failure(name, error)
                continue
            self._failing.discard(name)
            await self._expose(partial(_instead_of, before, rendering))

    def _log_failure(self, account: str, error: Exception) -> None:
        if account not in self._failing:
            self._failing.add(account)
            # The kind alone: the text of the error could quote what a gateway sent.
            kind = type(error).__name__
            log.error(
                "cannot expose new data of the account; serving the previous data",
                account=account,
                error=kind,
                advice="this is a bug: please report it with this line",
            )

    async def _expose(self, changed: Callable[[Renderings], Renderings]) -> None:
        """Expose what *changed* makes of the renderings that are exposed now."""
        before = self._exposed
        after = Exposed(changed(before.renderings))
        if _has_mostly_changed(before, after):
            for format_ in before.heads:
                after.heads[format_] = await workers.render(partial(after.compressed_head, format_))
        if self._exposed is not before:
            # Another account changed while this one was compressed: the next scrape compresses.
            after = Exposed(changed(self._exposed.renderings))
        self._replace(after)

    def _replace(self, exposed: Exposed) -> None:
        """Replace what is exposed. Scrapes under way go on with what was exposed before."""
        self._exposed = exposed
        self._failing &= exposed.renderings.keys()

    async def _render(self, state: AccountState) -> Rendering:
        steps = render(state, self._clock())
        while True:
            if rendering := await workers.render(lambda: next(steps)):
                return rendering

    async def gzipped(self, format_: Format, names: Collection[str] = ()) -> list[bytes]:
        """Return the parts of a gzip member: everything, or the families called *names*."""
        exposed = self._exposed
        if names:
            head = await workers.serve(lambda: compress(exposed.head(format_, names)))
        else:
            head = await self._head(exposed, format_)

        def complete() -> list[bytes]:
            return head.completed_by(self._tail(exposed, format_, names))

        return await workers.scrape(complete) if exposed.has_long_tail else complete()

    async def plain(self, format_: Format, names: Collection[str] = ()) -> AsyncIterator[bytes]:
        """Yield the same without compression, in chunks."""
        exposed = self._exposed
        for batch in _batches(exposed.head(format_, names)):
            yield b"".join(batch)
        yield await workers.serve(lambda: self._tail(exposed, format_, names))

    def parts(self, format_: Format) -> Iterator[bytes]:
        """Yield all of it without compression, part by part, in the caller's thread."""
        exposed = self._exposed
        yield from exposed.head(format_)
        yield self._tail(exposed, format_, ())

    async def _head(self, exposed: Exposed, format_: Format) -> Head:
        """Return the head of everything; compress it if no one has since the last change."""
        async with self._compressing:
            if format_ not in exposed.heads:
                exposed.heads[format_] = await workers.scrape(
                    partial(exposed.compressed_head, format_)
                )
        return exposed.heads[format_]

    def _tail(self, exposed: Exposed, format_: Format, names: Collection[str]) -> bytes:
        """Write what changes with every scrape: the countdown and the exporter's own metrics."""
        parts: list[bytes] = []
        if not names or COUNTDOWN.name in names:
            parts.extend(exposed.countdown(format_, self._clock()))
        parts.append(self._telemetry.text(format_, names))
        parts.append(text_of(self._process, format_, names))
        parts.append(format_.end.encode())
        return b"".join(parts)


def _instead_of(old: Rendering, new: Rendering, exposed: Renderings) -> Renderings:
    """Return *exposed* with *new* in the place of *old*.

    The account may have changed or gone since *new* was begun: then nothing changes.
    """
    name = old.state.name
    if exposed.get(name) is not old:
        return exposed
    return {**exposed, name: new}


def _has_mostly_changed(before: Exposed, after: Exposed) -> bool:
    """Whether at least half of the keys are in renderings that are new in *after*.

    Only then is the head compressed at once. If 50 small accounts change one after another, the
    next scrape compresses once instead of 50 times.
    """
    keys = 0
    changed_keys = 0
    for name, rendering in after.renderings.items():
        keys += len(rendering.state.keys)
        if before.renderings.get(name) is not rendering:
            changed_keys += len(rendering.state.keys)
    return changed_keys * 2 >= keys


async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Join *parts* into chunks worth sending, so that slow readers share what is rendered.

    Other tasks get a turn of the event loop after each chunk.
    """
    for batch in _batches(parts):
        yield b"".join(batch)
        await asyncio.sleep(0)


def _batches(parts: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    length = 0
    for part in parts:
        if batch and length + len(part) > CHUNK_BYTES:
            yield batch
            batch = []
            length = 0
        batch.append(part)
        length += len(part)
    yield batch

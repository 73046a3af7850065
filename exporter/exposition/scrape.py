"""Answer scrapes from what was rendered when the data changed.

Talks to: threads, in which it renders. Knows nothing of HTTP, the API or settings. How little a
scrape has left to do, and why, is said in `rendering`. An account is rendered piece by piece, so
that accounts take turns; no scrape waits for it. Expiries are caught up with by `catch_up`, once a
second.
"""

import asyncio
import struct
import zlib
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import TypeVar

from prometheus_client.registry import Collector

from exporter import workers
from exporter.exposition.catalogue import ACCOUNT_FAMILIES, COUNTDOWN, KEY_FAMILIES, USAGE_FAMILIES
from exporter.exposition.rendering import Form, Rendered, lines, render
from exporter.exposition.stretches import Stretch, combine, deflate
from exporter.exposition.telemetry import Telemetry, text_of
from exporter.snapshot import AccountState

CHUNK_BYTES = 1 << 18
PIECES_AT_ONCE = 2
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Head:
    """What an exposition has before its tail, in one form: stretches by family, in order.

    *expiries* are those of the countdown, None where the countdown is not asked for.
    """

    form: Form
    families: Mapping[str, Sequence[Stretch]]
    expiries: Sequence[Mapping[str, int]] | None

    @property
    def stretches(self) -> Iterator[Stretch]:
        """The stretches of all families."""
        return chain.from_iterable(self.families.values())

    def only(self, names: Collection[str]) -> "Head":
        """Return the families called *names* alone."""
        families = {name: found for name, found in self.families.items() if name in names}
        return Head(self.form, families, self.expiries if COUNTDOWN.name in names else None)

    @cached_property
    def total(self) -> tuple[int, int]:
        """The checksum and the length of the text."""
        return combine(self.stretches)

    def tail(self, now: float, own: str) -> bytes:
        """Write what changes with every scrape: the countdown as of unix time *now*, and what the process says."""
        texts = [own, self.form.end]
        if self.expiries is not None:
            pieces = (
                lines(COUNTDOWN, ((text, end - now) for text, end in ends.items()))
                for ends in self.expiries
            )
            texts = [self.form.comments(COUNTDOWN), *pieces, *texts]
        return b"".join(
            [text.encode() for text in texts]
        )  # small texts are encoded faster than one large one

    def closed_by(self, tail: bytes) -> list[bytes]:
        """Return the parts of the gzip member of the head and *tail*."""
        checksum, length = self.total
        deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        trailer = struct.pack("<II", zlib.crc32(tail, checksum), (length + len(tail)) & 0xFFFFFFFF)
        deflated = [stretch.deflated for stretch in self.stretches]
        return [_GZIP_HEADER, *deflated, deflater.compress(tail) + deflater.flush() + trailer]


def assemble(form: Form, accounts: Collection[Rendered]) -> Head:
    """Put the head of an exposition of *accounts* together: for each family what is about accounts, then the pieces."""
    parts = [
        *(piece.stretches for account in accounts for piece in account.pieces),
        *(each.usage for each in accounts),
    ]
    texts = {
        family.name: form.comments(family)
        + "".join([account.lines.get(family.name, "") for account in accounts])
        for family in (*KEY_FAMILIES, *ACCOUNT_FAMILIES, *USAGE_FAMILIES)
    }
    families = {
        name: [stretch, *(part[name] for part in parts if name in part)]
        for name, stretch in zip(texts, deflate(texts.values()), strict=True)
    }
    return Head(
        form, families, [piece.expiries for account in accounts for piece in account.pieces]
    )


class Exposition:
    """What `/metrics` answers.

    *telemetry* and *process* are the exporter's own metrics. Mutable are the accounts as last
    rendered, in the order in which they are shown, and what was last put together from them.
    """

    def __init__(
        self, *, telemetry: Telemetry, process: Sequence[Collector], clock: Callable[[], float]
    ) -> None:
        self._telemetry = telemetry
        self._process = process
        self._clock = clock
        self._accounts: dict[str, Rendered] = {}
        self._heads: dict[Form, Head] = {}
        self._members: dict[Form, tuple[object, list[bytes]]] = {}
        self._turn = asyncio.Lock()

    async def renew(self, *states: AccountState) -> None:
        """Render *states* and show them; until all are rendered, scrapes go on with those before."""
        rendered = [await self._render(state) for state in states]
        self._show({**self._accounts, **{account.state.name: account for account in rendered}})

    def keep(self, names: Iterable[str]) -> None:
        """Show the accounts called *names* alone, in this order."""
        self._show({name: self._accounts[name] for name in names})

    async def catch_up(self) -> None:
        """Render the accounts again of which a key has expired."""
        for name, before in list(self._accounts.items()):
            if not before.holds(self._clock()):
                rendered = await self._render(before.state)
                if self._accounts.get(name) is before:
                    self._show({**self._accounts, name: rendered})

    def _show(self, accounts: dict[str, Rendered]) -> None:
        self._accounts = accounts
        self._heads.clear()
        self._members.clear()

    async def _render(self, state: AccountState) -> Rendered:
        steps = render(state, self._clock(), self._accounts.get(state.name))
        while True:
            if rendered := await workers.render(lambda: next(steps)):
                return rendered

    def _head(self, form: Form, names: Collection[str] = ()) -> Head:
        """Return the head of the whole, put together if an account was rendered since, or of the families *names*."""
        if form not in self._heads:
            self._heads[form] = assemble(form, self._accounts.values())
        return self._heads[form].only(names) if names else self._heads[form]

    async def gzipped(self, form: Form, names: Collection[str] = ()) -> list[bytes]:
        """Return the parts of a gzip member: the whole exposition, or the families called *names*.

        Scrapes of the whole in one second share it, unless something was counted or rendered in
        between.
        """
        if names:
            return await _member(self._head(form, names), self._clock(), self._own(form, names))
        async with self._turn:
            moment = (self._head(form), self._clock(), self._telemetry.text(form))
            if self._members.get(form, (None, []))[0] != moment:
                head, now, counted = moment
                self._members[form] = (
                    moment,
                    await _member(head, now, counted + text_of(self._process, form)),
                )
            return self._members[form][1]

    async def plain(self, form: Form, names: Collection[str] = ()) -> AsyncIterator[bytes]:
        """Yield the same without compression, by chunks, so that no more is in memory."""
        head = self._head(form, names)
        for batch in _batches(head.stretches, lambda stretch: stretch.length):
            yield await workers.serve(partial(_inflated, batch))
        yield await workers.serve(partial(head.tail, self._clock(), self._own(form, names)))

    def _own(self, form: Form, names: Collection[str]) -> str:
        return self._telemetry.text(form, names) + text_of(self._process, form, names)


async def _member(head: Head, now: float, own: str) -> list[bytes]:
    if len(head.expiries or ()) <= PIECES_AT_ONCE:
        return head.closed_by(head.tail(now, own))
    return await workers.serve(lambda: head.closed_by(head.tail(now, own)))


async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Join *parts* into chunks worth sending, so that readers share what is rendered until it is their turn.

    Each takes a turn of the event loop, between which a listing under way has its own.
    """
    for batch in _batches(parts, len):
        yield b"".join(batch)
        await asyncio.sleep(0)


def _batches(parts: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    batch: list[T] = []
    length = 0
    for part in parts:
        if batch and length + size(part) > CHUNK_BYTES:
            yield batch
            batch, length = [], 0
        batch.append(part)
        length += size(part)
    yield batch


def _inflated(batch: Iterable[Stretch]) -> bytes:
    return b"".join([stretch.plain for stretch in batch])

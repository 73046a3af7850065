"""Answer scrapes from what was rendered when the data changed.

Talks to: threads, in which it renders. Knows prometheus_client's registries and encoders; nothing of HTTP, the API or
settings. How little a scrape has left to do, and why, is said in `rendering`. An account is rendered piece by piece, so
that accounts take turns; no scrape waits for it. Expiries are caught up with by `catch_up`, once a second.
"""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.registry import Collector

from exporter import workers
from exporter.exposition.catalogue import (
    ACCOUNT_FAMILIES,
    COUNTDOWN,
    KEY_FAMILIES,
    SNAPSHOT_FAMILIES,
    USAGE_FAMILIES,
    Family,
)
from exporter.exposition.rendering import Form, Rendered, finish, jobs, key_lines, render
from exporter.exposition.stretches import Stretch, combine, deflate
from exporter.snapshot import AccountState, Snapshot

CHUNK_BYTES = 1 << 17
PIECES_AT_ONCE = 2
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, slots=True)
class Head:
    """What an exposition has before its tail, in one form: stretches by family, in order; the countdown's expiries."""

    form: Form
    families: Mapping[str, Sequence[Stretch]]
    expiries: Sequence[Mapping[str, int]]
    checksum: int
    length: int

    @classmethod
    def of(cls, form: Form, families: Mapping[str, Sequence[Stretch]], expiries: Sequence[Mapping[str, int]]) -> "Head":
        """Combine the checksums of *families*."""
        return cls(form, families, expiries, *combine(chain.from_iterable(families.values())))

    def only(self, names: Collection[str]) -> "Head":
        """Return the families called *names* alone."""
        families = {name: found for name, found in self.families.items() if name in names}
        return self.of(self.form, families, self.expiries if COUNTDOWN.name in names else ())

    def countdown(self, now: float) -> bytes:
        """Write the countdown as of unix time *now*; small texts are encoded faster than one large one."""
        pieces = (key_lines(COUNTDOWN, ends, [end - now for end in ends.values()]) for ends in self.expiries)
        return b"".join([self.form.comments(COUNTDOWN).encode(), *(piece.encode() for piece in pieces)])

    def closed_by(self, tail: bytes) -> list[bytes]:
        """Return the parts of the gzip member of the head and *tail*."""
        deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        trailer = struct.pack("<II", zlib.crc32(tail, self.checksum), (self.length + len(tail)) & 0xFFFFFFFF)
        deflated = [stretch.deflated for stretches in self.families.values() for stretch in stretches]
        return [_GZIP_HEADER, *deflated, deflater.compress(tail) + deflater.flush() + trailer]


def assemble(form: Form, accounts: Sequence[Rendered]) -> Head:
    """Put the head of an exposition of *accounts* together."""
    pieces = [piece for account in accounts for piece in account.pieces]
    by_piece, usage = [piece.stretches for piece in pieces], [account.usage for account in accounts]
    families = {family.name: _gathered(form, family, by_piece) for family in KEY_FAMILIES}
    texts = {
        family.name: "".join([form.comments(family), *(account.lines.get(family.name, "") for account in accounts)])
        for family in ACCOUNT_FAMILIES
    }
    families.update((name, [stretch]) for name, stretch in zip(texts, deflate(texts.values()), strict=True))
    families.update((family.name, _gathered(form, family, usage)) for family in USAGE_FAMILIES)
    return Head.of(form, families, [piece.expiries for piece in pieces])


def _gathered(form: Form, family: Family, parts: Iterable[Mapping[str, Stretch]]) -> list[Stretch]:
    return [_comments(form, family), *(part[family.name] for part in parts if family.name in part)]


@cache
def _comments(form: Form, family: Family) -> Stretch:
    return next(deflate([form.comments(family)]))


class Exposition:
    """What `/metrics` answers; mutable are the accounts as last rendered and what was last put together from them.

    *own* are the process's own collectors.
    """

    def __init__(
        self, *, current: Callable[[], Snapshot], own: Iterable[Collector], clock: Callable[[], float]
    ) -> None:
        self._current = current
        self._clock = clock
        self._rendered: dict[str, Rendered] = {}
        self._heads: dict[Form, tuple[Sequence[Rendered], Head]] = {}
        self._encoded: dict[tuple[Form, str], tuple[Metric, bytes]] = {}
        self._own = CollectorRegistry(auto_describe=True)
        for collector in own:
            self._own.register(collector)
        if clash := {metric.name for metric in self._own.collect()} & {family.name for family in SNAPSHOT_FAMILIES}:
            raise ValueError(f"two families of one name: {', '.join(clash)}")

    async def renew(self, *states: AccountState) -> None:
        """Render *states*, which the caller makes current next; until then scrapes go on with those before."""
        for rendered in [await self._render(state) for state in states]:
            self._take(rendered)

    async def catch_up(self) -> None:
        """Render the accounts again of which a key has expired."""
        for state in self._current().accounts.values():
            before = self._rendered.get(state.name)
            if before is not None and before.state is state and not before.holds(self._clock()):
                rendered = await self._render(state)
                if self._rendered.get(state.name) is before:
                    self._take(rendered)

    def forget(self, account: str) -> None:
        """Drop what is rendered of an account that is no longer read."""
        self._rendered.pop(account, None)
        self._heads.clear()

    def _take(self, rendered: Rendered) -> None:
        self._rendered[rendered.state.name] = rendered
        self._heads.clear()

    async def _render(self, state: AccountState) -> Rendered:
        now = self._clock()
        before = self._rendered.get(state.name)
        pieces = [await workers.render(job) for job in jobs(state, now, before)]
        return await workers.render(partial(finish, state, now, pieces, before))

    def _head(self, form: Form, names: Collection[str]) -> Head:
        """Return the whole head, put together if an account was rendered since, or the families called *names*."""
        accounts = []
        for state in self._current().accounts.values():
            rendered = self._rendered.get(state.name)
            if rendered is None or rendered.state is not state:
                rendered = self._rendered[state.name] = render(state, self._clock(), rendered)
            accounts.append(rendered)
        if form not in self._heads or self._heads[form][0] != accounts:
            self._heads[form] = accounts, assemble(form, accounts)
        head = self._heads[form][1]
        return head.only(names) if names else head

    async def gzipped(self, form: Form, names: Collection[str] = ()) -> list[bytes]:
        """Return the parts of a gzip member: the whole exposition, or the families called *names*."""
        head = self._head(form, names)
        if len(head.expiries) <= PIECES_AT_ONCE:
            return head.closed_by(self._tail(head, names))
        return await workers.serve(lambda: head.closed_by(self._tail(head, names)))

    async def plain(self, form: Form, names: Collection[str] = ()) -> AsyncIterator[bytes]:
        """Yield the same without compression, by chunks, so that no more is in memory."""
        head = self._head(form, names)
        batch: list[Stretch] = []
        for stretch in chain.from_iterable(head.families.values()):
            batch.append(stretch)
            if sum(stretch.length for stretch in batch) >= CHUNK_BYTES:
                yield await workers.serve(partial(_inflated, batch))
                batch = []
        yield await workers.serve(lambda: _inflated(batch) + self._tail(head, names))

    def _tail(self, head: Head, names: Collection[str]) -> bytes:
        """Encode what changes with every scrape."""
        countdown = head.countdown(self._clock()) if not names or COUNTDOWN.name in names else b""
        return countdown + self._own_families(head.form, names) + head.form.end

    def _own_families(self, form: Form, names: Collection[str]) -> bytes:
        """Encode the process's own families: again where a sample has changed, which few have between two scrapes."""
        if names:
            return encode(form, self._own.restricted_registry(names).collect())
        own = list(self._own.collect())
        for metric in own:
            if self._encoded.get((form, metric.name), (None,))[0] != metric:
                self._encoded[form, metric.name] = (metric, encode(form, [metric]))
        return b"".join([self._encoded[form, metric.name][1] for metric in own])


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def encode(form: Form, metrics: Iterable[Metric]) -> bytes:
    """Encode *metrics* with the library, without the mark that ends an OpenMetrics exposition."""
    encoder = encode_text if form is Form.TEXT else encode_openmetrics
    return encoder(_Collected(metrics)).removesuffix(Form.OPENMETRICS.end)


async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Join *parts* into chunks worth sending, so that readers share what is rendered until it is their turn."""
    batch: list[bytes] = []
    for part in parts:
        batch.append(part)
        if sum(map(len, batch)) >= CHUNK_BYTES:
            yield b"".join(batch)
            await asyncio.sleep(0)
            batch = []
    yield b"".join(batch)


def _inflated(batch: Iterable[Stretch]) -> bytes:
    return b"".join([stretch.plain for stretch in batch])

"""Serve the exposition quickly: render it when the data changes, not when somebody asks.

Knows prometheus_client's encoders and zlib; nothing of HTTP, the API or settings. The time is an argument.

The trick. Between two rounds only the countdown (`cometapi_key_expires_in_seconds`) and the process's own counters
change. So everything else, the head, is encoded once when a round ends and deflated once, ended by a full flush. A
scrape encodes only the tail, deflates it as the last blocks of the same stream and closes the gzip member with the
checksum and the length continued over both. Every client sees one ordinary gzip member, and the decoded bytes are the
very ones that the library's encoder gives for the same snapshot at the same instant.

Rendering stays quick and small at 100,000 keys: the library writes each key's labels once, and they stand in all its
lines; a family's lines are the same in both forms, and so is their deflate stream; and everything goes by pieces of
1,000 keys, so that no step keeps other threads waiting and no family is ever in memory whole.

A head holds until the next instant at which a key expires or data is withdrawn (`metrics.next_change`); the first
scrape after that instant has it rendered again. Requests for chosen families (`name[]`) go the ordinary, slow way.
"""

import asyncio
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.catalogue import ACCOUNT_GAUGES, COUNTDOWN, KEY_GAUGES, KEY_INFO, KeyGauge
from exporter.metrics import (
    _counts,
    _info,
    _per_account,
    _usable_counts,
    countdown,
    describe,
    empty,
    families,
    key_labels,
    next_change,
)
from exporter.model import ApiKey
from exporter.snapshot import Snapshot

_EOF = b"# EOF\n"
_number: Callable[[float], str] = floatToGoString
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LEVEL = 6
_PIECE = 1000
_SMALL_COUNTDOWN = 1000

_Labelled = Sequence[tuple[tuple[str, str, str, str], ApiKey]]
_Written = Sequence[tuple[str, ApiKey]]
_T = TypeVar("_T")


class Form(Enum):
    """The two forms of the exposition, by content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    def encode(self, metrics: Iterable[Metric]) -> bytes:
        """Encode *metrics* with the library, without the mark that ends an OpenMetrics exposition."""
        encoder = encode_text if self is Form.TEXT else encode_openmetrics
        return encoder(_Metrics(metrics)).removesuffix(_EOF)

    @property
    def end(self) -> bytes:
        """What closes a whole exposition."""
        return b"" if self is Form.TEXT else _EOF


@dataclass(frozen=True, slots=True)
class _Metrics(Collector):
    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class SnapshotCollector(Collector):
    """The snapshot's families as a collector for a registry: made anew at each collection."""

    def __init__(self, current: Callable[[], Snapshot], clock: Callable[[], float]) -> None:
        self._current = current
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Name the families, so that registering asks for nothing and a clash of names fails at the start."""
        return describe()

    def collect(self) -> Iterator[Metric]:
        """Make the families of the current snapshot at this instant."""
        snapshot, now = self._current(), self._clock()
        yield from families(snapshot, now)
        yield countdown(snapshot, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The rendered part in one form: deflated, ended by a full flush, with checksum and length of the plain bytes.

    *countdown_start* are the countdown family's comment lines, *countdown_labels* and *countdown_ends* its series: the
    labels as they are written, and the unix time towards which the value counts down.
    """

    deflated: bytes
    checksum: int
    length: int
    countdown_start: str
    countdown_labels: Sequence[str]
    countdown_ends: Sequence[int]

    def countdown(self, now: float) -> bytes:
        """Encode the countdown family as the library would at unix time *now*."""
        name = COUNTDOWN.family.name
        series = zip(self.countdown_labels, self.countdown_ends, strict=True)
        lines = [f"{name}{labels} {_number(end - now)}\n" for labels, end in series]
        return "".join([self.countdown_start, *lines]).encode()

    def closed_by(self, tail: bytes) -> bytes:
        """Return the gzip member of the head and *tail*."""
        deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        trailer = struct.pack("<II", zlib.crc32(tail, self.checksum), (self.length + len(tail)) & 0xFFFFFFFF)
        return b"".join((_GZIP_HEADER, self.deflated, deflater.compress(tail), deflater.flush(), trailer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The heads made from one snapshot, good until the unix time *until*; None for as long as the snapshot."""

    snapshot: Snapshot
    heads: dict[Form, Head]
    until: float | None

    def holds(self, snapshot: Snapshot, now: float) -> bool:
        """Whether this is still what *snapshot* says at unix time *now*."""
        return self.snapshot is snapshot and (self.until is None or now < self.until)


def render(snapshot: Snapshot, now: float) -> Rendering:
    """Render the heads of *snapshot* as of unix time *now*, in every form."""
    fresh = [state for state in snapshot.accounts.values() if state.serves_data(now)]
    labelled = [(key_labels(state, key), key) for state in fresh for key in state.keys]
    written = list(_written(labelled))
    makings = {form: _HeadInMaking(form) for form in Form}
    for gauge in KEY_GAUGES:
        _add(makings, empty(gauge.family), _gauge_lines(gauge, written, now))
    _add(makings, empty(KEY_INFO), (_lines(_info(piece)) for piece in _pieces(labelled)))
    _add(makings, _counts(fresh))
    _add(makings, _usable_counts(fresh, now))
    for account_gauge in ACCOUNT_GAUGES:
        _add(makings, _per_account(account_gauge, snapshot.accounts, now))
    expiring = [(labels, key.expires_at) for labels, key in written if key.expires_at is not None]
    heads = {form: making.finished(expiring) for form, making in makings.items()}
    return Rendering(snapshot=snapshot, heads=heads, until=next_change(snapshot, now))


def _pieces(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[start : start + _PIECE] for start in range(0, len(items), _PIECE))


def _lines(metric: Metric) -> bytes:
    """Encode the samples of *metric* without its two comment lines: they are the same in both forms."""
    return Form.TEXT.encode([metric]).split(b"\n", 2)[2]


def _written(labelled: _Labelled) -> Iterator[tuple[str, ApiKey]]:
    """Have the library write the labels of each key as they stand in its lines, `{account="...",...}`."""
    name, value = COUNTDOWN.family.name, " 0.0"
    for piece in _pieces(labelled):
        family = empty(COUNTDOWN.family)
        for labels, _ in piece:
            family.add_metric(labels, 0.0)  # type: ignore[arg-type]
        lines = _lines(family).decode().split("\n")[:-1]
        yield from ((line[len(name) : -len(value)], key) for line, (_, key) in zip(lines, piece, strict=True))


def _gauge_lines(gauge: KeyGauge, written: _Written, now: float) -> Iterator[bytes]:
    name, value_of = gauge.family.name, gauge.value
    for piece in _pieces(written):
        values = [(labels, value_of(key, now)) for labels, key in piece]
        lines = [f"{name}{labels} {_number(value)}\n" for labels, value in values if value is not None]
        yield "".join(lines).encode()


class _HeadInMaking:
    """A head that grows family by family. Each addition is a stretch of the deflate stream that refers to no other."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.deflated: list[bytes] = []
        self._checksum = 0
        self._length = 0

    def count(self, plain: bytes) -> None:
        """Take *plain* into the checksum and the length."""
        self._checksum = zlib.crc32(plain, self._checksum)
        self._length += len(plain)

    def finished(self, expiring: Sequence[tuple[str, int]]) -> Head:
        """Return the head; *expiring* are the countdown's labels and ends."""
        return Head(
            deflated=b"".join(self.deflated),
            checksum=self._checksum,
            length=self._length,
            countdown_start=self.form.encode([empty(COUNTDOWN.family)]).decode(),
            countdown_labels=[labels for labels, _ in expiring],
            countdown_ends=[end for _, end in expiring],
        )


def _add(makings: Mapping[Form, _HeadInMaking], metric: Metric, lines: Iterable[bytes] = ()) -> None:
    """Add *metric* as the library encodes it in each form, then *lines*, which are the same in both."""
    for form, making in makings.items():
        comments = form.encode([metric])
        making.count(comments)
        making.deflated += _deflated([comments])
    stretch = list(_deflated(lines, *(making.count for making in makings.values())))
    for making in makings.values():
        making.deflated += stretch


def _deflated(pieces: Iterable[bytes], *tell: Callable[[bytes], None]) -> Iterator[bytes]:
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    for piece in pieces:
        for each in tell:
            each(piece)
        yield deflater.compress(piece)
    yield deflater.flush(zlib.Z_FULL_FLUSH)


class Exposition:
    """What `/metrics` answers.

    *own* are the process's own collectors; *registry* holds everything, for those who choose families. The one mutable
    attribute is the rendering.
    """

    def __init__(
        self, *, current: Callable[[], Snapshot], own: Iterable[Collector], clock: Callable[[], float]
    ) -> None:
        self._current = current
        self._clock = clock
        self._rendering = render(current(), clock())
        self._renewing = asyncio.Lock()
        self._own = CollectorRegistry(auto_describe=True)
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(SnapshotCollector(current, clock))
        for collector in own:
            self._own.register(collector)
            self.registry.register(collector)

    async def renew(self) -> Rendering:
        """Render the current snapshot, off the event loop, unless that was done already."""
        async with self._renewing:
            snapshot, now = self._current(), self._clock()
            if not self._rendering.holds(snapshot, now):
                self._rendering = await asyncio.to_thread(render, snapshot, now)
            return self._rendering

    async def whole(self, form: Form, *, gzipped: bool) -> bytes:
        """Return the whole exposition, as one gzip member or plain."""
        rendering = self._rendering
        now = self._clock()
        if not rendering.holds(self._current(), now):
            rendering = await self.renew()
        head = rendering.heads[form]
        if gzipped and len(head.countdown_ends) <= _SMALL_COUNTDOWN:
            return self.assemble(head, form, now, gzipped=True)
        return await asyncio.to_thread(self.assemble, head, form, now, gzipped=gzipped)

    def assemble(self, head: Head, form: Form, now: float, *, gzipped: bool) -> bytes:
        """Put *head* and the tail of unix time *now* together."""
        tail = head.countdown(now) + form.encode(self._own.collect()) + form.end
        member = head.closed_by(tail)
        return member if gzipped else zlib.decompress(member, 16 + zlib.MAX_WBITS, head.length + len(tail))

    async def chosen(self, names: Sequence[str], form: Form, *, gzipped: bool) -> bytes:
        """Return the families or series called *names* alone."""
        body = await asyncio.to_thread(lambda: form.encode(self.registry.restricted_registry(names).collect()))
        body += form.end
        return zlib.compress(body, _LEVEL, 16 + zlib.MAX_WBITS) if gzipped else body

"""Render the part of the exposition that changes only with a refresh's end, an expiry or a withdrawal.

Knows prometheus_client's encoders and zlib; nothing of HTTP, the API or settings. The time is an argument.

The trick. Between two refreshes only the countdown (`cometapi_key_expires_in_seconds`) and the process's own counters
change. So everything else, the head, is encoded once when a refresh ends and deflated once, ended by a full flush. A
scrape encodes only the tail, deflates it as the last blocks of the same stream and closes the gzip member with the
checksum and the length continued over both. Every client sees one ordinary gzip member, and the decoded bytes are the
very ones that the library's encoder gives for the same snapshot at the same instant.

Rendering 100,000 keys stays quick and small: the library writes each key's labels once, for all its lines; the lines
and their deflate stream serve both forms; pieces of 1,000 keys keep no thread waiting and no family in memory whole;
lists of texts and keys stand side by side, since a tuple for each key is a stop of the garbage collector's.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter import metrics
from exporter.catalogue import ACCOUNT_FAMILIES, COUNTDOWN, KEY_FAMILIES, KEY_LABELS, Family
from exporter.model import ApiKey
from exporter.snapshot import AccountState, Snapshot

_EOF = b"# EOF\n"
_number: Callable[[float], str] = floatToGoString
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
COMPRESSION_LEVEL = 6
KEYS_A_PIECE = 1000


class Form(Enum):
    """The two forms of the exposition, by content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    def encode(self, made: Iterable[Metric]) -> bytes:
        """Encode the metrics *made* with the library, without the mark that ends an OpenMetrics exposition."""
        encoder = encode_text if self is Form.TEXT else encode_openmetrics
        return encoder(_Made(made)).removesuffix(_EOF)

    @property
    def end(self) -> bytes:
        """What closes a whole exposition."""
        return b"" if self is Form.TEXT else _EOF


@dataclass(frozen=True, slots=True)
class _Made(Collector):
    made: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.made


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The rendered part in one form: deflated, ended by a full flush, with checksum and length of the plain bytes.

    *countdown_series* has, by pieces, the unix time at which each of the countdown's series ends, by its labels.
    """

    form: Form
    countdown_series: Sequence[Mapping[str, int]]
    deflated: tuple[bytes, ...] = ()
    checksum: int = 0
    length: int = 0

    def followed_by(self, plain: bytes, deflated: bytes) -> "Head":
        """Return the head with *plain* at its end, which *deflated* brings to its deflate stream."""
        checksum, length = zlib.crc32(plain, self.checksum), self.length + len(plain)
        return replace(self, deflated=(*self.deflated, deflated), checksum=checksum, length=length)

    def countdown(self, now: float) -> bytes:
        """Encode the countdown family as the library would at unix time *now*."""
        pieces = (
            _encode_lines(COUNTDOWN, ends, [end - now for end in ends.values()]) for ends in self.countdown_series
        )
        return b"".join([self.form.encode([metrics.empty(COUNTDOWN)]), *pieces])

    def closed_by(self, tail: bytes) -> bytes:
        """Return the gzip member of the head and *tail*."""
        deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        trailer = struct.pack("<II", zlib.crc32(tail, self.checksum), (self.length + len(tail)) & 0xFFFFFFFF)
        return b"".join((_GZIP_HEADER, *self.deflated, deflater.compress(tail), deflater.flush(), trailer))


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
    fresh = [state for state in snapshot.accounts.values() if state.serves_data]
    pieces = [
        (state, state.keys[start : start + KEYS_A_PIECE])
        for state in fresh
        for start in range(0, len(state.keys), KEYS_A_PIECE)
    ]
    written = [(state, _label_texts(state, keys), keys) for state, keys in pieces]
    expiring = [
        {text: key.expires_at for text, key in zip(texts, keys, strict=True) if key.expires_at is not None}
        for _, texts, keys in written
    ]
    heads = [Head(form=form, countdown_series=expiring) for form in Form]
    for family in KEY_FAMILIES:
        lines = (_key_lines(family, state, texts, keys, now) for state, texts, keys in written)
        heads = _with_metric(heads, metrics.empty(family), lines)
    for family in ACCOUNT_FAMILIES:
        heads = _with_metric(heads, metrics.per_account(family, snapshot, now))
    return Rendering(
        snapshot=snapshot, heads={head.form: head for head in heads}, until=metrics.next_change(snapshot, now)
    )


def _lines(metric: Metric) -> bytes:
    """Encode the samples of *metric* without its two comment lines: they are the same in both forms."""
    return Form.TEXT.encode([metric]).split(b"\n", 2)[2]


def _label_texts(state: AccountState, keys: Iterable[ApiKey]) -> list[str]:
    """Have the library write the labels of each key as they stand in its lines, `{account="...",...}`."""
    family, name, value = metrics.empty(COUNTDOWN), COUNTDOWN.name, " 0.0"
    for key in keys:
        labels = dict(zip(KEY_LABELS, metrics.key_labels(state, key), strict=True))
        family.add_sample(name, labels, 0.0)
    return [line[len(name) : -len(value)] for line in _lines(family).decode().split("\n")[:-1]]


def _key_lines(family: Family, state: AccountState, texts: Iterable[str], keys: Sequence[ApiKey], now: float) -> bytes:
    if family.more is not None:
        metric = metrics.empty(family)
        metrics.add_keys(metric, family, state, keys, now)
        return _lines(metric)
    return _encode_lines(family, texts, [family.of_key(state, key, now) for key in keys] if family.of_key else [])


def _encode_lines(family: Family, texts: Iterable[str], values: Iterable[float | None]) -> bytes:
    name, series = family.name, zip(texts, values, strict=True)
    return "".join([f"{name}{text} {_number(value)}\n" for text, value in series if value is not None]).encode()


def _with_metric(heads: Iterable[Head], metric: Metric, lines: Iterable[bytes] = ()) -> list[Head]:
    """Add *metric* as the library encodes it in each form, then *lines*, which are the same in all."""
    return _with_stretch([_with_stretch([head], [head.form.encode([metric])])[0] for head in heads], lines)


def _with_stretch(heads: list[Head], pieces: Iterable[bytes]) -> list[Head]:
    """Add a stretch to the deflate streams; it refers to nothing before it, so the same fits into each."""
    deflater = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    for piece in pieces:
        deflated = deflater.compress(piece)
        heads = [head.followed_by(piece, deflated) for head in heads]
    end = deflater.flush(zlib.Z_FULL_FLUSH)
    return [head.followed_by(b"", end) for head in heads]

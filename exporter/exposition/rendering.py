"""Render accounts, piece by piece, into stretches of a deflate stream.

Pure: no HTTP, no clock (the time is an argument); knows the rows of `catalogue` and the library's
format of a number.

The trick. Between two refreshes only the countdown (`cometapi_key_expires_in_seconds`) and the
process's own counters change. Everything else, the head, is kept deflated in stretches: one for
each family and piece of about 1,000 keys, ended by a full flush, so that it fits into any place of
the stream, with its checksum, which can be combined with that of what comes before. A refresh
renders only the stretches in which a value changed; an expiry only those of the piece that holds
the key. A scrape encodes the tail, deflates it as the last block of the stream, and closes the gzip
member. Clients see one ordinary gzip member; inflated, it is byte for byte what the library's
encoder returns for the same snapshot at the same time. Chosen families are some of the stretches, a
plain answer is inflated stretch by stretch.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache

from prometheus_client.utils import floatToGoString

from exporter.exposition.catalogue import (
    ACCOUNT_FAMILIES,
    COUNTDOWN,
    EXPIRY,
    KEY_FAMILIES,
    USAGE_FAMILIES,
    Family,
    Tally,
    surroundings,
    tally_of,
)
from exporter.exposition.stretches import Stretch, deflate
from exporter.model import ApiKey
from exporter.snapshot import AccountState

KEYS_A_PIECE = 1000
LARGEST = 10**15
EXPONENTS = tuple(f"e+{digits - 1:02d}" for digits in range(16))
_library_number: Callable[[float], str] = floatToGoString


class Form(Enum):
    """The two forms of the exposition, by content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def end(self) -> str:
        """What closes a whole exposition."""
        return "" if self is Form.TEXT else "# EOF\n"

    def comments(self, family: Family) -> str:
        """Return the two comment lines of *family*; OpenMetrics names a counter without its ending."""
        name = family.name if self is Form.TEXT else family.name.removesuffix("_total")
        return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"


# The text.


def number(value: float) -> str:
    """Write *value* as the library does; integers, which nearly all are, by a shorter way."""
    if type(value) is int and -LARGEST < value < LARGEST:
        if value < 10**6:
            return f"{value}.0"
        digits = str(value)
        return (digits[0] + "." + digits[1:]).rstrip("0.") + EXPONENTS[len(digits)]
    return _library_number(value)


@cache
def _template(names: tuple[str, ...]) -> str:
    labels = ",".join(f'{name}="{{{names.index(name)}}}"' for name in sorted(names))
    return f"{{{{{labels}}}}}" if labels else ""


def label_set(names: tuple[str, ...], values: Sequence[str]) -> str:
    """Write labels as they are in a line; the last ones may be left out."""
    escaped = [
        value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for value in values
    ]
    return _template(names[: len(values)]).format(*escaped)


def lines(family: Family, series: Iterable[tuple[str, float | None]]) -> str:
    """Write a line for each of *series* that has a value: what follows the family's name, and the value."""
    name = family.name
    return "".join(
        [f"{name}{text} {number(value)}\n" for text, value in series if value is not None]
    )


# Accounts, by pieces.


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some keys of an account at a unix time, before and after they are rendered.

    Rendered, it has a stretch for each family that has series, how many keys are in which
    condition, and the expiry of each key that has one, by its labels. All of that holds *until* a
    unix time.
    """

    state: AccountState
    keys: Sequence[ApiKey]
    now: float
    stretches: Mapping[str, Stretch] = field(default_factory=dict)
    expiries: Mapping[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    until: float = math.inf

    def holds(self, now: "Piece") -> bool:
        """Whether what is rendered is still what *now* shows."""
        return (
            self.now <= now.now < self.until
            and surroundings(self.state) == surroundings(now.state)
            and (self.keys is now.keys or self.keys == now.keys)
        )

    @property
    def identities(self) -> list[tuple[int, str, str]]:
        """What tells the series of each key from those of others; empty where no key has series."""
        return (
            [] if self.state.counts_only else [(key.id, key.name, key.group) for key in self.keys]
        )

    def values(self, family: Family) -> list[float | None]:
        """Read the values of *family*."""
        return (
            [family.of_key(self.state, key, self.now) for key in self.keys] if family.of_key else []
        )

    def labels(self, family: Family) -> list[str]:
        """Write the labels of each key as they are in the lines of *family*."""
        name, more = self.state.name, family.more or (lambda _: ())
        return [
            label_set(family.labels, (name, str(key.id), key.name, key.group, *more(key)))
            for key in self.keys
        ]

    def agrees(self, other: "Piece", family: Family) -> bool:
        """Whether *family* has the same lines as for *other*, which has the same keys."""
        more = family.more
        if more and list(map(more, self.keys)) != list(map(more, other.keys)):
            return False
        return self.values(family) == other.values(family)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendered:
    """An account in pieces, with the lines of the families that are about no key, and the stretches of its usage."""

    state: AccountState
    now: float
    pieces: Sequence[Piece]
    lines: Mapping[str, str]
    usage: Mapping[str, Stretch]

    def holds(self, now: float) -> bool:
        """Whether no key has expired since, and no clock was set back."""
        return self.now <= now < min((piece.until for piece in self.pieces), default=math.inf)


def render(
    state: AccountState, now: float, before: Rendered | None = None
) -> Iterator[Rendered | None]:
    """Render *state*, keeping what still holds of *before*: yield None after each piece, and the account in the end."""
    known = before.pieces if before else ()
    old = {piece.keys[-1].id: piece for piece in known}
    cut: Iterable[Sequence[ApiKey]] = _cut(state.keys if state.serves_data else ())
    if before and before.state is state:
        cut = (piece.keys for piece in known)
    pieces, tally = [], Tally()
    for keys in cut:
        pieces.append(_rendered(Piece(state, keys, now), old.get(keys[-1].id)))
        tally.update(pieces[-1].tally)
        yield None
    shown = [family for family in ACCOUNT_FAMILIES if family.always or state.serves_data]
    yield Rendered(
        state=state,
        now=now,
        pieces=pieces,
        lines={family.name: _account_lines(family, state, tally) for family in shown},
        usage=_usage(state, before),
    )


def _cut(keys: Sequence[ApiKey]) -> Iterator[Sequence[ApiKey]]:
    """Cut *keys* into pieces, at borders of their own, so that one key more or less changes one piece."""
    start = 0
    for end, key in enumerate(keys, 1):
        is_border = key.id * 2654435761 % 2**32 < 2**32 // KEYS_A_PIECE
        if is_border or end - start == 2 * KEYS_A_PIECE or end == len(keys):
            yield keys[start:end]
            start = end


def _rendered(piece: Piece, old: Piece | None) -> Piece:
    """Render *piece*: only the families that changed since *old*, where that has the same keys."""
    if old is not None and old.holds(piece):
        return replace(old, state=piece.state, keys=piece.keys, now=piece.now)
    before = old if old is not None and old.identities == piece.identities else None
    families = () if piece.state.counts_only else KEY_FAMILIES
    changed = [family for family in families if before is None or not piece.agrees(before, family)]
    labels = piece.labels(COUNTDOWN) if changed else []
    texts = {}
    for family in changed:
        own_labels = piece.labels(family) if family.more else labels
        texts[family.name] = lines(family, zip(own_labels, piece.values(family), strict=True))
    kept, expiries = (before.stretches, before.expiries) if before else ({}, {})
    if EXPIRY in changed:
        with_labels = zip(labels, piece.keys, strict=True)
        expiries = {text: key.expires_at for text, key in with_labels if key.expires_at is not None}
    ends = (key.expires_at + 1 for key in piece.keys if key.expires_at is not None)
    return replace(
        piece,
        stretches={name: stretch for name, stretch in kept.items() if name not in texts}
        | _stretches(texts),
        expiries=expiries,
        tally=tally_of(piece.state, piece.keys, piece.now),
        until=min((end for end in ends if end > piece.now), default=math.inf),
    )


def _usage(state: AccountState, before: Rendered | None) -> Mapping[str, Stretch]:
    if not state.serves_data:
        return {}
    if before and before.state.serves_data and before.state.usage is state.usage:
        return before.usage
    return _stretches(
        {family.name: _account_lines(family, state, Tally()) for family in USAGE_FAMILIES}
    )


def _stretches(texts: Mapping[str, str]) -> dict[str, Stretch]:
    """Deflate those of *texts* that are not empty."""
    shown = {name: text for name, text in texts.items() if text}
    return dict(zip(shown, deflate(shown.values()), strict=True))


def _account_lines(family: Family, state: AccountState, tally: Tally) -> str:
    series = family.of_account(state, tally) if family.of_account else ()
    return lines(
        family,
        ((label_set(family.labels, (state.name, *labels)), value) for labels, value in series),
    )

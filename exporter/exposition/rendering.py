"""Render accounts, piece by piece, into stretches of a deflate stream.

Pure: no HTTP, no clock (the time is an argument); knows the rows of `catalogue` and the library's format of a number.

The trick. Between two refreshes only the countdown (`cometapi_key_expires_in_seconds`) and the process's own counters
change. Everything else, the head, is kept deflated in stretches: one for each family and piece of about 1,000 keys,
ended by a full flush, so that it fits into any place of the stream, with its checksum, which can be combined with that
of what comes before. A refresh renders only the stretches in which a value changed; an expiry only those of the piece
that holds the key. A scrape encodes the tail, deflates it as the last block of the stream, and closes the gzip member.
Clients see one ordinary gzip member; inflated, it is byte for byte what the library's encoder returns for the same
snapshot at the same time. Chosen families are some of the stretches, a plain answer is inflated stretch by stretch.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache, partial

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
)
from exporter.exposition.stretches import Stretch, deflate
from exporter.model import ApiKey, Obstacle
from exporter.snapshot import AccountState

KEYS_A_PIECE = 1000
_number: Callable[[float], str] = floatToGoString


class Form(Enum):
    """The two forms of the exposition, by content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def end(self) -> bytes:
        """What closes a whole exposition."""
        return b"" if self is Form.TEXT else b"# EOF\n"

    def comments(self, family: Family) -> str:
        """Return the two comment lines of *family*; OpenMetrics names a counter without its ending."""
        name = family.name if self is Form.TEXT else family.name.removesuffix("_total")
        return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"


# Accounts, by pieces.


@dataclass(frozen=True, slots=True)
class View:
    """Some keys of an account at a unix time."""

    state: AccountState
    keys: Sequence[ApiKey]
    now: float

    def values(self, family: Family) -> list[float | None]:
        """Read the values of *family*."""
        return [family.of_key(self.state, key, self.now) for key in self.keys] if family.of_key else []

    def texts(self, family: Family) -> list[str]:
        """Write the labels of each key as they are in the lines of *family*."""
        name, more = self.state.name, family.more or _nothing_more
        return [_labels(family.labels, (name, str(key.id), key.name, key.group, *more(key))) for key in self.keys]

    def has_same_keys(self, other: "View") -> bool:
        """Whether the same keys are shown, under the same names."""
        mine, theirs = ([(key.id, key.name, key.group) for key in view.keys] for view in (self, other))
        return self.state.counts_only == other.state.counts_only and mine == theirs

    def agrees(self, other: "View", family: Family) -> bool:
        """Whether *family* has the same lines as for *other*, which has the same keys."""
        more = family.more or _nothing_more
        return self.values(family) == other.values(family) and list(map(more, self.keys)) == list(map(more, other.keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some keys of an account: a stretch for each family that has series, and how many keys are in which condition.

    *expiries* has the expiry of each key that has one, by the text of its labels. All of it holds *until* a unix time.
    """

    view: View
    stretches: Mapping[str, Stretch]
    expiries: Mapping[str, int]
    tally: Tally
    until: float

    def holds(self, view: View) -> bool:
        """Whether the piece is still what *view* shows."""
        return (
            self.view.now <= view.now < self.until
            and surroundings(self.view.state) == surroundings(view.state)
            and (self.view.keys is view.keys or self.view.keys == view.keys)
        )


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


def jobs(state: AccountState, now: float, before: Rendered | None) -> Iterator[Callable[[], Piece]]:
    """Yield what renders the pieces of *state* one by one, using of *before* what still holds."""
    known = before.pieces if before else ()
    old = {piece.view.keys[-1].id: piece for piece in known}
    keys_of_pieces = _cut(state.keys if state.serves_data else ())
    if before and before.state is state:
        keys_of_pieces = (piece.view.keys for piece in known)
    for keys in keys_of_pieces:
        yield partial(_piece, View(state, keys, now), old.get(keys[-1].id))


def finish(state: AccountState, now: float, pieces: Sequence[Piece], before: Rendered | None) -> Rendered:
    """Add to the *pieces* of an account what is about no key."""
    tally: Counter[tuple[str, str, Obstacle | None]] = Counter()
    for piece in pieces:
        tally.update(piece.tally)
    shown = [family for family in ACCOUNT_FAMILIES if family.always or state.serves_data]
    lines = {family.name: _account_lines(family, state, tally) for family in shown}
    usage = before.usage if before and before.state.usage is state.usage else _usage(state)
    return Rendered(state=state, now=now, pieces=pieces, lines=lines, usage=usage if state.serves_data else {})


def render(state: AccountState, now: float, before: Rendered | None = None) -> Rendered:
    """Render an account at once."""
    return finish(state, now, [job() for job in jobs(state, now, before)], before)


def _usage(state: AccountState) -> dict[str, Stretch]:
    lines = {family.name: _account_lines(family, state, {}) for family in USAGE_FAMILIES if state.usage}
    return dict(zip(lines, deflate(lines.values()), strict=True))


def _cut(keys: Sequence[ApiKey]) -> Iterator[Sequence[ApiKey]]:
    """Cut *keys* into pieces, at borders of their own, so that one key more or less changes one piece."""
    start = 0
    for end, key in enumerate(keys, 1):
        is_border = key.id * 2654435761 % 2**32 < 2**32 // KEYS_A_PIECE
        if is_border or end - start == 2 * KEYS_A_PIECE or end == len(keys):
            yield keys[start:end]
            start = end


def _piece(view: View, old: Piece | None) -> Piece:
    if old is not None and old.holds(view):
        return replace(old, view=view)
    before = old if old is not None and old.view.has_same_keys(view) else None
    families = () if view.state.counts_only else KEY_FAMILIES
    changed = [family for family in families if before is None or not view.agrees(before.view, family)]
    texts = view.texts(COUNTDOWN) if changed else []
    ends = [key.expires_at for key in view.keys]
    return Piece(
        view=view,
        stretches=_stretches(view, texts, changed, before),
        expiries=before.expiries
        if before and EXPIRY not in changed
        else {text: end for text, end in zip(texts, ends, strict=False) if end is not None},
        tally=Counter((key.group, key.status_word, view.state.obstacle(key, view.now)) for key in view.keys),
        until=min((end + 1 for end in ends if end is not None and end + 1 > view.now), default=math.inf),
    )


def _stretches(view: View, texts: Sequence[str], changed: Iterable[Family], before: Piece | None) -> dict[str, Stretch]:
    """Render the families that *changed*, and keep the others of *before*."""
    lines = {
        family.name: key_lines(family, view.texts(family) if family.more else texts, view.values(family))
        for family in changed
    }
    kept = {name: stretch for name, stretch in (before.stretches if before else {}).items() if name not in lines}
    shown = {name: text for name, text in lines.items() if text}
    return kept | dict(zip(shown, deflate(shown.values()), strict=True))


# The text.


def _nothing_more(_: ApiKey) -> tuple[str, ...]:
    return ()


@cache
def _template(names: tuple[str, ...]) -> str:
    return "{{" + ",".join(f'{name}="{{{names.index(name)}}}"' for name in sorted(names)) + "}}"


def _labels(names: tuple[str, ...], values: Sequence[str]) -> str:
    escaped = [value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for value in values]
    return _template(names[: len(values)]).format(*escaped)


def key_lines(family: Family, texts: Iterable[str], values: Iterable[float | None]) -> str:
    """Write a line for each key that has a value; *texts* are its labels."""
    name, series = family.name, zip(texts, values, strict=True)
    return "".join([f"{name}{text} {_number(value)}\n" for text, value in series if value is not None])


def _account_lines(family: Family, state: AccountState, tally: Tally) -> str:
    series = family.of_account(state, tally) if family.of_account else ()
    return "".join(
        f"{family.name}{_labels(family.labels, (state.name, *labels))} {_number(value)}\n"
        for labels, value in series
        if value is not None
    )

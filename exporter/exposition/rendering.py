"""Render accounts as text, family by family, in the text format of Prometheus or in OpenMetrics.

Pure: no HTTP, no clock (the time is an argument); knows the rows of `catalogue` and how the client
library formats a number. The text is byte for byte what the library's encoder returns for the same
state at the same time.
"""

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

from prometheus_client.utils import floatToGoString

from exporter.bounds import cut
from exporter.exposition.catalogue import (
    ACCOUNT_FAMILIES,
    COUNTDOWN,
    KEY_FAMILIES,
    USAGE_FAMILIES,
    Family,
    Tally,
)
from exporter.exposition.compression import LEVEL
from exporter.model import ApiKey
from exporter.snapshot import AccountState

# One step of a rendering: about 20 ms of work, so that accounts take turns in the thread that
# renders, and no string is so large that joining or encoding it stops the other threads.
KEYS_PER_STEP = 2_000
# A rendering of 100,000 keys takes about 1 s. After an expiry it stays for at least 5 s, so that an
# expiry every second costs a fifth of a core. Up to 20,000 keys nothing waits.
KEYS_PER_SECOND_OF_REST = 20_000
# Bounds how old a value can be that depends on the time in another way than by the expiry of the
# key. More than the usual interval of refreshes, which render in any case.
MAX_AGE_SECONDS = 120

# From 10^15 on, and below -10^15, the library's own function writes integers: it rounds as a float.
LARGEST = 10**15
EXPONENTS = tuple(f"e+{digits - 1:02d}" for digits in range(16))
_library_number: Callable[[float], str] = floatToGoString


class Format(Enum):
    """The two formats of the exposition, by content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def end(self) -> str:
        """What closes a whole exposition."""
        return "" if self is Format.TEXT else "# EOF\n"

    def comments(self, family: Family) -> str:
        """Return the comment lines of *family*; OpenMetrics names a counter without `_total`."""
        name = family.name if self is Format.TEXT else family.name.removesuffix("_total")
        return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"


# Lines.


def number(value: float) -> str:
    """Format *value* as the library does."""
    # Nearly all values are integers: this is three times as fast as the library.
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
    """Format labels as they are in a line; the last values may be left out."""
    escaped = [
        value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for value in values
    ]
    return _template(names[: len(values)]).format(*escaped)


def lines(family: Family, series: Iterable[tuple[str, float | None]]) -> str:
    """Format a line for each item of *series* that has a value: labels, as text, and value."""
    name = family.name
    return "".join(
        [f"{name}{labels} {number(value)}\n" for labels, value in series if value is not None]
    )


# Accounts.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendering:
    """The exposition of one account as of unix time *now*, but for its countdown.

    *compressed* has the lines of each family that has some, in parts: the text of 100,000 keys is
    100 MB, and twice that while the next rendering is made. *expiries* has the unix time at which
    each key expires by the labels of the key, as text; the countdown is written from it at each
    scrape. The rendering is to be used *until* a unix time.
    """

    state: AccountState
    now: float
    until: float
    compressed: Mapping[str, Sequence[bytes]]
    expiries: Mapping[str, int]

    def text(self, family: Family) -> Iterator[bytes]:
        """Yield the lines of *family* in parts, encoded."""
        for part in self.compressed.get(family.name, ()):
            yield zlib.decompress(part)

    def is_current(self, now: float) -> bool:
        """Whether the rendering can be used at unix time *now*; not after a clock was set back."""
        return self.now <= now < self.until


def render(state: AccountState, now: float) -> Iterator[Rendering | None]:
    """Render *state* as of unix time *now*, in steps: yield None after each, at last the result.

    The result depends on these two arguments alone.
    """
    compressed: defaultdict[str, list[bytes]] = defaultdict(list)
    expiries: dict[str, int] = {}
    tally = Tally()
    keys = state.keys
    for start in range(0, len(keys), KEYS_PER_STEP):
        some = keys[start : start + KEYS_PER_STEP]
        tally.add(state, some, now)
        if not state.counts_only:
            labels = [_key_labels(COUNTDOWN, state, key) for key in some]
            for family in KEY_FAMILIES:
                _append(compressed, family, _key_lines(family, state, some, labels, now))
            for key, text in zip(some, labels, strict=True):
                if key.expires_at is not None:
                    expiries[text] = key.expires_at
        yield None
    for family in (*ACCOUNT_FAMILIES, *USAGE_FAMILIES):
        _append(compressed, family, _account_lines(family, state, tally))
    yield Rendering(
        state=state,
        now=now,
        until=_until(keys, now),
        compressed=compressed,
        expiries=expiries,
    )


def _append(compressed: defaultdict[str, list[bytes]], family: Family, text: str) -> None:
    if text:
        compressed[family.name].append(zlib.compress(text.encode(), LEVEL))


def _key_labels(family: Family, state: AccountState, key: ApiKey) -> str:
    more = family.more(key) if family.more else ()
    name, group = (cut(text, state.longest_label) for text in (key.name, key.group))
    return label_set(family.labels, (state.name, str(key.id), name, group, *more))


def _key_lines(
    family: Family, state: AccountState, keys: Sequence[ApiKey], labels: Sequence[str], now: float
) -> str:
    """Write the lines of *keys*; *labels* are those of each key that all families have."""
    if family.several_of_key:
        return _several_key_lines(family, state, keys, labels, now)
    if family.of_key is None:
        return ""
    if family.more:
        labels = [_key_labels(family, state, key) for key in keys]
    values = [family.of_key(state, key, now) for key in keys]
    return lines(family, zip(labels, values, strict=True))


def _several_key_lines(
    family: Family, state: AccountState, keys: Sequence[ApiKey], labels: Sequence[str], now: float
) -> str:
    """Write any number of lines of each of *keys*, told apart by the last label."""
    if family.several_of_key is None:
        return ""
    last = family.labels[-1]
    found = []
    for key, text in zip(keys, labels, strict=True):
        values = family.several_of_key(state, key, now)
        if values:
            start = f'{family.name}{text.removesuffix("}")},{last}="'
            found += [f'{start}{value}"}} 1.0\n' for value in values]
    return "".join(found)


def _account_lines(family: Family, state: AccountState, tally: Tally) -> str:
    if family.of_account is None:
        return ""
    series = []
    for labels, value in family.of_account(state, tally):
        series.append((label_set(family.labels, (state.name, *labels)), value))
    return lines(family, series)


def _until(keys: Sequence[ApiKey], now: float) -> float:
    """Return until when a rendering of *keys* at unix time *now* is to be used.

    That is until the next key expires, but at least as long as rendering so many keys may not cost
    too much, and at most until `MAX_AGE_SECONDS` are over.
    """
    next_expiry = math.inf
    for key in keys:
        # The gateway serves a key through the second of its expiry.
        if key.expires_at is not None and now < key.expires_at + 1 < next_expiry:
            next_expiry = key.expires_at + 1
    rested = now + len(keys) // KEYS_PER_SECOND_OF_REST
    return min(max(next_expiry, rested), now + MAX_AGE_SECONDS)

"""Choose keys by name, and accounts by shard: which keys are exposed, which threshold applies, who reads an account.

Pure: knows no metric and no file. A pattern must match the whole of `<group>/<name>`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

EVERY_KEY = re.compile(".*", re.DOTALL)


class Named(Protocol):
    """What is filtered: a key with its group and name."""

    @property
    def group(self) -> str:
        """The key's group, "" where none is chosen."""

    @property
    def name(self) -> str:
        """The key's name; any Unicode, slashes too."""


def _matches(pattern: re.Pattern[str], key: Named) -> bool:
    return pattern.fullmatch(f"{key.group}/{key.name}") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Which keys are exposed: those that *include* matches (None: all), but none that *exclude* matches."""

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to filter by."""
        return self.include is not None or self.exclude is not None

    def takes(self, key: Named) -> bool:
        """Whether *key* is exposed."""
        if self.exclude is not None and _matches(self.exclude, key):
            return False
        return self.include is None or _matches(self.include, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """When to warn about the keys that *keys* matches; None leaves the common rule in force.

    *expiry_warning* is in seconds, the others are in US dollars.
    """

    keys: re.Pattern[str] = EVERY_KEY
    low_quota_usd: float | None = None
    expiry_warning: float | None = None
    daily_budget_usd: float | None = None

    def applies_to(self, key: Named) -> bool:
        """Whether *key* is one of its keys."""
        return _matches(self.keys, key)


def threshold_of(key: Named, thresholds: Iterable[Threshold]) -> Threshold | None:
    """Return the first of *thresholds* that applies to *key*, None where none does."""
    return next((threshold for threshold in thresholds if threshold.applies_to(key)), None)


def shard_of(name: str, total: int) -> int:
    """Return the index of the shard that reads the account *name*, by rendezvous hashing.

    Each shard draws a number for the name and the highest wins, so one shard more only takes accounts, about
    1 in *total*, and moves no account between the others.
    """
    return max(range(total), key=lambda index: blake2b(f"{index}/{name}".encode(errors="surrogatepass")).digest())

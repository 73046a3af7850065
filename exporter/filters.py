"""Choose keys by name, and accounts by shard: which keys are exposed, which threshold applies, who reads an account.

Pure: knows no metric, no file. A pattern must match the whole of `<group>/<name>`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from exporter.model import ApiKey

EVERY_KEY = re.compile(".*", re.DOTALL)


def key_filter(
    include: re.Pattern[str] | None, exclude: re.Pattern[str] | None
) -> Callable[[ApiKey], bool] | None:
    """Return what says whether a key is exposed: *include* must match it (None: any) and *exclude* must not.

    None where every key is exposed.
    """
    if include is None and exclude is None:
        return None

    def takes(key: ApiKey) -> bool:
        is_excluded = exclude is not None and _matches(exclude, key)
        return not is_excluded and (include is None or _matches(include, key))

    return takes


def _matches(pattern: re.Pattern[str], key: ApiKey) -> bool:
    return pattern.fullmatch(f"{key.group}/{key.name}") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """When to warn about the keys that *keys* matches; None leaves the common rule in force.

    *expiry_warning* is in seconds, the others are in US dollars.
    """

    keys: re.Pattern[str] = EVERY_KEY
    low_quota_usd: float | None = None
    expiry_warning: float | None = None
    daily_budget_usd: float | None = None


COMMON = Threshold()


def threshold_of(key: ApiKey, thresholds: Iterable[Threshold]) -> Threshold:
    """Return the first of *thresholds* whose *keys* match *key*, the common rules where none does."""
    return next((threshold for threshold in thresholds if _matches(threshold.keys, key)), COMMON)


def shard_of(name: str, total: int) -> int:
    """Return the index of the shard that reads the account *name*, by rendezvous hashing.

    Each shard draws a number for the name and the highest wins, so one shard more only takes
    accounts, about 1 in *total*, and moves no account between the others.
    """
    return max(
        range(total),
        key=lambda index: blake2b(f"{index}/{name}".encode(errors="surrogatepass")).digest(),
    )

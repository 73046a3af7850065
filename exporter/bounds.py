"""Bound how much text of names and how many groups are exposed, since the gateway chooses both.

Pure: texts and keys in, bounds out. Each key has about nine series, each with the key's name and
group; each group has about ten. A label of random characters is not compressed.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.model import LONGEST_LABEL_BYTES, ApiKey

# Far more than gateways have price levels. So many cost as much as a thousand keys.
MOST_GROUPS = 1_000
# The keys of further groups are counted together under this name.
OTHER_GROUPS = "other"
# Names and groups of all keys of an account, in bytes. 100,000 keys whose labels are random and
# reach these limits fit into 512 MiB, 10,000 into 128 MiB; see docs/scaling.md.
LABEL_BYTES = 20_000
LABEL_BYTES_PER_KEY = 36
# The bound changes in steps, so that a key more or less does not rename the series of all others.
STEP_BYTES = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of an account's names and groups is beyond the bounds.

    Labels have at most *longest_label* bytes of a name or a group, so *shortened_keys* have a name
    or a group that is cut. The keys of *folded_groups* are counted under `OTHER_GROUPS`.
    """

    longest_label: int = LONGEST_LABEL_BYTES
    shortened_keys: int = 0
    folded_groups: int = 0


NOTHING_BEYOND = Bounds()


def bounds_of(keys: Sequence[ApiKey], counted: Container[str]) -> Bounds:
    """Return the bounds for *keys*, where the groups in *counted* are counted by themselves."""
    longest = longest_label(keys)
    shortened = 0
    # Without this bound, no label is longer than a name can be.
    if longest < LONGEST_LABEL_BYTES:
        shortened = sum(_is_longer(key, longest) for key in keys)
    groups = {key.group for key in keys}
    folded = sum(group not in counted for group in groups)
    return Bounds(longest, shortened, folded)


def _is_longer(key: ApiKey, most_bytes: int) -> bool:
    return max(len(key.name.encode()), len(key.group.encode())) > most_bytes


def counted_groups(last_seen: Mapping[str, float], now: float) -> dict[str, float]:
    """Choose the groups of *last_seen* that are counted by themselves, at most `MOST_GROUPS`.

    *last_seen* maps groups to the monotonic second in which they last had a key. Groups that have
    keys *now* come first, those known for longest before the others. If some are left out,
    `OTHER_GROUPS` is among the result.
    """
    if len(last_seen) <= MOST_GROUPS:
        return dict(last_seen)
    by_presence = sorted(last_seen, key=lambda group: last_seen[group] < now)
    chosen = {group: last_seen[group] for group in by_presence[: MOST_GROUPS - 1]}
    return {**chosen, OTHER_GROUPS: now}


def longest_label(keys: Sequence[ApiKey]) -> int:
    """Return how many bytes of their names and groups the labels of *keys* may have."""
    lengths: Counter[int] = Counter()
    for key in keys:
        lengths[len(key.name.encode())] += 1
        lengths[len(key.group.encode())] += 1
    allowed = LABEL_BYTES + LABEL_BYTES_PER_KEY * len(keys)
    longest = LONGEST_LABEL_BYTES
    while longest > STEP_BYTES and _total(lengths, longest) > allowed:
        longest -= STEP_BYTES
    return longest


def _total(lengths: Mapping[int, int], longest: int) -> int:
    return sum(min(length, longest) * count for length, count in lengths.items())


def cut(text: str, most_bytes: int) -> str:
    """Return as much of *text* as has at most *most_bytes* in UTF-8, without half a character."""
    if len(text) * 4 <= most_bytes:
        return text
    return text.encode()[:most_bytes].decode(errors="ignore")


def first_groups(groups: Iterable[str]) -> list[str]:
    """Return the first `MOST_GROUPS` of *groups*, sorted."""
    return sorted(groups)[:MOST_GROUPS]

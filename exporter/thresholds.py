"""Find the thresholds that the user set for a key.

Pure: knows no metric, no settings, no file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.model import ApiKey, full_name
from exporter.patterns import ANY_TEXT, Pattern, PatternList


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """When to warn about the keys whose `<group>/<name>` the whole of *keys* matches.

    *expiry_warning* is in seconds, the others are in US dollars. Where one is None, the common rule
    of the alerts applies.
    """

    keys: Pattern = ANY_TEXT
    low_quota_usd: float | None = None
    expiry_warning: float | None = None
    daily_budget_usd: float | None = None
    monthly_budget_usd: float | None = None


COMMON = Threshold()


class Thresholds:
    """All thresholds of an account, in *entries*: the first that matches a key applies.

    The constructor raises ValueError if their expressions are too large for RE2 together.
    """

    def __init__(self, entries: Sequence[Threshold] = ()) -> None:
        self.entries = tuple(entries)
        self._patterns = PatternList(entry.keys for entry in self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thresholds) and other.entries == self.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def by_key(self, keys: Iterable[ApiKey]) -> Mapping[int, Threshold]:
        """Return the threshold of each key that one matches, by the key's ID."""
        if not self.entries:
            return {}
        found = {}
        for key in keys:
            place = self._patterns.first_match(full_name(key))
            if place is not None:
                found[key.id] = self.entries[place]
        return found


NO_THRESHOLDS = Thresholds()

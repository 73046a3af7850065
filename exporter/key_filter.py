"""Choose by name which keys are exposed.

Pure: knows no metric, no settings, no file.
"""

from dataclasses import dataclass

from exporter.model import ApiKey, full_name
from exporter.patterns import Pattern


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys are exposed: those that *include* matches and *exclude* does not.

    Without an *include*, every key is included. Both must match the whole of `<group>/<name>`.
    """

    include: Pattern | None = None
    exclude: Pattern | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is anything to match: without it, every key is exposed."""
        return self.include is not None or self.exclude is not None

    def takes(self, key: ApiKey) -> bool:
        """Whether *key* is exposed."""
        name = full_name(key)
        if self.exclude is not None and self.exclude.matches(name):
            return False
        return self.include is None or self.include.matches(name)

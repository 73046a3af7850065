"""Say what is wrong with something that the user wrote, and where it was written.

Pure: knows no file, no option, no YAML.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: *source* is a flag and its variable, or a place in a file."""

    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"

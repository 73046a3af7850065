"""Say how much is to be read and written, how far the reading is, and how long it will take.

Pure: numbers in, text out; the seconds are arguments.
"""

from dataclasses import dataclass

from exporter.formatting import count, duration

SAY_EVERY_SECONDS = 30.0

STEPS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(number_of_bytes: float) -> str:
    """Write a number of bytes: `1.4 GB`, `48 MB`."""
    for step, unit in STEPS:
        in_unit = number_of_bytes / step
        if in_unit >= 10:  # noqa: PLR2004 - two digits are exact enough for people
            return f"{in_unit:,.0f} {unit}"
        if in_unit >= 1:
            return f"{in_unit:.1f} {unit}"
    return f"{number_of_bytes:.0f} bytes"


@dataclass(slots=True)
class Progress:
    """How many of *total* hours were read since *began*, in monotonic seconds; mutable."""

    total: int
    began: float
    read: int = 0
    said_at: float = float("-inf")

    def advance(self, now: float) -> str | None:
        """Count one hour more; return a line for people every half a minute, else None."""
        self.read += 1
        if now - self.said_at < SAY_EVERY_SECONDS and self.read < self.total:
            return None
        self.said_at = now
        left = (now - self.began) / self.read * (self.total - self.read)
        text = f"{self.read:,} of {count(self.total, 'hour')} read by key"
        if self.read == self.total:
            return f"{text}."
        return f"{text}, about {duration(left)} left."

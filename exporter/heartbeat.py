"""Tell whether the rounds are alive, without asking anybody.

Pure but for the clock it is given. Knows no rounds, no API and no server.
"""

from collections.abc import Callable

GRACE_SECONDS = 300.0


class Heartbeat:
    """A dead man's switch: alive as long as each sign of life comes before the moment that the last one promised."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due = monotonic() + GRACE_SECONDS

    def promise(self, seconds: float) -> None:
        """Say that the next sign of life comes within *seconds*, and a grace."""
        self._due = self._monotonic() + seconds + GRACE_SECONDS

    @property
    def is_alive(self) -> bool:
        """Whether the promise still holds."""
        return self._monotonic() <= self._due

"""Keep the histories of all accounts, in a temporary file where they are large.

Talks to: a temporary file, which has no name and goes with the process.

All samples of a metric family must stand together in the output, those of all accounts. So the
amounts are kept apart: what is read back is one amount of one series at a time.
"""

import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from exporter.backfill.history import AMOUNTS, Growth, History, Labels, Period
from exporter.errors import BackfillError

ITEM_BYTES = 8

# The image's file system is read-only: up to 3,700 series of 30 days need no file.
MOST_BYTES_IN_MEMORY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """One series of *account*: its labels, where its growth begins, and where it is in the file."""

    account: str
    labels: Labels
    first_hour: int
    offset: int


class Spool:
    """The histories of all accounts for one *period*; mutable, and to be closed."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.series: list[Kept] = []
        self._file = tempfile.SpooledTemporaryFile(MOST_BYTES_IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._hours = len(period.hours)

    def __enter__(self) -> Self:
        """Return the spool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the file."""
        self._file.close()

    def add(self, history: History) -> None:
        """Keep what has grown of *history*.

        Raises BackfillError where the file cannot be written.
        """
        for labels, growth in history.labelled():
            first_hour = growth.first_hour
            if first_hour is None:
                continue
            try:
                offset = self._append(growth)
            except OSError as error:
                raise BackfillError(
                    f"cannot keep the history in a temporary file: {error.strerror}; "
                    "set TMPDIR to a directory with space"
                ) from None
            self.series.append(Kept(history.account, labels, first_hour, offset))

    def growth(self, amount: str) -> Iterator[tuple[Kept, "array[int]"]]:
        """Return each series with its growth of one of `AMOUNTS` in each hour."""
        size = self._hours * ITEM_BYTES
        for kept in self.series:
            self._file.seek(kept.offset + AMOUNTS.index(amount) * size)
            yield kept, array("q", self._file.read(size))

    def _append(self, growth: Growth) -> int:
        offset = self._file.seek(0, 2)
        for amount in AMOUNTS:
            self._file.write(growth.of(amount).tobytes())
        return offset

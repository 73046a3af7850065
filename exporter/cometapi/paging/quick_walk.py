"""Read many pages at the same time.

Pure: no HTTP, no JSON, no clock. Pages go in, the numbers of the next pages come out.

The rules, with pages counted from 0:

1. The total of page one says how many pages there are. All of them may be asked for at once.
2. A page without a new key ends the walk, however many were planned: it lies behind the end, or
   the gateway ignores the page number.
3. When every planned page is there, one more follows if the last of them was full, or if a page
   named more keys than came and keys of page one's total are still missing.

The walk is complete

- if the pages match every total that they named, or
- if as many keys came as page one's total says, not counting keys newer than page one. Those that
  remain all existed at page one, and as many existed then, so none is missing. A key without an id
  might be counted twice, so with one of those this proves nothing.

A gateway that names no total gives a plan of one page, so the list is read one page at a time
(rule 3). It is complete if an empty page ended it, and not if a repeated one did.
"""

from exporter.cometapi.paging.keys_read import KeysRead
from exporter.cometapi.wire import Page


class QuickWalk:
    """One walk through pages of *size* keys, where page one named *total*, None for no total."""

    def __init__(self, keys_read: KeysRead, *, size: int, total: int | None) -> None:
        self.keys_read = keys_read
        self._size = size
        self._total = total
        # The page that holds key number *total*, counted from 0, is empty or the last. Rule 1.
        self._planned = max(0, total or 0) // size + 1
        # Page one was asked for before the walk could be made of it.
        self._asked = 1
        self._received = 0
        self._is_last_page_full = False
        self._has_ended = False
        self._ended_by_repeated_page = False

    def next_page(self) -> int | None:
        """Return the number of a page to ask for, None where none is due now."""
        if self._has_ended or self._asked == self._planned:
            return None
        number = self._asked
        self._asked += 1
        return number

    def receive(self, number: int, page: Page) -> None:
        """Take in page *number*; raises TooManyKeys."""
        new_keys = self.keys_read.take(page)
        self._received += 1
        if self._has_ended:
            return
        if number == self._planned - 1:
            self._is_last_page_full = page.length >= self._size
        if new_keys == 0:
            self._has_ended = True
            self._ended_by_repeated_page = page.length > 0
        elif self._received == self._planned and self._may_have_more():
            self._planned += 1

    def is_complete(self) -> bool:
        """Return whether every key that existed during the whole walk was read."""
        if not self.keys_read.names_a_total:
            return not self._ended_by_repeated_page
        return self.keys_read.matches_every_total or self._has_all_of_page_one()

    def _may_have_more(self) -> bool:
        if self._is_last_page_full:
            return True
        if self._has_all_of_page_one():
            return False
        most = max(total or 0 for total in self.keys_read.totals)
        return most > self.keys_read.count

    def _has_all_of_page_one(self) -> bool:
        read = self.keys_read
        if read.newest_of_page_one is None or read.nameless > 0:
            return False
        return read.count - read.newer_than_page_one == self._total

"""Read one page at a time, and go back where keys may have crossed a border unseen.

Pure: no HTTP, no JSON, no clock. Pages go in, the numbers of the next pages come out.

The rules, with pages and keys counted from 0:

1. One page is under way at a time.
2. The walk knows how far it has seen everything: every key before the offset *seen_until* of a list
   of *total* keys.
3. Between two pages, keys cross the border unseen only if more keys above it were deleted than
   created, so at most as many as the total fell by. If the total of a page is lower by n, only what
   lies n keys before *seen_until* is still certain.
4. A page that begins behind what is certain leaves a gap. The walk steps back to the page that
   holds the certain end, and one page more, and goes on from there.
5. A page that is not full ends the walk. So does one without a new key, behind all keys that can
   exist: this gateway ignores the page number.
6. A page without a total, or too many pages read again, makes the walk doubtful: it goes on to the
   end without stepping back, and proves nothing.

The walk is complete if it ends exactly at the total of its last page and is not doubtful, whatever
was created and deleted meanwhile, or if the pages match every total that they named.

Rule 3 holds if the total and the keys of a page are of one moment. Gateways count and list in two
queries, so after a careful walk through a changing list an absent key is likely, but not certainly,
gone: `Listing.proves_absence` is false then.
"""

from exporter.cometapi.paging.keys_read import KeysRead
from exporter.cometapi.wire import Page

# A step back reads three pages again, so ten allow for three deletions while a list of one page is
# read. Longer lists get one more for each page. Without a limit, deletions that never stop would
# keep the walk from ending.
EXTRA_REREADS = 10


class CarefulWalk:
    """One walk through pages of *size* keys, where page one named *total*."""

    def __init__(self, keys_read: KeysRead, *, size: int, total: int) -> None:
        self.keys_read = keys_read
        self._size = size
        self._total = total
        self._first_total = total
        self._seen_until = 0
        self._furthest = -1
        self._rereads_left = max(total, 0) // size + EXTRA_REREADS
        self._due: int | None = None
        self._is_doubtful = False
        self._ends_at_total = False

    def next_page(self) -> int | None:
        """Return the number of the page to ask for, None while one is under way or at the end."""
        number = self._due
        self._due = None
        return number

    def receive(self, number: int, page: Page) -> None:
        """Take in page *number*; raises TooManyKeys."""
        new_keys = self.keys_read.take(page)
        is_reread = number <= self._furthest
        self._furthest = max(self._furthest, number)
        if is_reread:
            self._rereads_left -= 1
        if page.total is None or self._rereads_left < 0:
            self._is_doubtful = True

        total = self._total if page.total is None else page.total
        offset = number * self._size
        certain_until = max(0, self._seen_until - max(0, self._total - total))
        if offset > certain_until and not self._is_doubtful:
            self._due = max(0, certain_until // self._size - 1)
            return

        self._seen_until = offset + page.length
        self._total = total
        is_repeated = new_keys == 0 and not is_reread and self._is_behind_all_keys(offset)
        if page.length >= self._size and not is_repeated:
            self._due = number + 1
        else:
            self._ends_at_total = self._seen_until == total

    def is_complete(self) -> bool:
        """Return whether every key that existed during the whole walk was read."""
        if self.keys_read.matches_every_total:
            return True
        # In a list that is sorted from the oldest key down, rule 3 does not hold.
        is_newest_first = self.keys_read.newest_of_page_one is not None
        return is_newest_first and self._ends_at_total and not self._is_doubtful

    def _is_behind_all_keys(self, offset: int) -> bool:
        """Whether no key read so far, and none created since page one, can lie at *offset*."""
        created = max(0, self._total - self._first_total)
        return offset >= self.keys_read.count + created

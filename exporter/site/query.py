"""Read what a visitor asks to see, and write it into links.

Pure: pairs of a query string in, a Query out. Query strings are hostile: what is unknown is ignored, what is too much
is clamped, nothing raises.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from exporter.model import LONGEST_LABEL, STATUS_LABELS
from exporter.site.verdict import Health

WORST = "worst"
SORTS = ("name", "id", "account", "group", "status", "remaining", "used", "expires", "last_used")
NO_GROUP = "(none)"
LONGEST_SEARCH = 100
MOST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to show; "" means all.

    *group* may be `NO_GROUP` for the keys without one; *search* holds words that all have to occur. *limit* is None
    where nothing is to be cut.
    """

    account: str = ""
    group: str = ""
    status: str = ""
    health: str = ""
    search: str = ""
    sort: str = WORST
    descending: bool = False
    page: int = 1
    limit: int | None = None

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> "Query":
        """Read the pairs of a query string; of two with one name the later wins."""
        given = dict(pairs)
        sort = given.get("sort", "")
        column = sort.removeprefix("-")
        return cls(
            account=given.get("account", "")[:LONGEST_LABEL],
            group=given.get("group", "")[:LONGEST_LABEL],
            status=_one_of(STATUS_LABELS, given.get("status")),
            health=_one_of(tuple(Health), given.get("health")),
            search=given.get("q", "")[:LONGEST_SEARCH].strip(),
            sort=column if column in SORTS else WORST,
            descending=column in SORTS and sort.startswith("-"),
            page=_number(given.get("page")) or 1,
            limit=_number(given.get("limit")),
        )

    @property
    def order(self) -> str:
        """The sort as a query string has it: `name`, or `-name` for descending."""
        return f"-{self.sort}" if self.descending else self.sort

    @property
    def is_narrow(self) -> bool:
        """Whether anything is filtered out."""
        return any((self.account, self.group, self.status, self.health, self.search))

    def query_string(self) -> str:
        """Write the query as `?name=value…`, "" where it is the default."""
        texts = {name: getattr(self, name) for name in ("account", "group", "status", "health")}
        texts |= {"q": self.search, "sort": "" if self.order == WORST else self.order}
        texts |= {"page": str(self.page) if self.page > 1 else ""}
        encoded = urlencode({name: text for name, text in texts.items() if text}, errors="replace")
        return f"?{encoded}" if encoded else ""

    def sorted_by(self, sort: str) -> "Query":
        """Return the same sorted by *sort*; asked for what is already so, turned round."""
        turned = self.sort == sort and not self.descending
        return replace(self, sort=sort, descending=turned, page=1)


def _one_of(words: Iterable[str], text: str | None) -> str:
    return next((str(word) for word in words if word == text), "")


def _number(text: str | None) -> int | None:
    """Return a whole number from 1 to a million, or None for anything that is none."""
    if not text or not text.isascii() or not text.isdigit():
        return None
    return max(1, min(int(text[:7]), MOST))

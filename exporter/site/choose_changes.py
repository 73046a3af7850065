"""Choose which changes of keys to show.

Pure: a snapshot and a query in. Query strings are hostile: what is unknown is ignored, what is too
much is clamped, nothing raises.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.changes import MOST_CHANGES, KeyChange
from exporter.model import LONGEST_LABEL
from exporter.site.choose import number
from exporter.snapshot import Snapshot

AccountChange = tuple[str, KeyChange]
"""The name of an account, and a change of one of its keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesQuery:
    """Which changes to show.

    Of all accounts where *account* is "", of all keys where *key_id* is None.

    *since* is a unix time.
    """

    account: str = ""
    key_id: int | None = None
    since: float = 0.0
    limit: int = MOST_CHANGES

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> "ChangesQuery":
        """Read the pairs of a query string; of two with one name the later wins."""
        given = dict(pairs)
        limit = number(given.get("limit")) or MOST_CHANGES
        return cls(
            account=given.get("account", "")[:LONGEST_LABEL],
            key_id=number(given.get("key_id")),
            limit=min(limit, MOST_CHANGES),
        )

    def takes(self, change: KeyChange) -> bool:
        """Whether *change*, of an account that is selected, is selected."""
        return change.time >= self.since and self.key_id in (None, change.key_id)


def changes(snapshot: Snapshot, query: ChangesQuery) -> Sequence[AccountChange]:
    """Return the changes that *query* selects, newest first."""
    found: list[AccountChange] = []
    for state in snapshot.accounts.values():
        if query.account in ("", state.name):
            found += [(state.name, change) for change in state.changes.last if query.takes(change)]
    found.sort(key=_time, reverse=True)
    return found[: query.limit]


def _time(found: AccountChange) -> float:
    return found[1].time

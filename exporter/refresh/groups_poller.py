"""Read the groups open to an account, and believe a loss that concerns keys only the second time.

Knows no HTTP: it is given a function that asks. One mistaken response would otherwise make every
key of the groups that it lacks unusable.
"""

from collections.abc import Awaitable, Callable, Mapping

from exporter.credentials import Secret
from exporter.endpoint import ApiPath, Moment, last_known
from exporter.model import group_names
from exporter.refresh.pollers import Poller
from exporter.snapshot import AccountState

# A group that is closed is noticed within minutes, at a third of a request a minute.
GROUPS_SECONDS = 180.0

Groups = Mapping[str, float | None]


class GroupsPoller:
    """The groups of one account; mutable is *doubted*: the groups whose loss was seen once."""

    path = ApiPath.GROUPS

    def __init__(self, request: Callable[[Secret], Awaitable[Groups]]) -> None:
        self.doubted: frozenset[str] = frozenset()
        self._request = request

    def pace(self, state: AccountState, _: Moment) -> float:
        """Read every three minutes, and sooner where a loss is to be confirmed."""
        return min(state.interval_seconds, GROUPS_SECONDS) if self.doubted else GROUPS_SECONDS

    def is_due(self, _state: AccountState) -> bool:
        """Return True: the gateway alone knows whether it has the endpoint."""
        return True

    async def read(self, token: Secret, state: AccountState) -> Groups:
        """Return the open groups, with those that keys use and that are missing for the first time.

        Raises ApiError.
        """
        groups = await self._request(token)
        known = last_known(state.endpoints.groups)
        if known is None:
            return groups
        before: Groups = known.value
        used: set[str] = set()
        for group in state.key_groups:
            used.update(group_names(group))
        lost = frozenset(name for name in used if name in before and name not in groups)
        kept = lost - self.doubted
        self.doubted = kept
        return {**groups, **{group: before[group] for group in kept}}

    def take_over(self, before: Poller) -> None:
        """Go on with the doubts of *before*."""
        if isinstance(before, GroupsPoller):
            self.doubted = before.doubted

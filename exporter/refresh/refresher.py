"""Put together what reads one account: a loop for its keys, and one for each endpoint beside them.

Knows no HTTP and no metrics: it is given the client, the clocks and the sleep. Only the settings
of the account are read here; every loop changes the state through the same `Store`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from exporter.cometapi.client import CometClient
from exporter.endpoint import ApiPath
from exporter.model import is_other_account
from exporter.refresh.groups_poller import GroupsPoller
from exporter.refresh.listing import KeyLister, ListingLoop, without_excluded
from exporter.refresh.log import RefreshLog
from exporter.refresh.pollers import (
    Access,
    Poller,
    PollLoop,
    SimplePoller,
    each_interval,
    slowly,
    with_subscriptions,
)
from exporter.refresh.schedule import Runtime
from exporter.refresh.store import Store
from exporter.refresh.token import TokenReader
from exporter.refresh.usage_poller import UsagePoller
from exporter.settings.load import Account
from exporter.snapshot import AccountState


class Refresher:
    """Everything that reads one account; mutable is whether it runs.

    *publish* renders a new state and makes it current; *count* counts the outcome and the seconds
    of each refresh. With *in_file*, the log names settings of the configuration file instead of
    flags.
    """

    def __init__(
        self,
        account: Account,
        client: CometClient,
        *,
        publish: Callable[[AccountState], Awaitable[None]],
        count: Callable[[str, str, float], None],
        runtime: Runtime,
        in_file: bool = False,
    ) -> None:
        self.account = account
        self.client = client
        log = RefreshLog(account.name, in_file=in_file)
        store = Store(
            initial_state(account), publish=publish, count=count, log=log, runtime=runtime
        )
        store.on_change = self._wake
        self.access = Access(token=TokenReader(account), store=store, log=log, runtime=runtime)
        self.lister = KeyLister(account, client, self.access)
        self.polls = [PollLoop(poller, self.access) for poller in self._pollers()]
        balance = self.polls[0]
        self.listing = ListingLoop(
            self.lister, self.access, read_balance=balance.read, follow=self._with_labels
        )
        self._task: asyncio.Task[None] | None = None

    def _pollers(self) -> list[Poller]:
        """Return what reads each endpoint.

        The balance comes first, usage last, since it needs the others.
        """
        client = self.client
        account = self.account
        pollers: list[Poller] = [
            SimplePoller(ApiPath.BALANCE, each_interval, client.read_balance),
            SimplePoller(ApiPath.STATUS, slowly, client.read_status),
            GroupsPoller(client.read_groups),
            SimplePoller(ApiPath.SUBSCRIPTIONS, with_subscriptions, client.read_subscriptions),
        ]
        if account.usage == "off":
            return pollers
        counts_by_key = account.usage == "key-model" and not account.keys_counts_only
        usage = UsagePoller(
            client,
            max_series=account.usage_max_series,
            by_key=counts_by_key,
            runtime=self.access.runtime,
        )
        return [*pollers, usage]

    @property
    def state(self) -> AccountState:
        """What is known of the account."""
        return self.access.store.state

    @property
    def is_alive(self) -> bool:
        """Whether the refreshes show signs of life in time."""
        return self.lister.liveness.is_alive

    def take_over(self, before: "Refresher") -> None:
        """Go on with what *before* remembers, if the address and the user are the same."""
        old = before.account
        new = self.account
        changes = before.state.changes
        self.access.store.state = replace(self.state, changes=changes)
        if (old.base_url, old.user_id) != (new.base_url, new.user_id):
            return
        remembered = configured(before.state, new)
        self.access.store.state = without_excluded(remembered, self.lister.filter)
        self.access.log.memory = before.access.log.memory
        if (old.keys_include, old.keys_exclude) != (new.keys_include, new.keys_exclude):
            # Other filters that leave no key are told again.
            self.access.log.memory.excludes_all = False
        self.client.dialect = before.client.dialect
        self.listing.failures = before.listing.failures
        former = {poll.poller.path: poll for poll in before.polls}
        for poll in self.polls:
            if poll.poller.path in former:
                poll.take_over(former[poll.poller.path])

    def start(self, tasks: asyncio.TaskGroup, first_delay: float) -> None:
        """Begin to refresh, after *first_delay* seconds, until closed."""
        name = f"refreshes of {self.account.name}"
        self._task = tasks.create_task(self.run(first_delay), name=name)

    async def run(self, first_delay: float) -> None:
        """Begin after *first_delay* seconds and go on until cancelled."""
        self.lister.liveness.extend(first_delay)
        await self.access.runtime.sleep(first_delay)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.listing.run())
            for poll in self.polls:
                loops.create_task(poll.run())

    async def read_once(self) -> None:
        """Read everything once, the keys first.

        They tell whether a denial means that there is no such endpoint.
        """
        await self.listing.refresh(is_last=True)
        if self.state.failing is None:
            for poll in self.polls:
                await poll.read()
            self.access.log.endpoints(self.state)

    async def close(self) -> None:
        """End the refreshes, and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.access.store.close()
        await self.client.aclose()

    def _poll(self, path: ApiPath) -> PollLoop:
        return next(poll for poll in self.polls if poll.poller.path is path)

    def _with_labels(self, state: AccountState) -> AccountState:
        for poll in self.polls:
            if isinstance(poll.poller, UsagePoller):
                state = poll.poller.with_labels(state)
        return state

    def _wake(self, before: AccountState, after: AccountState) -> None:
        """Wake what has to read at once.

        All after trouble or for another account, else what became due.
        """
        if is_other_account(before.account_id, after.account_id):
            self.listing.wake()
        has_recovered = before.failing is not None and after.failing is None
        is_other = is_other_account(before.account_id, after.account_id)
        for poll in self.polls:
            is_due_now = poll.poller.is_due(after) and not poll.poller.is_due(before)
            if has_recovered or is_other or is_due_now:
                poll.wake()
        if after.is_exhausted and not before.is_exhausted:
            self._poll(ApiPath.SUBSCRIPTIONS).wake()


def initial_state(account: Account) -> AccountState:
    """Return what is known of *account* before anything is read."""
    return configured(
        AccountState(
            name=account.name,
            interval_seconds=account.interval,
            stale_after_seconds=account.stale_after,
        ),
        account,
    )


def configured(state: AccountState, account: Account) -> AccountState:
    """Return *state* with what the settings of *account* decide."""
    return replace(
        state,
        name=account.name,
        gateway=account.base_url,
        interval_seconds=account.interval,
        stale_after_seconds=account.stale_after,
        configured_units_per_usd=account.quota_per_usd,
        thresholds=account.thresholds,
        key_thresholds=account.thresholds.by_key(state.keys),
        policies=account.policies,
        judgements=account.policies.by_key(state.keys),
        monthly_budget_usd=account.monthly_budget_usd,
        counts_only=account.keys_counts_only,
    )

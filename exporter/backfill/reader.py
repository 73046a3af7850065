"""Read what one account used in a period: by model in one request, by key hour by hour.

Talks to: the API, through the client. Knows no file and no text format. Trouble that passes is
waited for, because reading by key takes half an hour and more.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from exporter.backfill.history import History, Period, used_hours
from exporter.cometapi.client import CometClient
from exporter.errors import ApiError, BackfillError, InvalidResponse
from exporter.key_filter import KeyFilter
from exporter.model import Amounts, ApiKey, Series
from exporter.refresh.schedule import LONGEST_RETRY_AFTER_SECONDS, Runtime
from exporter.refresh.token import TokenReader
from exporter.refresh.usage import HOUR
from exporter.settings.load import Account

# As long as an exporter waits that runs beside, at its default interval.
PAUSE_SECONDS = 60.0
MOST_PAUSES = 5

NO_RECORDS = (
    "the gateway keeps no records of usage (its data export is off): there is no history to write; "
    "leave the account out with usage: off"
)

ByHour = Mapping[int, Mapping[Series, Amounts]]
Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadByModel:
    """One account after its usage by model was read.

    *keys* are its keys by id, and *hours* those that are to be read by key; both are empty where
    models alone are counted.
    """

    account: Account
    by_hour: ByHour
    keys: Mapping[int, ApiKey]
    hours: tuple[int, ...] = ()

    @property
    def most_series(self) -> int:
        """How many series there are at the most, as far as is known before reading by key."""
        models: set[str] = set()
        for sums in self.by_hour.values():
            models.update(series.model for series in sums)
        most = len(models) * max(1, len(self.keys))
        return min(most, self.account.usage_max_series)


class Reader:
    """Reads the *period* of one account.

    *say* gets a line for people when something is waited for.
    """

    def __init__(
        self,
        account: Account,
        client: CometClient,
        *,
        period: Period,
        runtime: Runtime,
        say: Callable[[str], None],
    ) -> None:
        self.account = account
        self._client = client
        self._period = period
        self._runtime = runtime
        self._say = say
        self._token = TokenReader(account)

    async def read_by_model(self) -> ReadByModel:
        """Read the account's usage by model, and its keys where they count.

        Raises ApiError and BackfillError.
        """
        keeps_records = await self._patiently(self._status)
        if not keeps_records:
            raise BackfillError(f"{self.account.name}: {NO_RECORDS}")
        keys: Mapping[int, ApiKey] = {}
        if self.account.usage == "key-model" and not self.account.keys_counts_only:
            keys = await self._patiently(self._keys)
        hours = self._period.hours
        by_hour = await self._range(hours[0], hours[-1])
        found = ReadByModel(account=self.account, by_hour=by_hour, keys=keys)
        if not keys:
            return found
        to_read = tuple(used_hours(by_hour, self._period))
        return ReadByModel(account=self.account, by_hour=by_hour, keys=keys, hours=to_read)

    def history_by_model(self, found: ReadByModel) -> History:
        """Return the history by model."""
        history = History(self.account.name, self._period, self.account.usage_max_series)
        for hour, sums in sorted(found.by_hour.items()):
            history.add(hour, sums)
        return history

    async def history_by_key(self, found: ReadByModel, *, on_hour: Callable[[], None]) -> History:
        """Read each hour by key.

        *on_hour* is called for each. By model where the gateway has no sums by key.

        Raises ApiError.
        """
        history = History(
            self.account.name, self._period, self.account.usage_max_series, keys=found.keys
        )
        for hour in found.hours:
            try:
                sums = await self._patiently(partial(self._hour_by_key, hour))
            except ApiError as error:
                if not error.denies_endpoint or hour != found.hours[0]:
                    raise
                self._say(f"{self.account.name}: no sums by key, so the history is by model")
                return self.history_by_model(found)
            history.add(hour, sums)
            on_hour()
        return history

    async def _status(self) -> bool:
        status = await self._client.read_status(await self._token.read())
        return status.has_usage

    async def _keys(self) -> Mapping[int, ApiKey]:
        listing = await self._client.list_keys(await self._token.read())
        key_filter = KeyFilter(self.account.keys_include, self.account.keys_exclude)
        return {key.id: key for key in listing.keys if key_filter.takes(key)}

    async def _hour_by_key(self, hour: int) -> Mapping[Series, Amounts]:
        token = await self._token.read()
        return await self._client.read_usage(token, hour, hour, by_key=True)

    async def _hours_by_model(self, first: int, last: int) -> ByHour:
        return await self._client.read_usage_by_hour(await self._token.read(), first, last)

    async def _range(self, first: int, last: int) -> ByHour:
        """Read the hours from *first* to *last*, in halves where the response is too large."""
        try:
            return await self._patiently(partial(self._hours_by_model, first, last))
        except InvalidResponse as error:
            if error.denies_endpoint or first == last:
                raise
        middle = first + (last - first) // HOUR // 2 * HOUR
        return {
            **await self._range(first, middle),
            **await self._range(middle + HOUR, last),
        }

    async def _patiently(self, read: Callable[[], Awaitable[Content]]) -> Content:
        """Return what *read* returns.

        Wait and read again after trouble that passes, a few times.
        """
        for _ in range(MOST_PAUSES):
            try:
                return await read()
            except ApiError as error:
                if not error.transient and error.retry_after is None:
                    raise
                pause = min(error.retry_after or PAUSE_SECONDS, LONGEST_RETRY_AFTER_SECONDS)
                self._say(f"{self.account.name}: {error}; trying again in {pause:.0f} s")
            await self._runtime.sleep(pause)
        return await read()

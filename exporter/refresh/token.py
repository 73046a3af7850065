"""Read the access token of one account each time it is needed, so that a new one is used at once.

Talks to: the token's file, in a thread of its own, since a file on a dead mount may hang.
"""

from exporter.credentials import Secret
from exporter.errors import ApiError, TimedOut
from exporter.settings.load import Account
from exporter.workers import ACCOUNT_FILES, NoThread, SingleFlight


class TokenReader:
    """The access token of *account*, which is kept nowhere."""

    def __init__(self, account: Account) -> None:
        self._source = account.token
        self._flight = SingleFlight(f"token of {account.name}", ACCOUNT_FILES)

    async def read(self) -> Secret:
        """Return the token.

        Raises Unauthorized where there is none, TimedOut where it cannot be read in time, ApiError
        without a thread.
        """
        try:
            return await self._flight.run(self._source.read)
        except NoThread as shortage:
            raise ApiError(str(shortage.strerror)) from None
        except TimeoutError:
            raise TimedOut(
                f"the access token in {self._source.origin} could not be read in time"
            ) from None

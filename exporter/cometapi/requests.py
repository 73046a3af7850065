"""Send the requests of one account: within the rate limit, counted, and again where trouble passes.

Talks to: the API, through `connections`. Knows no keys and no pages. The access token is an argument of each call and
is kept nowhere; of an endpoint that was refused to it, its hash alone.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import stamina

from exporter.cometapi.answer import Answer, clock_skew
from exporter.cometapi.connections import Connections
from exporter.cometapi.rate_limit import LONGEST_WAIT_SECONDS, RateLimit
from exporter.credentials import Secret
from exporter.errors import AccountDisabled, ApiError, InvalidResponse, Rejected, Unauthorized
from exporter.workers import decode

USER_HEADERS = (
    "New-Api-User",
    "Veloera-User",
    "Rix-Api-User",
    "voapi-user",
    "X-Api-User",
    "User-id",
    "neo-api-user",
)
"""The names under which gateways of the family ask for the user ID; each ignores the others."""
ATTEMPTS = 3
ASK_AGAIN_SECONDS = 3600.0
NOT_REPORTED = (Unauthorized, AccountDisabled, Rejected, InvalidResponse)
NO_PARAMS: Mapping[str, str] = MappingProxyType({})

Parsed = TypeVar("Parsed")


class Requests:
    """The requests of one account.

    *on_request* gets the path of every request, and the HTTP status, `none` where no answer came, or `cancelled`.
    Mutable are *clock_skew*, how many seconds this machine's clock is ahead of the gateway's, None until an answer says
    what time it is; and until when refused endpoints are not asked again.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        user_id: int | None,
        rate_limit: RateLimit,
        timeout: float,
        on_request: Callable[[str, str], None],
    ) -> None:
        self._connections = connections
        self._user_id = user_id
        self._headers = {} if user_id is None else dict.fromkeys(USER_HEADERS, str(user_id))
        self._rate_limit = rate_limit
        self._timeout = timeout
        self._on_request = on_request
        self._refused_until: dict[tuple[str, int], float] = {}
        self.clock_skew: float | None = None

    async def get(
        self, token: Secret, path: str, parse: Callable[[Answer], Parsed], params: Mapping[str, str] = NO_PARAMS
    ) -> Parsed:
        """GET *path* and parse the answer apart from the event loop; raises ApiError."""
        async for attempt in stamina.retry_context(on=_is_worth_another_try, attempts=ATTEMPTS, timeout=None):
            with attempt:
                return await self._try(token, path, parse, params)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def get_if_offered(
        self,
        token: Secret,
        path: str,
        parse: Callable[[Answer], Parsed],
        params: Mapping[str, str] = NO_PARAMS,
        *,
        kind: str = "",
    ) -> Parsed | None:
        """Do the same, but return None where the gateway refuses, or refused it to this token within the last hour.

        Of the requests to one path each *kind* is refused by itself.
        """
        place = (path + kind, hash(token.reveal()))
        if self._rate_limit.clock() < self._refused_until.get(place, float("-inf")):
            return None
        try:
            return await self.get(token, path, parse, params)
        except NOT_REPORTED:
            self._refused_until[place] = self._rate_limit.clock() + ASK_AGAIN_SECONDS
            return None

    async def _try(
        self, token: Secret, path: str, parse: Callable[[Answer], Parsed], params: Mapping[str, str]
    ) -> Parsed:
        try:
            answer = await self._send(token, path, params)
            return await decode(lambda: parse(answer))
        except ApiError as error:
            if error.retry_after is not None:
                self._rate_limit.pause(error.retry_after)
            raise

    async def _send(self, token: Secret, path: str, params: Mapping[str, str]) -> Answer:
        await self._rate_limit.turn()
        code = "none"
        try:
            headers = {"Authorization": token.reveal(), **self._headers}
            answer = await self._connections.fetch(
                path, params=params, headers=headers, timeout=self._timeout, user_id=self._user_id
            )
            code = str(answer.status)
            self.clock_skew = clock_skew(answer)
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        finally:
            self._on_request(path, code)
        return answer


def _is_worth_another_try(error: Exception) -> bool:
    """Whether to try again at once: after trouble that passes, or a pause short enough to wait for."""
    if not isinstance(error, ApiError):
        return False
    if error.retry_after is not None:
        return error.retry_after <= LONGEST_WAIT_SECONDS
    return error.transient

"""Answer as the API does for the demo's accounts, as a gateway would, or a firewall before it.

Talks to: nothing; what serves the application does. Imports nothing of the exporter but its
neighbours. Source: the API's public documentation and the published source of New API.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from exporter.demo.scenario import (
    ACCOUNTS,
    DAY,
    DEMO,
    DemoAccount,
    Firewall,
    account_at,
    keys_at,
)
from exporter.demo.usage import usage_at

LARGEST_PAGE = 100
UNASKED_PAGE = 10
LONGEST_RANGE = 30 * DAY
ACCOUNT_PATH = "/api/user/self"
STATUS_PATH = "/api/status"
WEB_PAGE = "<!doctype html><title>Demo gateway</title><p>This is the web page, not the API."
CHALLENGE = "<!doctype html><title>Just a moment...</title><p>Checking your browser."
CHALLENGE_HEADERS = {"Server": "cloudflare", "cf-mitigated": "challenge"}

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What an answer depends on: the account, when the demo started and the unix time now."""

    account: DemoAccount
    started_at: float
    now: float


def demo_gateways(*, token: str, started_at: float, clock: Callable[[], float]) -> Starlette:
    """Build an application with a gateway for each of the demo's accounts, below `/NAME`."""
    gateways = [
        Mount(
            f"/{account.name}",
            demo_gateway(token=token, started_at=started_at, clock=clock, account=account),
        )
        for account in ACCOUNTS
    ]
    return Starlette(routes=gateways)


def demo_gateway(
    *,
    token: str,
    started_at: float,
    clock: Callable[[], float],
    account: DemoAccount = DEMO,
) -> Starlette:
    """Build the gateway of *account*; it accepts *token*, and *clock* gives unix seconds."""

    async def answer(request: Request) -> Response:
        path = f"/{request.path_params['path']}"
        if _is_blocked(account, path):
            return HTMLResponse(CHALLENGE, status_code=403, headers=CHALLENGE_HEADERS)
        data = ANSWERS.get(path)
        if data is None:
            return _unknown(path)
        if path != STATUS_PATH and not _is_authorized(request, token):
            return JSONResponse(
                {"success": False, "code": "AUTH_UNAUTHORIZED", "message": "the token is invalid"},
                status_code=401,
            )
        moment = Moment(account=account, started_at=started_at, now=clock())
        try:
            shown = data(request.query_params, moment)
        except ValueError as error:
            return JSONResponse({"success": False, "message": str(error)})
        return JSONResponse({"success": True, "message": "", "data": shown})

    return Starlette(routes=[Route("/{path:path}", answer)])


def _is_blocked(account: DemoAccount, path: str) -> bool:
    if account.firewall is Firewall.BALANCE:
        return path == ACCOUNT_PATH
    return account.firewall is Firewall.EVERYTHING


def _is_authorized(request: Request, token: str) -> bool:
    sent = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(sent.encode(), token.encode())


def _unknown(path: str) -> Response:
    if not path.startswith("/api/"):
        return HTMLResponse(WEB_PAGE)
    error = {"message": f"Invalid URL (GET {path})", "type": "invalid_request_error"}
    return JSONResponse({"error": error}, status_code=404)


def _keys(query: Query, moment: Moment) -> object:
    number = max(int(query.get("p", 1)), 1)
    size = min(int(query.get("page_size", UNASKED_PAGE)), LARGEST_PAGE)
    items = keys_at(moment.started_at, moment.now, moment.account)
    page = items[(number - 1) * size : number * size]
    return {"page": number, "page_size": size, "total": len(items), "items": page}


def _account(_query: Query, moment: Moment) -> object:
    return account_at(moment.started_at, moment.now, moment.account)


def _status(_query: Query, _moment: Moment) -> object:
    return {"system_name": "demo", "quota_per_unit": 500_000, "enable_data_export": True}


def _groups(_query: Query, moment: Moment) -> object:
    groups = moment.account.groups
    return {name: {"desc": name, "ratio": factor} for name, factor in groups.items()}


def _usage(query: Query, moment: Moment) -> object:
    return _usage_rows(query, moment, by_key=False)


def _usage_by_key(query: Query, moment: Moment) -> object:
    return _usage_rows(query, moment, by_key=True)


def _usage_rows(query: Query, moment: Moment, *, by_key: bool) -> object:
    first = int(query.get("start_timestamp", 0))
    last = int(query.get("end_timestamp", 0))
    if last - first > LONGEST_RANGE:
        raise ValueError("the time range is too long")
    return usage_at(
        moment.started_at, moment.now, first, last, by_key=by_key, account=moment.account
    )


ANSWERS: Mapping[str, Callable[[Query, Moment], object]] = {
    "/api/token/": _keys,
    ACCOUNT_PATH: _account,
    STATUS_PATH: _status,
    "/api/user/self/groups": _groups,
    "/api/data/self": _usage,
    "/api/data/flow/self": _usage_by_key,
}

"""Answer as the API does for the demo's account, as a gateway would.

Talks to: nothing; what serves the application does. Imports nothing of the exporter but its neighbours.
Source: the API's public documentation and the published source of New API.
"""

import hmac
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from exporter.demo.scenario import DAY, account_at, keys_at
from exporter.demo.usage import FACTORS, usage_by_hour, usage_by_key

DEFAULT_PAGE_SIZE = 10
LARGEST_PAGE = 100
ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNITS_PER_USD = 500_000
LONGEST_RANGE = 30 * DAY
_GROUPS = {name: {"desc": name, "ratio": factor} for name, factor in FACTORS.items()}


def demo_gateway(*, token: str, started_at: float, clock: Callable[[], float]) -> Starlette:
    """Build the application; *token* is the one it accepts, *clock* gives unix seconds."""

    async def keys(request: Request) -> Response:
        if not _may_enter(request, token):
            return _refusal()
        number = max(_number(request, "p", 1), 1)
        size = _number(request, "page_size", DEFAULT_PAGE_SIZE)
        size = min(size, LARGEST_PAGE) if size > 0 else DEFAULT_PAGE_SIZE
        items = keys_at(started_at, clock())
        page = items[(number - 1) * size : number * size]
        return _success({"page": number, "page_size": size, "total": len(items), "items": page})

    async def account(request: Request) -> Response:
        return _success(account_at(started_at, clock())) if _may_enter(request, token) else _refusal()

    async def status(_: Request) -> Response:
        return _success({"system_name": "demo", "quota_per_unit": UNITS_PER_USD, "enable_data_export": True})

    def guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            return answer(request) if _may_enter(request, token) else _refusal()

        return answered

    async def website(_: Request) -> Response:
        return HTMLResponse("<!doctype html><title>Demo gateway</title><p>This is the web page, not the API.")

    return Starlette(
        routes=[
            Route("/api/token/", keys),
            Route("/api/user/self", account),
            Route("/api/status", status),
            Route("/api/user/self/groups", guarded(lambda _: _success(_GROUPS))),
            Route("/api/data/self", guarded(lambda request: _usage(request, usage_by_hour, started_at, clock()))),
            Route("/api/data/flow/self", guarded(lambda request: _usage(request, usage_by_key, started_at, clock()))),
            Route("/{path:path}", website, methods=ANY_METHOD),
        ]
    )


def _may_enter(request: Request, token: str) -> bool:
    sent = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(sent.encode(), token.encode())


def _number(request: Request, name: str, otherwise: int) -> int:
    try:
        return int(request.query_params.get(name, otherwise))
    except ValueError:
        return otherwise


def _usage(
    request: Request, rows: Callable[[float, float, int, int], object], started_at: float, now: float
) -> Response:
    first, last = (_number(request, f"{end}_timestamp", 0) for end in ("start", "end"))
    if last - first > LONGEST_RANGE:
        return JSONResponse({"success": False, "message": "the time range is too long"})
    return _success(rows(started_at, now, first, last))


def _success(data: object) -> Response:
    return JSONResponse({"success": True, "message": "", "data": data})


def _refusal() -> Response:
    content = {"success": False, "code": "AUTH_INVALID_ACCESS_TOKEN", "message": "the access token is not valid"}
    return JSONResponse(content, status_code=401)

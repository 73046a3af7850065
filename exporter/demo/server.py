"""Answer as the API does for the demo's account, as a gateway would.

Talks to: nothing; what serves the application does. Imports nothing of the exporter but its
neighbours. Source: the API's public documentation and the published source of New API.
"""

import hmac
from collections.abc import Callable, Mapping
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from exporter.demo.scenario import DAY, account_at, keys_at
from exporter.demo.usage import FACTORS, usage_at

LARGEST_PAGE = 100
LONGEST_RANGE = 30 * DAY
STATUS_PATH = "/api/status"
WEB_PAGE = "<!doctype html><title>Demo gateway</title><p>This is the web page, not the API."

Query = Mapping[str, str]


def demo_gateway(*, token: str, started_at: float, clock: Callable[[], float]) -> Starlette:
    """Build the application; *token* is the one it accepts, *clock* gives unix seconds."""

    async def answer(request: Request) -> Response:
        data = ANSWERS.get(request.url.path)
        if data is None:
            return HTMLResponse(WEB_PAGE)
        sent = request.headers.get("authorization", "")
        if request.url.path != STATUS_PATH and not hmac.compare_digest(
            sent.encode(), token.encode()
        ):
            content = {
                "success": False,
                "code": "AUTH_INVALID_ACCESS_TOKEN",
                "message": "the token is not valid",
            }
            return JSONResponse(content, status_code=401)
        try:
            content = {
                "success": True,
                "message": "",
                "data": data(request.query_params, started_at, clock()),
            }
        except ValueError as error:
            content = {"success": False, "message": str(error)}
        return JSONResponse(content)

    return Starlette(routes=[Route("/{path:path}", answer)])


def _keys(query: Query, started_at: float, now: float) -> object:
    number, size = int(query.get("p", 1)), min(int(query.get("page_size", 10)), LARGEST_PAGE)
    items = keys_at(started_at, now)
    page = items[(number - 1) * size : number * size]
    return {"page": number, "page_size": size, "total": len(items), "items": page}


def _usage(query: Query, started_at: float, now: float, *, by_key: bool = False) -> object:
    first, last = (int(query.get(f"{end}_timestamp", 0)) for end in ("start", "end"))
    if last - first > LONGEST_RANGE:
        raise ValueError("the time range is too long")
    return usage_at(started_at, now, first, last, by_key=by_key)


ANSWERS: Mapping[str, Callable[[Query, float, float], object]] = {
    "/api/token/": _keys,
    "/api/user/self": lambda _, started_at, now: account_at(started_at, now),
    STATUS_PATH: lambda *_: {
        "system_name": "demo",
        "quota_per_unit": 500_000,
        "enable_data_export": True,
    },
    "/api/user/self/groups": lambda *_: {
        name: {"desc": name, "ratio": factor} for name, factor in FACTORS.items()
    },
    "/api/data/self": _usage,
    "/api/data/flow/self": partial(_usage, by_key=True),
}

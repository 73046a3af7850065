"""Serve the status page, its style and script, and the same data as JSON.

Talks to: threads, so that no page keeps a scrape waiting. Knows no API and no token: it is given
the question for the snapshot. `page_context` decides what is on the page, `api` what is in the JSON.
"""

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter import __version__, formatting
from exporter.account_notes import state_word
from exporter.errors import fix
from exporter.model import STATUS_LABELS
from exporter.site import page_context, verdict
from exporter.site.api import document
from exporter.site.choose import NO_GROUP, WORST, Query, choose
from exporter.site.concurrency import ConcurrencyLimiter
from exporter.site.negotiate import accepts_gzip
from exporter.snapshot import Snapshot
from exporter.workers import serve

KEYS_PATH = "/api/v1/keys"
MOST_KEYS = 10_000
STATIC_PATH = "/-/static/"
STATIC_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
ONE_YEAR = 31_536_000
WORTH_PACKING_BYTES = 1_400

FILTERS = (
    *(
        formatting.count,
        formatting.duration,
        formatting.moment,
        formatting.money,
        formatting.percent,
        formatting.utc,
    ),
    state_word,
    *(page_context.badge, page_context.runway, page_context.selector),
    *(page_context.notes, page_context.trouble),
    *(verdict.share_left, verdict.total_quota),
)

SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
NEVER_STORED = SAFE | {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
DOCUMENT = NEVER_STORED | {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
}
DATA = NEVER_STORED | {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def status_page(
    *,
    read_snapshot: Callable[[], Snapshot],
    clock: Callable[[], float],
    telemetry_path: str,
    limiter: ConcurrencyLimiter,
    in_file: bool,
) -> list[Route]:
    """List what is served where: the page, the same data as JSON, style and script."""
    static = static_files()
    template = _template(
        static={name: f".{address}" for name, (address, _) in static.items()},
        telemetry_path=f".{telemetry_path}",
        fix=partial(fix, in_file=in_file),
    )

    def html(query: Query) -> bytes:
        return template.render(page_context.context(read_snapshot(), query, clock())).encode(
            "utf-8", "replace"
        )

    def json(query: Query) -> bytes:
        snapshot, now = read_snapshot(), clock()
        query = replace(query, limit=min(query.limit or MOST_KEYS, MOST_KEYS))
        return document(snapshot, choose(snapshot, query, now), now)

    def answering(
        write: Callable[[Query], bytes], media_type: str, headers: Mapping[str, str]
    ) -> Endpoint:
        async def answer(request: Request) -> Response:
            query = Query.read(request.query_params.multi_items())
            wants_gzip = accepts_gzip(request.headers.get("accept-encoding", ""))
            body, is_packed = await limiter.run(
                lambda: serve(lambda: _packed(write(query), wants_gzip=wants_gzip))
            )
            extra = {"Content-Encoding": "gzip"} if is_packed else {}
            return Response(body, headers={**headers, **extra}, media_type=media_type)

        return answer

    return [
        Route("/", answering(html, "text/html; charset=utf-8", DOCUMENT)),
        Route(KEYS_PATH, answering(json, "application/json", DATA)),
        *(Route(address, response, methods=["GET"]) for address, response in static.values()),
    ]


def _packed(body: bytes, *, wants_gzip: bool) -> tuple[bytes, bool]:
    if not wants_gzip or len(body) < WORTH_PACKING_BYTES:
        return body, False
    return gzip.compress(body, compresslevel=4, mtime=0), True


def static_files() -> dict[str, tuple[str, Response]]:
    """Read the page's own files by name: the address, which changes with the content, and the response."""
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        content, (stem, _, suffix) = entry.read_bytes(), entry.name.rpartition(".")
        address = f"{STATIC_PATH}{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        headers = SAFE | {"Cache-Control": f"public, max-age={ONE_YEAR}, immutable"}
        found[entry.name] = (
            address,
            Response(content, headers=headers, media_type=STATIC_TYPES[suffix]),
        )
    return found


def _template(**given: object) -> jinja2.Template:
    """Prepare the template. Its links are relative, so that the page also works below a path of a reverse proxy."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {function.__name__: function for function in FILTERS} | {"code": _code}
    environment.globals |= given | {
        "version": __version__,
        "keys_path": f".{KEYS_PATH}",
        "statuses": STATUS_LABELS,
        "healths": page_context.HEALTH_WORDS,
        "no_group": NO_GROUP,
        "worst": WORST,
    }
    return environment.get_template("status.html")


def _code(text: str) -> Markup:
    """Mark the flags in *text*, so that none is broken in two."""
    return Markup(re.sub(r"(--[\w.-]*\w)", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before

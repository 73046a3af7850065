"""Serve the status page: the HTML, its style and its script.

Talks to: Starlette, which calls it, and the package's own files. Knows no account's gateway and no
token. `page_context` decides what the page says; the template decides how it looks.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape
from starlette.responses import Response
from starlette.routing import Route

from exporter import __version__, formatting
from exporter.account_notes import endpoint_advice, state_word
from exporter.errors import fix
from exporter.model import STATUS_LABELS
from exporter.site import page_context, verdict
from exporter.site.api_endpoint import CHANGES_PATH, KEYS_PATH
from exporter.site.choose import NO_GROUP, WORST, Query
from exporter.site.concurrency import ConcurrencyLimiter
from exporter.site.responses import SECURITY_HEADERS, QueryEndpoint
from exporter.snapshot import Snapshot

STATIC_PATH = "/-/static/"
STATIC_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
ONE_YEAR_SECONDS = 31_536_000
# Enough of a SHA-256 digest that two versions of a file never share an address.
DIGEST_CHARACTERS = 16

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
}

FILTERS: Mapping[str, Callable[..., object]] = {
    "badge": page_context.badge,
    "account_month": page_context.account_month,
    "change_words": page_context.change_words,
    "balance": page_context.balance,
    "count": formatting.count,
    "key_month": page_context.key_month,
    "moment": formatting.moment,
    "endpoint_troubles": page_context.endpoint_troubles,
    "money": formatting.money,
    "notes": page_context.notes,
    "own_changes": page_context.own_changes,
    "percent": formatting.percent,
    "runway": page_context.runway,
    "selector": page_context.selector,
    "share_left": verdict.share_left,
    "state_word": state_word,
    "subscriptions": page_context.subscriptions,
    "total_quota": verdict.total_quota,
    "trouble": page_context.trouble,
    "utc": formatting.utc,
}
"""The functions that the template calls, by the names that it uses."""


class StatusPage:
    """The status page over the current snapshot.

    With *in_file*, advice names the settings of the configuration file instead of flags.
    """

    def __init__(
        self,
        *,
        read_snapshot: Callable[[], Snapshot],
        clock: Callable[[], float],
        telemetry_path: str,
        limiter: ConcurrencyLimiter,
        in_file: bool,
    ) -> None:
        self._read_snapshot = read_snapshot
        self._clock = clock
        self._limiter = limiter
        self._static = static_files()
        self._template = load_template(
            static={name: f".{address}" for name, (address, _) in self._static.items()},
            telemetry_path=f".{telemetry_path}",
            fix=partial(fix, in_file=in_file),
            endpoint_fix=partial(endpoint_advice, in_file=in_file),
        )

    def routes(self) -> list[Route]:
        """List the paths of the page and its files."""
        page = QueryEndpoint(
            read=Query.read,
            write=self.write,
            media_type="text/html; charset=utf-8",
            headers=HEADERS,
            limiter=self._limiter,
        )
        routes = [Route("/", page.respond)]
        for address, response in self._static.values():
            routes.append(Route(address, response, methods=["GET"]))
        return routes

    def write(self, query: Query) -> bytes:
        """Write the page that *query* selects."""
        found = page_context.context(self._read_snapshot(), query, self._clock())
        return self._template.render(found).encode("utf-8", "replace")


def static_files() -> dict[str, tuple[str, Response]]:
    """Read the page's own files: by name, the address and the response.

    The address changes with the content, so browsers may keep the response forever.
    """
    headers = {
        **SECURITY_HEADERS,
        "Cache-Control": f"public, max-age={ONE_YEAR_SECONDS}, immutable",
    }
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        content = entry.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
        stem, _, suffix = entry.name.rpartition(".")
        address = f"{STATIC_PATH}{stem}-{digest}.{suffix}"
        response = Response(content, headers=headers, media_type=STATIC_TYPES[suffix])
        found[entry.name] = (address, response)
    return found


def load_template(**given: object) -> jinja2.Template:
    """Load the template.

    Its links are relative, so the page also works below a path of a reverse proxy.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.filters["code"] = mark_flags
    environment.globals.update(given)
    environment.globals.update(
        version=__version__,
        keys_path=f".{KEYS_PATH}",
        changes_path=f".{CHANGES_PATH}",
        statuses=STATUS_LABELS,
        healths=page_context.HEALTH_WORDS,
        no_group=NO_GROUP,
        page_changes=page_context.PAGE_CHANGES,
        worst=WORST,
    )
    return environment.get_template("status.html")


def mark_flags(text: str) -> Markup:
    """Escape *text*, and mark its flags as code so that no line breaks inside them."""
    marked = re.sub(r"(--[\w.-]*\w)", r"<code>\1</code>", str(escape(text)))
    # Everything that did not come from here was escaped before.
    return Markup(marked)  # noqa: S704

"""Serve the JSON API; `api` writes the document.

Talks to: Starlette, which calls it. Knows no account's gateway and no token.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.routing import Route

from exporter.site.api import document
from exporter.site.choose import Query, choose
from exporter.site.concurrency import ConcurrencyLimiter
from exporter.site.responses import QueryEndpoint
from exporter.snapshot import Snapshot

KEYS_PATH = "/api/v1/keys"
# A response of 10,000 keys has about 4 MB. docs/api.md documents the number.
MOST_KEYS = 10_000

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysApi:
    """The keys of the current snapshot as JSON."""

    read_snapshot: Callable[[], Snapshot]
    clock: Callable[[], float]
    limiter: ConcurrencyLimiter

    def routes(self) -> list[Route]:
        """List the paths of the API."""
        endpoint = QueryEndpoint(
            write=self.write,
            media_type="application/json",
            headers=HEADERS,
            limiter=self.limiter,
        )
        return [Route(KEYS_PATH, endpoint.respond)]

    def write(self, query: Query) -> bytes:
        """Write the keys that *query* selects, at most `MOST_KEYS`."""
        snapshot = self.read_snapshot()
        now = self.clock()
        query = replace(query, limit=min(query.limit or MOST_KEYS, MOST_KEYS))
        return document(snapshot, choose(snapshot, query, now), now)

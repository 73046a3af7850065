"""Serve the JSON API; `api` writes the document.

Talks to: Starlette, which calls it. Knows no account's gateway and no token.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.routing import Route

from exporter.site.api import changes_document, document
from exporter.site.choose import Query, choose
from exporter.site.choose_changes import ChangesQuery
from exporter.site.concurrency import ConcurrencyLimiter
from exporter.site.responses import QueryEndpoint
from exporter.snapshot import Snapshot

KEYS_PATH = "/api/v1/keys"
CHANGES_PATH = "/api/v1/changes"
# A response of 10,000 keys has about 4 MB. docs/api.md documents the number.
MOST_KEYS = 10_000

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonApi:
    """The keys of the current snapshot, and their last changes, as JSON."""

    read_snapshot: Callable[[], Snapshot]
    clock: Callable[[], float]
    limiter: ConcurrencyLimiter

    def routes(self) -> list[Route]:
        """List the paths of the API."""
        keys = QueryEndpoint(
            read=Query.read,
            write=self.write_keys,
            media_type="application/json",
            headers=HEADERS,
            limiter=self.limiter,
        )
        changes = QueryEndpoint(
            read=ChangesQuery.read,
            write=self.write_changes,
            media_type="application/json",
            headers=HEADERS,
            limiter=self.limiter,
        )
        return [Route(KEYS_PATH, keys.respond), Route(CHANGES_PATH, changes.respond)]

    def write_changes(self, query: ChangesQuery) -> bytes:
        """Write the changes of keys that *query* selects."""
        return changes_document(self.read_snapshot(), query)

    def write_keys(self, query: Query) -> bytes:
        """Write the keys that *query* selects, at most `MOST_KEYS`."""
        snapshot = self.read_snapshot()
        now = self.clock()
        query = replace(query, limit=min(query.limit or MOST_KEYS, MOST_KEYS))
        return document(snapshot, choose(snapshot, query, now), now)

"""Build responses: security headers, compression, and a thread for what is expensive to write.

Talks to: threads, so that writing a page does not keep a scrape waiting. Knows no keys.
"""

import gzip
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from exporter.site.concurrency import ConcurrencyLimiter
from exporter.site.negotiate import accepts_gzip
from exporter.workers import serve

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
)
"""What every response has."""

UNCACHED_HEADERS: Mapping[str, str] = MappingProxyType(
    {**SECURITY_HEADERS, "Cache-Control": "no-store"}
)
"""What every response has that shows the present."""

# A smaller body fits into one packet of 1,500 bytes in any case.
WORTH_COMPRESSING_BYTES = 1_400
# 10,000 keys as JSON: 20 ms at level 4, 98 ms at level 9 for 14 % fewer bytes.
COMPRESSION_LEVEL = 4


def text_response(
    text: str, status: int, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Build a response of one line or several lines of plain text."""
    return PlainTextResponse(
        f"{text}\n", status_code=status, headers={**UNCACHED_HEADERS, **headers}
    )


Query = TypeVar("Query")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEndpoint(Generic[Query]):
    """An endpoint whose body depends on the query of the request alone.

    *read* reads the pairs of the query string, and *write* makes the body, in a thread. At most as
    many run as *limiter* allows.
    """

    read: Callable[[Iterable[tuple[str, str]]], Query]
    write: Callable[[Query], bytes]
    media_type: str
    headers: Mapping[str, str]
    limiter: ConcurrencyLimiter

    async def respond(self, request: Request) -> Response:
        """Write the response to *request*; raises Busy if too many are being written."""
        query = self.read(request.query_params.multi_items())
        takes_gzip = accepts_gzip(request.headers.get("accept-encoding", ""))

        def write() -> Response:
            return self._response(self.write(query), takes_gzip=takes_gzip)

        return await self.limiter.run(lambda: serve(write))

    def _response(self, body: bytes, *, takes_gzip: bool) -> Response:
        headers = {**UNCACHED_HEADERS, **self.headers, "Vary": "Accept-Encoding"}
        if takes_gzip and len(body) >= WORTH_COMPRESSING_BYTES:
            body = gzip.compress(body, compresslevel=COMPRESSION_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=self.media_type)

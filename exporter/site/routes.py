"""Route requests: to the metrics, the two probes and, if enabled, the status page and the JSON API.

Talks to: Starlette, which calls it. Knows no gateway, no token, no refresh: it is given the
exposition and functions that answer the probes. A gzip scrape of everything is always served,
whatever the gateway does and other clients request; more expensive responses share a limit.
Neither probe does any work.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from exporter.exposition.scrape import Exposition, chunks
from exporter.site.api_endpoint import JsonApi
from exporter.site.concurrency import Busy, ConcurrencyLimiter
from exporter.site.negotiate import accepts_gzip, choose_format
from exporter.site.responses import UNCACHED_HEADERS, text_response
from exporter.site.status_page import StatusPage
from exporter.snapshot import Snapshot

HEALTHY_PATH = "/-/healthy"
READY_PATH = "/-/ready"
RELOAD_PATH = "/-/reload"
# Long enough for the queue of expensive responses to drain.
RETRY_SECONDS = 5
# They share one reload. More connections that wait for it would leave none for scrapes.
MOST_WAITING_FOR_RELOAD = 16
FEW_PARTS = 200  # of a gzip scrape: more are not joined, so that many slow readers share them


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the responses need to know of the rest of the program.

    With *in_file*, advice names the settings of the configuration file instead of flags. *reload*
    reloads the configuration and returns every problem; None where a request may not do that.
    """

    exposition: Exposition
    telemetry_path: str
    read_snapshot: Callable[[], Snapshot]
    clock: Callable[[], float]
    is_alive: Callable[[], bool]
    has_status_page: bool
    in_file: bool = False
    reload: Callable[[], Awaitable[Sequence[str]]] | None = None
    limiter: ConcurrencyLimiter = field(default_factory=ConcurrencyLimiter)
    # Apart from the limiter: a reload waits for a file, which no page and no scrape may do.
    waiting_for_reload: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(MOST_WAITING_FOR_RELOAD)
    )

    def application(self) -> Starlette:
        """Build the ASGI application."""
        application = Starlette(
            routes=[
                *self._pages(),
                Route(self.telemetry_path, self.metrics),
                Route(RELOAD_PATH, self.reload_configuration, methods=["POST", "PUT"]),
                *self._probes(),
            ],
            exception_handlers={Busy: self.busy},
        )
        # A redirect would be built from the client's Host header.
        application.router.redirect_slashes = False
        return application

    def probes(self) -> Starlette:
        """Build the ASGI application that answers the two probes alone."""
        application = Starlette(routes=self._probes())
        application.router.redirect_slashes = False
        return application

    def _probes(self) -> list[Route]:
        return [Route(HEALTHY_PATH, self.healthy), Route(READY_PATH, self.ready)]

    def _pages(self) -> list[Route]:
        if not self.has_status_page:
            return [Route("/", self.no_page)]
        page = StatusPage(
            read_snapshot=self.read_snapshot,
            clock=self.clock,
            telemetry_path=self.telemetry_path,
            limiter=self.limiter,
            in_file=self.in_file,
        )
        api = JsonApi(read_snapshot=self.read_snapshot, clock=self.clock, limiter=self.limiter)
        return [*page.routes(), *api.routes()]

    async def metrics(self, request: Request) -> Response:
        """Respond to a scrape."""
        format_ = choose_format(request.headers.get("accept", ""))
        gzipped = accepts_gzip(request.headers.get("accept-encoding", ""))
        names = request.query_params.getlist("name[]")
        headers = {
            **UNCACHED_HEADERS,
            "Vary": "Accept, Accept-Encoding",
            "Content-Type": format_.value,
        }
        if not gzipped:
            pieces = self.exposition.plain(format_, names)
            first = await self.limiter.run(lambda: anext(pieces, None))
            return StreamingResponse(self._in_turns(first, pieces), headers=headers)
        if names:
            parts = await self.limiter.run(lambda: self.exposition.gzipped(format_, names))
        else:
            parts = await self.exposition.gzipped(format_)
        headers |= {"Content-Encoding": "gzip", "Content-Length": str(sum(map(len, parts)))}
        if len(parts) <= FEW_PARTS:
            return Response(b"".join(parts), headers=headers)
        return StreamingResponse(chunks(parts), headers=headers)

    async def _in_turns(
        self, piece: bytes | None, later: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Yield chunks, acquiring the limiter per chunk so that slow readers do not hold it."""
        while piece is not None:
            yield piece
            piece = await self.limiter.run(lambda: anext(later, None), patient=True)

    async def healthy(self, _: Request) -> Response:
        """Tell whether the refreshes are alive, whatever the gateway does."""
        if self.is_alive():
            return text_response("healthy", 200)
        return text_response("the refreshes have stopped", 503)

    async def ready(self, _: Request) -> Response:
        """Tell whether the first refresh of every account has ended, successfully or not."""
        if self.read_snapshot().is_ready:
            return text_response("ready", 200)
        return text_response("the first refresh is under way", 503)

    async def reload_configuration(self, _: Request) -> Response:
        """Reload the configuration, and return every problem with it."""
        if self.reload is None:
            return text_response(
                "reloads by request are disabled: set --web.enable-lifecycle, or send SIGHUP", 403
            )
        if self.waiting_for_reload.locked():
            raise Busy
        # A client that leaves makes room for another at once. Its reload is shared, and goes on.
        async with self.waiting_for_reload:
            problems = await self.reload()
        if problems:
            return text_response("\n".join(problems), 500)
        return text_response("reloaded", 200)

    async def no_page(self, _: Request) -> Response:
        """Tell where the metrics are, and nothing else."""
        return text_response(
            f"the status page is disabled; the metrics are at {self.telemetry_path}", 404
        )

    async def busy(self, _: Request, __: Exception) -> Response:
        """Reject an expensive request while too many others are under way.

        Close the connection: clients that retry immediately would otherwise occupy every slot.
        """
        headers = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
        return text_response(
            "too many expensive requests: try again, or scrape with gzip and without name[]",
            503,
            headers,
        )

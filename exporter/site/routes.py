"""Answer visitors: the metrics, the two probes and, where it is switched on, the status page.

Talks to: nobody; Starlette calls it. Knows no API, no token, no refresh: it is given the exposition and the questions
that the probes ask. Metrics always answer 200, whatever the gateway does; neither probe does any work.
"""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.exposition import Exposition
from exporter.site.negotiate import accepts_gzip, choose_form
from exporter.site.status import StatusPage

HEALTHY_PATH = "/-/healthy"
READY_PATH = "/-/ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the pages need to know of the rest of the program; *status_page* is None where it is switched off."""

    exposition: Exposition
    telemetry_path: str
    is_alive: Callable[[], bool]
    is_ready: Callable[[], bool]
    status_page: StatusPage | None = None

    def application(self) -> Starlette:
        """Build the ASGI application."""
        pages = [Route("/", self.no_page)] if self.status_page is None else self.status_page.routes()
        application = Starlette(
            routes=[
                *pages,
                Route(self.telemetry_path, self.metrics),
                Route(HEALTHY_PATH, self.healthy),
                Route(READY_PATH, self.ready),
            ]
        )
        application.router.redirect_slashes = False  # a redirect would be built from what the visitor calls us
        return application

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape."""
        form = choose_form(request.headers.get("accept", ""))
        gzipped = accepts_gzip(request.headers.get("accept-encoding", ""))
        names = request.query_params.getlist("name[]")
        if names:
            body = await self.exposition.chosen(names, form, gzipped=gzipped)
        else:
            body = await self.exposition.whole(form, gzipped=gzipped)
        headers = {"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store", "Content-Type": form.value}
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers)

    async def healthy(self, _: Request) -> Response:
        """Say whether the refreshes are alive, whatever the gateway does."""
        if self.is_alive():
            return _word("healthy", 200)
        return _word("the refreshes have stopped", 503)

    async def ready(self, _: Request) -> Response:
        """Say whether every account's first refresh has ended, well or badly."""
        if self.is_ready():
            return _word("ready", 200)
        return _word("the first refresh is under way", 503)

    async def no_page(self, _: Request) -> Response:
        """Say where the metrics are, and nothing else."""
        return _word(f"the status page is switched off; the metrics are at {self.telemetry_path}", 404)


def _word(text: str, status: int) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status, headers={"Cache-Control": "no-store"})

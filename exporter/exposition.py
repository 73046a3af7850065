"""Answer scrapes from what was rendered when the data changed.

Knows prometheus_client's registries; nothing of HTTP, the API or settings. How the rendering works, and why a scrape
has so little left to do, is told in `rendering`. A rendering holds until the next instant at which a key expires or
data is withdrawn (`metrics.next_change`); the first scrape after that instant has it made again. Requests for chosen
families (`name[]`) go the ordinary, slow way.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter import metrics
from exporter.rendering import COMPRESSION_LEVEL, Form, Head, Rendering, render
from exporter.snapshot import Snapshot


class SnapshotCollector(Collector):
    """The snapshot's families as a collector for a registry: made anew at each collection."""

    def __init__(self, current: Callable[[], Snapshot], clock: Callable[[], float]) -> None:
        self._current = current
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Name the families, so that registering asks for nothing and a clash of names fails at the start."""
        return metrics.describe()

    def collect(self) -> Iterator[Metric]:
        """Make the families of the current snapshot at this instant."""
        snapshot, now = self._current(), self._clock()
        yield from metrics.families(snapshot, now)
        yield metrics.countdown(snapshot, now)


class Exposition:
    """What `/metrics` answers; mutable are the rendering and the process's own families as last encoded.

    *own* are the process's own collectors; *registry* holds everything, for those who choose families.
    """

    def __init__(
        self, *, current: Callable[[], Snapshot], own: Iterable[Collector], clock: Callable[[], float]
    ) -> None:
        self._current = current
        self._clock = clock
        self._rendering = render(current(), clock())
        self._renewing = asyncio.Lock()
        self._encoded: dict[tuple[Form, str], tuple[Metric, bytes]] = {}
        self._own = CollectorRegistry(auto_describe=True)
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(SnapshotCollector(current, clock))
        for collector in own:
            self._own.register(collector)
            self.registry.register(collector)

    async def renew(self, upcoming: Snapshot | None = None) -> Rendering:
        """Render, off the event loop, the current snapshot, or *upcoming* before the caller makes it current."""
        async with self._renewing:
            snapshot, now = upcoming or self._current(), self._clock()
            if not self._rendering.holds(snapshot, now):
                self._rendering = await asyncio.to_thread(render, snapshot, now)
            return self._rendering

    async def whole(self, form: Form, *, gzipped: bool) -> bytes:
        """Return the whole exposition, as one gzip member or plain."""
        if not self._rendering.holds(self._current(), self._clock()):
            await self.renew()
        head, now = self._rendering.heads[form], self._clock()
        if gzipped and len(head.countdown_series) <= 1:
            return self.assemble(head, form, now, gzipped=True)
        return await asyncio.to_thread(self.assemble, head, form, now, gzipped=gzipped)

    def assemble(self, head: Head, form: Form, now: float, *, gzipped: bool) -> bytes:
        """Put *head* and the tail of unix time *now* together."""
        tail = head.countdown(now) + self._own_families(form) + form.end
        member = head.closed_by(tail)
        return member if gzipped else zlib.decompress(member, 16 + zlib.MAX_WBITS, head.length + len(tail))

    def _own_families(self, form: Form) -> bytes:
        """Encode the process's own families: anew where a sample has changed, which few have between two scrapes."""
        own = list(self._own.collect())
        for metric in own:
            if self._encoded.get((form, metric.name), (None,))[0] != metric:
                self._encoded[form, metric.name] = (metric, form.encode([metric]))
        return b"".join([self._encoded[form, metric.name][1] for metric in own])

    async def chosen(self, names: Sequence[str], form: Form, *, gzipped: bool) -> bytes:
        """Return the families or series called *names* alone."""
        body = await asyncio.to_thread(lambda: form.encode(self.registry.restricted_registry(names).collect()))
        body += form.end
        return zlib.compress(body, COMPRESSION_LEVEL, 16 + zlib.MAX_WBITS) if gzipped else body

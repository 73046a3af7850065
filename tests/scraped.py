"""Scrape an exposition without a server, in a time that a test turns."""

import asyncio
import gzip

from domain import NOW, FakeRuntime
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition.rendering import Format
from exporter.exposition.scrape import Exposition
from exporter.exposition.telemetry import Telemetry


class Scraped:
    """An exposition of accounts that a test exchanges."""

    def __init__(self, snapshot, *, telemetry=None, process=(), now=NOW):
        self.world = FakeRuntime(now=now)
        self.exposition = Exposition(
            telemetry=telemetry or Telemetry(version="0.0.0"),
            process=process,
            clock=self.world.clock,
        )
        self.show(*snapshot.accounts.values())

    def show(self, *states):
        """Show these accounts and no other."""
        asyncio.run(self.exposition.renew(*states))
        self.exposition.keep([state.name for state in states])

    def plain(self, *names, format_=Format.TEXT):
        """Return the plain answer in one."""

        async def chunks():
            return [chunk async for chunk in self.exposition.plain(format_, names)]

        return b"".join(asyncio.run(chunks()))

    def packed(self, *names, format_=Format.TEXT):
        """Return the gzip member in one."""
        return b"".join(asyncio.run(self.exposition.gzipped(format_, names)))

    def body(self, *names, format_=Format.TEXT, gzipped=False):
        """Return the answer, unpacked where it was packed."""
        if gzipped:
            return gzip.decompress(self.packed(*names, format_=format_))
        return self.plain(*names, format_=format_)

    def text(self, *names):
        """Return the plain answer as text."""
        return self.plain(*names).decode()

    def catch_up(self):
        """Do what is done every second."""
        asyncio.run(self.exposition.catch_up())

    def samples(self, name):
        """List the samples called *name*."""
        families = text_string_to_metric_families(self.text())
        return [sample for family in families for sample in family.samples if sample.name == name]

"""Refreshes without threads, so that a test's time is the only one."""

import pytest


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Make sense of responses, and read tokens, at once instead of in a thread."""

    async def run(function, **_):
        return function()

    async def run_of_flight(_, function, **__):
        return function()

    for module in ("store", "listing", "usage_poller"):
        monkeypatch.setattr(f"exporter.refresh.{module}.decode", run)
    monkeypatch.setattr("exporter.workers.SingleFlight.run", run_of_flight)

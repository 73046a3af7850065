"""One account's refresher with everything around it, in a time that a test turns.

Pure: no thread, no socket, no real clock. `inline` takes the threads out of what a test refreshes.
"""

import asyncio
import heapq
from dataclasses import dataclass, field
from typing import Any

from domain import FakeClient, FakeRuntime, an_account
from structlog.testing import capture_logs

from exporter.endpoint import ApiPath
from exporter.refresh.refresher import Refresher

LONG = 50
"""How often every task has its turn until all wait: more than the longest chain of awaits."""


@dataclass(kw_only=True)
class Stage:
    """One refresher and what it published, counted and logged."""

    client: FakeClient
    account: dict[str, Any] = field(default_factory=dict)
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    published: list = field(default_factory=list)
    counted: list = field(default_factory=list)
    logs: list = field(default_factory=list)

    def __post_init__(self):
        self.refresher = Refresher(
            an_account(**self.account),
            self.client,
            publish=self.publish,
            count=self.count,
            runtime=self.runtime,
        )

    async def publish(self, state):
        self.published.append(state)

    def count(self, *seen):
        self.counted.append(seen)

    @property
    def state(self):
        return self.refresher.state

    @property
    def outcomes(self):
        return [outcome for _, outcome, _ in self.counted]

    def run(self, work):
        """Run the coroutine *work*, and keep what it logs."""
        with capture_logs() as logs:
            result = asyncio.run(work)
        self.logs += logs
        return result

    def refreshes(self, number):
        """List the keys *number* times, a minute apart; return the pauses and what was logged."""

        async def work():
            pauses = []
            for _ in range(number):
                pauses.append(await self.refresher.listing.refresh())
                self.runtime.pass_by(60)
            return pauses

        before = len(self.logs)
        pauses = self.run(work())
        return pauses, self.logs[before:]

    def poll(self, path):
        """Read the endpoint at *path* once; return the pause until the next time."""
        (loop,) = [each for each in self.refresher.polls if each.poller.path is path]
        return self.run(loop.read())

    def poll_all(self):
        """Read every endpoint beside the keys once."""
        for loop in self.refresher.polls:
            self.run(loop.read())

    def run_for(self, seconds, *, first_delay=0.0):
        """Run everything for *seconds*, which need a `VirtualRuntime`; return when keys were listed, in seconds."""
        began, times = self.runtime.ticks, []
        before = self.client.on_list

        def on_list():
            times.append(self.runtime.ticks - began)
            before()

        async def work():
            self.client.on_list = on_list
            running = asyncio.create_task(self.refresher.run(first_delay))
            await self.runtime.advance(seconds)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        self.run(work())
        return times

    def loud(self):
        """List what was logged above debug, as (level, event)."""
        return [
            (entry["log_level"], entry["event"])
            for entry in self.logs
            if entry["log_level"] != "debug"
        ]


class VirtualRuntime(FakeRuntime):
    """Time for several tasks that sleep at once: it passes only in `advance`, and *on_wake* is called before each wakes."""

    def __init__(self):
        super().__init__()
        self.sleepers = []
        self.number = 0
        self.on_wake = lambda _: None

    async def sleep(self, seconds):
        self.number += 1
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.ticks + seconds, self.number, woken))
        await woken

    async def advance(self, seconds):
        """Let *seconds* pass, and wake each sleeper when its time has come."""
        end = self.ticks + seconds
        await self.settle()
        while self.sleepers and self.sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self.sleepers)
            self.pass_by(at - self.ticks)
            self.on_wake(at)
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        self.pass_by(end - self.ticks)

    @staticmethod
    async def settle():
        """Let every task run until it waits."""
        for _ in range(LONG):
            await asyncio.sleep(0)


def stage(*listings, values=None, usage=None, runtime=None, **account):
    """Build a stage whose gateway lists *listings* in turn and offers *values*."""
    client = FakeClient(listings=list(listings))
    if values is not None:
        client.values = values
    if usage is not None:
        client.usage = usage
    return Stage(client=client, account=account, runtime=runtime or FakeRuntime())


def asked(played, path: ApiPath) -> int:
    """Count the requests to the endpoint at *path*."""
    return played.client.asked.count(path)

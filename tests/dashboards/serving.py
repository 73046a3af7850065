"""Start a real Prometheus with the sample history, or another one, in its store; it scrapes nothing.

Talks to: promtool and prometheus, which serves on a free loopback port.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import processes
from dashboards.demo_keys import BEGAN, DEMO
from dashboards.queries import Prometheus
from dashboards.sample_history import open_metrics
from dashboards.states import state_lines


def sample_history() -> Iterator[str]:
    """Give the lines of the sample history, with the demo's keys and every state of an installation."""
    return open_metrics(("demo", DEMO, BEGAN), also=state_lines())


@contextlib.contextmanager
def prometheus_with_history(
    folder: Path, history: Iterable[str] | None = None, *, block: str = "48h"
) -> Iterator[Prometheus]:
    """Run it with its data in *folder*: *history* as lines of OpenMetrics with times, else the sample history."""
    folder.mkdir(exist_ok=True)
    processes.fill(folder, history or sample_history(), block=block)
    with prometheus_of(folder) as client:
        yield client


@contextlib.contextmanager
def prometheus_of(folder: Path) -> Iterator[Prometheus]:
    """Run it with the data that *folder* has."""
    with (
        processes.Prometheus(folder, {}, "--storage.tsdb.retention.time=100y") as running,
        contextlib.closing(Prometheus(running.url)) as client,
    ):
        yield client

"""A real Prometheus with eight hours of history for all tests, and a browser for each module."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest
from dashboards.drawing import chromium
from dashboards.queries import Prometheus
from dashboards.serving import prometheus_of, sample_history
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for one module; skip or fail without the libraries for it.

    No longer: while Playwright is there, its event loop is in the way of `asyncio.run`.
    """
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the sample history in its store, which all workers share the work of writing."""
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(_history_of_all_workers(tmp_path_factory) / "data", folder / "data")
    with prometheus_of(folder) as client:
        yield client


def _history_of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the sample history, unless another worker of this run has."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "history"
    with (base / "history.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            processes.fill(folder, sample_history())
    return folder

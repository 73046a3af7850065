"""Start a real Prometheus with the sample history, or another one, in its store; it scrapes nothing.

Talks to: promtool and prometheus, which serves on a free loopback port.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from binaries import require
from dashboards.demo_keys import BEGAN, DEMO
from dashboards.queries import Prometheus
from dashboards.sample_history import open_metrics

READY_SECONDS = 20
STOP_SECONDS = 10


@contextlib.contextmanager
def prometheus_with_history(folder: Path, history: Iterable[str] | None = None) -> Iterator[Prometheus]:
    """Run it with its data in *folder*: *history* as lines of OpenMetrics with times, else the sample history."""
    promtool, program = require("promtool"), require("prometheus")
    _fill(promtool, folder, history or open_metrics(("demo", DEMO, BEGAN)))
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    port = _free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        client = Prometheus(f"http://127.0.0.1:{port}")
        try:
            _wait_until_ready(client, process, folder / "log")
            yield client
        finally:
            client.close()
            process.terminate()
            process.wait(STOP_SECONDS)


def _fill(promtool: str, folder: Path, history: Iterable[str]) -> None:
    path = folder / "history.om"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(history)
    command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=48h", "openmetrics"]
    subprocess.run([*command, str(path), str(folder / "data")], check=True, capture_output=True, timeout=60)


def _wait_until_ready(client: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not client.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"Prometheus did not start: {log.read_text(encoding='utf-8')}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

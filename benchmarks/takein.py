"""Measure the scrape durations that a real Prometheus records: of this exporter and of nginx's static file.

Talks to: a Prometheus that scrapes all of them every second for a bounded time.
"""

import json
import shutil
import statistics
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from contenders import NGINX, OURS, Server, start_gateway, start_nginx, start_ours
from machine import Program, free_port, wait_until

# One offset for all would have them scraped at once; Prometheus spreads them by the hash of their
# addresses.
CONFIG = """
global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}
scrape_configs:
{jobs}
"""
JOB = """
  - job_name: {name}
    metrics_path: {path}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def measure(
    folder: Path, counts: list[int], *, seconds: int
) -> dict[tuple[str, int], float] | None:
    """Return the median scrape duration by server and number of keys; None, and loudly so, without Prometheus."""
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        print("SKIPPED: no Prometheus here: its scrape duration is NOT measured", flush=True)
        return None
    now = int(time.time())
    with ExitStack() as stack:
        jobs: dict[tuple[str, int], Server] = {}
        for count in counts:
            ours = start_ours(
                stack, folder, start_gateway(stack, folder, count, now), interval="30m"
            )
            nginx = start_nginx(stack, folder, ours)
            jobs[OURS, count] = ours
            if nginx is None:
                return None
            jobs[NGINX, count] = nginx
        url = start_prometheus(stack, folder, prometheus, jobs)
        time.sleep(seconds)
        return {(name, count): duration(url, f"{name}-{count}", seconds) for name, count in jobs}


def start_prometheus(
    stack: ExitStack, folder: Path, program: str, jobs: dict[tuple[str, int], Server]
) -> str:
    texts = [
        JOB.format(
            name=f"{name}-{count}",
            path="/openmetrics" if server.is_static else "/metrics",
            port=server.port,
        )
        for (name, count), server in jobs.items()
    ]
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(interval="1s", jobs="".join(texts)), encoding="utf-8")
    port = free_port()
    arguments = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    running = stack.enter_context(Program(arguments, folder / "prometheus.log"))
    url = f"http://127.0.0.1:{port}"
    wait_until(
        lambda: (
            running.check_alive()
            and urllib.request.urlopen(f"{url}/-/ready", timeout=2).status == 200
        )
    )
    return url


def duration(url: str, job: str, seconds: int) -> float:
    """Return the median of the durations that Prometheus has noted of *job*; the first scrapes are left out."""
    query = urllib.parse.urlencode({"query": f'scrape_duration_seconds{{job="{job}"}}[{seconds}s]'})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
        (series,) = json.load(answer)["data"]["result"]
    return statistics.median(float(value) for _, value in series["values"][2:])

"""Measure what the bundled rules cost a real Prometheus: CPU a minute, memory and series.

Talks to: Prometheus on loopback, which scrapes a made-up exporter of this process once a minute.
A tenth of the keys spends each minute. History begins with the run: what reads a day or a month is
cheaper than in a Prometheus that has it.

    python benchmarks/rules.py --keys 1000 --keys 10000 --minutes 6
"""

import argparse
import http.server
import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml
from machine import Program, free_port, is_open, wait_until

RULES = Path(__file__).resolve().parents[1] / "deploy/prometheus/rules"
WARM_UP_SECONDS = 120
"""Two evaluations: series are created and rules have their memory."""
LONGEST_MINUTES = 60
MIB = 1024 * 1024
SPENT_EACH_MINUTE = 5_000
ACCOUNT = """\
cometapi_up{account="a"} 1
cometapi_exporter_last_success_timestamp_seconds{account="a"} NOW
cometapi_exporter_refresh_interval_seconds{account="a"} 60
cometapi_quota_units_per_usd{account="a"} 500000
cometapi_account_used_quota{account="a"} NOW
cometapi_account_requests_total{account="a"} NOW
cometapi_account_spendable_quota{account="a"} 5e12
cometapi_keys{account="a",group="vip",status="enabled"} COUNT
cometapi_exporter_build_info{version="1",python_version="3"} 1
"""


def exposition(count: int, minute: int) -> Iterator[str]:
    """Write the series of *count* keys, as they are after so many minutes."""
    now = int(time.time())
    yield ACCOUNT.replace("NOW", str(now)).replace("COUNT", str(count))
    for number in range(count):
        labels = f'{{account="a",key_id="{number}",key_name="key {number}",group="vip"}}'
        spends = number % 10 == 0
        spent = SPENT_EACH_MINUTE * minute if spends else 0
        used = now if spends else now - 86_400
        yield f"cometapi_key_remaining_quota{labels} {5_000_000_000 - spent}\n"
        yield f"cometapi_key_used_quota{labels} {spent}\n"
        yield f"cometapi_key_unlimited_quota{labels} 0\n"
        yield f"cometapi_key_status{labels} 1\n"
        yield f"cometapi_key_usable{labels} 1\n"
        yield f"cometapi_key_created_timestamp_seconds{labels} 1700000000\n"
        yield f"cometapi_key_last_used_timestamp_seconds{labels} {used}\n"
        yield f"cometapi_key_expiry_timestamp_seconds{labels} 4000000000\n"
        more = 'model_limits="false",ip_allowlist="false",cross_group_retry="false"'
        yield f"cometapi_key_info{labels[:-1]},{more}}} 1\n"


class Exporter:
    """Serves the made-up series of *count* keys on loopback."""

    def __init__(self, count: int) -> None:
        begin = time.monotonic()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                minute = int((time.monotonic() - begin) / 60)
                body = "".join(exposition(count, minute)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def measure(count: int, minutes: int, folder: Path) -> dict[str, float]:
    """Run Prometheus with the rules for *count* keys, and return what it used."""
    exporter, port = Exporter(count), free_port()
    config = {
        "global": {"scrape_interval": "60s", "scrape_timeout": "50s", "evaluation_interval": "60s"},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": [
            {"job_name": "cometapi-exporter", "static_configs": [{"targets": [exporter.address]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with Program(command, folder / "log") as prometheus:
        wait_until(lambda: is_open(port), what="Prometheus listens")
        time.sleep(WARM_UP_SECONDS)
        before, begin = prometheus.cpu_seconds(), time.monotonic()
        time.sleep(60 * minutes)
        spent, passed = prometheus.cpu_seconds() - before, time.monotonic() - begin
        prometheus.check_alive()
        return {
            "keys": count,
            "cpu_seconds_a_minute": spent / passed * 60,
            "resident_mib": prometheus.peak_bytes() / MIB,
            "series": _value(port, "prometheus_tsdb_head_series"),
            **_groups(port),
        }


def _value(port: int, name: str) -> float:
    """Read one of Prometheus's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def _groups(port: int) -> dict[str, float]:
    """Return how long the slowest group took, and how many rules are in error."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules", timeout=30) as response:
        groups = json.load(response)["data"]["groups"]
    failed = [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
    return {
        "slowest_group_seconds": max(group["evaluationTime"] for group in groups),
        "rules_in_error": len(failed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, action="append", required=True)
    parser.add_argument("--minutes", type=int, default=6)
    arguments = parser.parse_args()
    for count in arguments.keys:
        with tempfile.TemporaryDirectory() as folder:
            minutes = min(arguments.minutes, LONGEST_MINUTES)
            print(json.dumps(measure(count, minutes, Path(folder))), flush=True)


if __name__ == "__main__":
    main()

"""Be one of the two Python exporters that we compare with; a process of its own.

`python_servers.py gauges|collector KEYS UNIX_TIME PORT` serves the key set with prometheus_client's
start_http_server until its standard input ends. *gauges* is how most exporters are made: labelled
Gauge objects that keep their series, here with the countdown computed at the scrape. *collector*
creates the families at each scrape.
"""

import itertools
import platform
import sys
import time
from pathlib import Path

from keyset import pages
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from exporter.cometapi.answer import Answer
from exporter.cometapi.wire import parse_page
from exporter.errors import Reason
from exporter.exposition.catalogue import COUNTDOWN, KEY_LABELS, SNAPSHOT_FAMILIES
from exporter.snapshot import Snapshot

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from domain import a_balance, a_snapshot
from oracle import Registry, SnapshotCollector, metric_of, telemetry_metrics


def snapshot_of(count: int, now: int) -> Snapshot:
    answers = (
        Answer(status=200, headers={}, body=body, received_at=now) for body in pages(count, now)
    )
    keys = tuple(itertools.chain.from_iterable(parse_page(answer).keys for answer in answers))
    return a_snapshot(
        *keys,
        at=now,
        name="default",
        balance=a_balance(),
        groups=dict.fromkeys(key.group for key in keys),
    )


def fill_with_gauges(registry: CollectorRegistry, snapshot: Snapshot, now: int) -> None:
    for family in SNAPSHOT_FAMILIES:
        metric = metric_of(family, snapshot, now)
        if family is not COUNTDOWN and metric.samples:
            labels = tuple(metric.samples[0].labels)
            gauge = Gauge(family.name, family.help, labels, registry=registry)
            for sample in metric.samples:
                gauge.labels(**sample.labels).set(sample.value)
    timer = Gauge(COUNTDOWN.name, COUNTDOWN.help, KEY_LABELS, registry=registry)
    for state in snapshot.accounts.values():
        for key in state.keys:
            if key.expires_at is not None:
                labels = (state.name, str(key.id), key.name, key.group)
                timer.labels(*labels).set_function(lambda end=key.expires_at: end - time.time())


def count_ourselves(registry: CollectorRegistry) -> None:
    own = telemetry_metrics(registry)
    own["cometapi_exporter_build_info"].labels("0", platform.python_version()).set(1)
    for name in ("refreshes_total", "refresh_duration_seconds"):
        own[f"cometapi_exporter_{name}"].labels("default")
    for reason in Reason:
        own["cometapi_exporter_refresh_failures_total"].labels("default", reason.value)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)


def main(kind: str, count: int, now: int, port: int) -> None:
    registry = Registry()
    snapshot = snapshot_of(count, now)
    if kind == "gauges":
        fill_with_gauges(registry, snapshot, now)
        del snapshot
    else:
        registry.register(SnapshotCollector(lambda: snapshot, time.time))
    count_ourselves(registry)
    start_http_server(port, addr="127.0.0.1", registry=registry)
    print("serving", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

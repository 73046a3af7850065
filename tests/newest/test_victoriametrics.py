"""Long-term storage as docs/integrations.md describes it: two Prometheus servers write to one VictoriaMetrics.

`make test-newest` builds VictoriaMetrics; without it these tests are skipped everywhere, CI
included.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from dashboards import queries
from dashboards.committed import ALL
from processes import (
    Exporter,
    Process,
    Prometheus,
    free_port,
    run_exporter,
    scrape_config,
    wait_until,
)

PROGRAM = shutil.which("victoria-metrics")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="make test-newest builds VictoriaMetrics and runs this"
)
INTEGRATIONS = Path(__file__).parents[2] / "docs/integrations.md"
SECONDS = 15
# Their series are those of any process, which docs/integrations.md does not send.
NOT_SENT = {"Memory", "CPU"}
EVERYTHING = {
    "job": ".*",
    "cluster": ".*",
    "namespace": ".*",
    "account": ".*",
    "group": ".*",
    "key": ".*",
    "window": "1h",
    "money": "1",
}
VALUES = {
    "cometapi-overview": EVERYTHING,
    "cometapi-exporter": EVERYTHING,
    "cometapi-spending": EVERYTHING,
    "cometapi-key": {
        "job": ".*",
        "cluster": ".*",
        "namespace": ".*",
        "account": "demo",
        "key": "1125",
        "window": "1h",
        "money": "1",
    },
}


def documented_remote_write(url: str) -> dict[str, Any]:
    """Return the configuration of docs/integrations.md with *url*, and labels that are the same on both twins."""
    blocks = INTEGRATIONS.read_text(encoding="utf-8").split("```yaml\n")
    (block,) = (text.split("```")[0] for text in blocks if "remote_write:" in text.split("```")[0])
    (remote,) = yaml.safe_load(block)["remote_write"]
    return {"remote_write": [{**remote, "url": url, "queue_config": {"batch_send_deadline": "1s"}}]}


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a VictoriaMetrics that drops the twin's samples."""
    assert PROGRAM is not None
    url = f"http://127.0.0.1:{free_port()}"
    flags = {
        "storageDataPath": tmp_path_factory.mktemp("victoria"),
        "httpListenAddr": url.removeprefix("http://"),
        "dedup.minScrapeInterval": "1s",
        "search.latencyOffset": "0s",
        "loggerLevel": "ERROR",
        "memory.allowedPercent": "5",
    }
    with Process([PROGRAM, *(f"-{name}={value}" for name, value in flags.items())]):
        wait_until(
            lambda: httpx.get(f"{url}/health", trust_env=False).status_code == httpx.codes.OK
        )
        yield url


@pytest.fixture(scope="module")
def engines(
    victoria: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, queries.Prometheus]]:
    """Return clients of one twin and of VictoriaMetrics, after both twins have scraped the demo for a while."""
    with Exporter(
        "--demo", "--collect.interval=1s", "--collect.max-requests-per-minute=1000"
    ) as exporter:
        config = scrape_config(exporter.wait_ready().url) | documented_remote_write(
            f"{victoria}/api/v1/write"
        )
        config["global"] |= {"external_labels": {"cluster": "production"}}
        folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
        with Prometheus(folders[0], config) as twin, Prometheus(folders[1], config):
            clients = {
                "prometheus": queries.Prometheus(twin.url),
                "victoria": queries.Prometheus(victoria),
            }
            wait_until(lambda: _samples(clients["victoria"]) >= SECONDS, seconds=90)
            yield clients
            for client in clients.values():
                client.close()


def _samples(client: queries.Prometheus) -> float:
    found = client.now("count_over_time(cometapi_up[1h])", _moment())
    return float(found[0]["value"][1]) if found else 0.0


def _moment() -> queries.Moment:
    return queries.Moment(end=int(time.time()), seconds=SECONDS, step=1)


def test_the_samples_of_the_twin_are_dropped(engines):
    moment = queries.Moment(end=int(time.time()) - 2, seconds=SECONDS, step=1)
    (series,) = engines["victoria"].now('count_over_time(cometapi_up{account="demo"}[10s])', moment)

    assert 9 <= float(series["value"][1]) <= 11, "one a second, though two a second were sent"


def test_what_is_not_ours_is_not_sent(engines):
    assert engines["victoria"].now("scrape_duration_seconds", _moment()) == []
    assert engines["victoria"].now("up", _moment()) != []


def test_every_query_of_the_dashboards_is_answered_as_by_prometheus(engines):
    moment = queries.Moment(end=int(time.time()) - 2, seconds=SECONDS, step=1)
    asked = [
        query
        for board in ALL
        for query in (*queries.panel_queries(board), *queries.annotation_queries(board))
    ]
    different = [
        query.place
        for query in asked
        if len(
            {len(client.run(query, VALUES[query.dashboard], moment)) for client in engines.values()}
        )
        > 1
    ]

    assert len(asked) > 50
    assert [place for place in different if place.split(maxsplit=2)[-1] not in NOT_SENT] == []


def test_the_history_of_a_backfill_is_imported_by_http(victoria):
    """docs/spending.md: the same file that promtool takes."""
    end = int(time.time()) - 3 * 3_600
    done = run_exporter("--demo", "--backfill", f"--backfill.end={end}")
    imported = httpx.post(
        f"{victoria}/api/v1/import/prometheus", content=done.stdout.encode(), trust_env=False
    )
    assert imported.is_success, imported.text
    name = "cometapi_usage_quota_total"
    lines = [line for line in done.stdout.splitlines() if line.startswith(name)]
    last = {}
    for line in lines:
        series, value, at = line.rsplit(" ", 2)
        last[series] = (float(value), int(at))
    _, at = next(iter(last.values()))
    client = queries.Prometheus(victoria)
    moment = queries.Moment(end=at, seconds=SECONDS, step=1)

    expected = sorted(value for value, _ in last.values())

    def found() -> list[float]:
        series = client.now(f'{name}{{instance="127.0.0.1:10144"}}', moment)
        return sorted(float(each["value"][1]) for each in series)

    # What is imported becomes visible part by part.
    wait_until(lambda: found() == expected, seconds=30)
    client.close()

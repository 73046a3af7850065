"""A real Prometheus scrapes the installed program, and its own API returns every series."""

import subprocess

import pytest
from binaries import require
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, Prometheus, scrape_config, wait_until

NEGOTIATED, TEXT = {}, {"Accept": "text/plain"}


@pytest.fixture
def exporter():
    with (
        Gateway(keys=wire_keys(120)) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as running,
    ):
        yield running.wait_ready()


def test_promtool_finds_nothing_wrong_with_the_exposition(exporter):
    done = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=exporter.get().text,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_returns_every_series_with_its_labels_and_value(exporter, tmp_path):
    with Prometheus(tmp_path, scrape_config(exporter.url)) as prometheus:
        wait_until(lambda: prometheus.value("up") == 1)
        found = {
            series["metric"]["key_id"]: (series["metric"], float(series["value"][1]))
            for series in prometheus.query("cometapi_key_used_quota")
        }

        assert len(found) == 120
        labels, value = found["119"]
        assert value == 119 * 7
        assert labels["key_name"] == 'ключ "119" \\ 密钥\n🔑'
        assert labels["group"] == "vip"
        assert labels["account"] == "default"
        assert prometheus.value("count(cometapi_key_remaining_quota)") == 96
        assert prometheus.value('cometapi_keys{status="disabled",group="vip"}') == 4
        assert prometheus.value("cometapi_up") == 1
        assert prometheus.value('scrape_samples_scraped{job="cometapi-exporter"}') == len(exporter.samples())


def test_prometheus_2_takes_the_openmetrics_form(exporter, tmp_path):
    """Debian's Prometheus asks for OpenMetrics first; it refuses a scrape that is not valid in that form."""
    with Prometheus(tmp_path, scrape_config(exporter.url)) as prometheus:
        wait_until(lambda: prometheus.value("up") == 1)
        types = {
            entry["metric"]: entry["type"]
            for entry in _metadata(prometheus)
            if entry["metric"] in {"cometapi_key_info", "cometapi_key", "cometapi_exporter_refreshes"}
        }

        assert types == {"cometapi_key_info": "gauge", "cometapi_exporter_refreshes": "counter"}


def _metadata(prometheus):
    import httpx  # noqa: PLC0415 - one helper

    return httpx.get(f"{prometheus.url}/api/v1/targets/metadata", trust_env=False).json()["data"]

"""A real Prometheus scrapes the installed program, and its own API returns every series."""

import pytest
from binaries import require
from builders import wire_keys
from gateway import Gateway
from processes import Exporter, Prometheus, output_of, scrape_config, wait_until


@pytest.fixture
def exporter():
    with Gateway(keys=wire_keys(120)) as gateway, Exporter(gateway=gateway) as running:
        yield running.wait_ready()


def test_promtool_finds_nothing_wrong_with_the_exposition(exporter):
    assert output_of(require("promtool"), "check", "metrics", input=exporter.get().text) == ""


def test_prometheus_returns_every_series_with_its_labels_and_value(exporter, tmp_path):
    """Prometheus 2 asks for OpenMetrics first; it refuses a scrape that is not valid in that form."""
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
        assert prometheus.value('scrape_samples_scraped{job="cometapi-exporter"}') == len(
            exporter.samples()
        )
        metadata = prometheus.ask("v1/targets/metadata")["data"]

    types = {entry["metric"]: entry["type"] for entry in metadata}
    assert (types["cometapi_key_info"], types["cometapi_exporter_refreshes"]) == (
        "gauge",
        "counter",
    )
    assert "cometapi_exporter_refreshes_total" not in types, (
        "OpenMetrics names the family of a counter without _total"
    )

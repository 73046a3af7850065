"""Towards the API, 5: old data is withdrawn, said to be so, and comes back; Prometheus sees the whole arc."""

from builders import wire_keys
from gateway import Gateway, always, answer
from processes import QUICKLY, Exporter, Prometheus, scrape_config, wait_until

DATA = ("cometapi_key_", "cometapi_keys", "cometapi_account_")


def is_data(name: str) -> bool:
    """Whether a series tells what was read; the counter of changes tells what was seen."""
    return name.startswith(DATA) and not name.startswith("cometapi_key_changes_total")


def test_prometheus_sees_the_data_go_past_stale_after_and_return(tmp_path):
    with (
        Gateway(keys=wire_keys(5)) as gateway,
        Exporter(*QUICKLY, "--collect.stale-after=4s", gateway=gateway) as exporter,
        Prometheus(tmp_path, scrape_config(exporter.url)) as prometheus,
    ):
        wait_until(lambda: prometheus.value("count(cometapi_key_status)") == 5)

        gateway.faults = always(answer(503))
        wait_until(lambda: prometheus.value("cometapi_up") == 0)
        assert prometheus.value("count(cometapi_key_status)") == 5, (
            "a failed refresh keeps the last good keys"
        )

        wait_until(lambda: prometheus.value("count(cometapi_key_status)") is None)
        # Each endpoint has an age of its own: the balance was read a little later than the keys.
        wait_until(lambda: not any(is_data(name) for name in exporter.samples()))
        names = list(exporter.samples())
        for kept in (
            "up",
            "exporter_last_success_timestamp_seconds",
            "exporter_skipped_keys",
            "quota_units_per_usd",
        ):
            assert f'cometapi_{kept}{{account="default"}}' in names
        assert prometheus.value("up") == 1

        gateway.faults = None
        wait_until(lambda: prometheus.value("count(cometapi_key_status)") == 5)
        assert wait_until(lambda: prometheus.value("cometapi_up") == 1)

"""Towards the API, 6: relatives. Older New API and one-api are recognised by their first answer and listed whole."""

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, run_exporter, wait_until

BORDERS = (0, 1, 9, 10, 11, 99, 100, 101, 200, 250)


def listed_ids(text):
    lines = [line for line in text.split("\n") if line.startswith("cometapi_key_status{")]
    return sorted(int(line.split('key_id="')[1].split('"')[0]) for line in lines)


@pytest.mark.parametrize("variant", ["older", "one-api"])
@pytest.mark.parametrize("count", BORDERS)
def test_every_key_is_listed_once_at_every_border(variant, count):
    with Gateway(keys=wire_keys(count), variant=variant) as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert done.returncode == 0, done.stderr
    assert listed_ids(done.stdout) == list(range(1, count + 1))
    assert 'cometapi_exporter_refreshes_total{account="default"} 1.0' in done.stdout
    assert 'reason="inconsistent"} 0.0' in done.stdout


def test_one_api_has_no_groups():
    with Gateway(keys=wire_keys(3), variant="one-api") as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert 'cometapi_keys_usable{account="default",group=""}' in done.stdout


def test_a_deleted_key_of_an_older_gateway_is_gone_after_the_second_refresh_without_it():
    """A bare list names no total, so one listing without a key is no proof that it is gone."""
    with (
        Gateway(keys=wire_keys(12), variant="older") as gateway,
        Exporter(
            "--collect.interval=200ms",
            "--collect.max-requests-per-minute=10000",
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        exporter.wait_ready()
        gateway.keys = wire_keys(11)
        wait_until(lambda: listed_ids(exporter.get().text) == list(range(1, 12)))


def test_a_gateway_that_is_upgraded_while_we_watch_is_listed_whole():
    with (
        Gateway(keys=wire_keys(30), variant="older") as gateway,
        Exporter(
            "--collect.interval=200ms",
            "--collect.max-requests-per-minute=10000",
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        exporter.wait_ready()
        gateway.variant = "new-api"
        gateway.keys = wire_keys(45)
        wait_until(lambda: listed_ids(exporter.get().text) == list(range(1, 46)))

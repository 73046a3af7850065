"""Towards the API, 3: pace. Never more requests to one host than allowed, over all its accounts."""

import itertools
import time

from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, answer
from processes import Exporter, wait_until

REQUESTS = "cometapi_exporter_api_requests_total"


def three_accounts(tmp_path, gateway):
    (tmp_path / "token").write_text(CANARY_TOKEN)
    rows = "".join(f"  - {{name: a{n}, base_url: '{gateway.url}', access_token_file: token}}\n" for n in range(3))
    config = tmp_path / "accounts.yml"
    config.write_text(f"accounts:\n{rows}")
    return f"--config.file={config}"


def counted(samples):
    return sum(value for name, value in samples.items() if name.startswith(REQUESTS))


def test_accounts_of_one_host_share_its_limit_and_every_request_is_counted(tmp_path):
    with (
        Gateway(keys=wire_keys(150)) as gateway,
        Exporter(
            three_accounts(tmp_path, gateway),
            "--collect.interval=200ms",
            "--collect.max-requests-per-minute=25",
        ) as exporter,
    ):
        started = time.monotonic()
        wait_until(lambda: len(gateway.requests) >= 25)
        time.sleep(3)
        assert time.monotonic() - started < 30
        assert len(gateway.requests) == 25
        assert counted(exporter.samples()) == 25


def test_what_is_counted_is_what_the_server_saw(tmp_path):
    with (
        Gateway(keys=wire_keys(150), faults=[answer(502), None, answer(503)]) as gateway,
        Exporter(three_accounts(tmp_path, gateway), "--collect.interval=5m") as exporter,
    ):
        exporter.wait_ready()
        wait_until(lambda: counted(exporter.samples()) == len(gateway.requests) > 0)
        samples = exporter.samples()

        assert sum(value for name, value in samples.items() if 'code="502"' in name) == 1
        assert sum(value for name, value in samples.items() if 'code="503"' in name) == 1


def test_after_429_the_next_request_waits_as_told():
    with (
        Gateway(keys=wire_keys(3), faults=[answer(429, headers={"Retry-After": "2"})] * 2) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        exporter.wait_ready()
        assert exporter.samples()['cometapi_up{account="default"}'] == 1
        times = [request.at for request in gateway.requests]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]

    assert max(gaps) >= 1.9


def test_an_absurd_pause_is_cut_to_an_hour():
    with (
        Gateway(keys=wire_keys(3), faults=lambda _: answer(429, headers={"Retry-After": "31536000"})) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        exporter.wait_ready()
        failed = next(entry for entry in exporter.log() if entry["msg"] == "refresh failed")

    assert failed["reason"] == "rate_limited"
    assert 3500 < failed["retry_in_seconds"] <= 3600

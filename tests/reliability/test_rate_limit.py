"""Towards the API, 3: the rate limit. Never more requests to one host than allowed, over all its accounts."""

import time

from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, answer
from processes import Exporter, accounts_file, wait_until


def three_accounts(tmp_path, gateway, *flags):
    file = accounts_file(tmp_path, dict.fromkeys(("a", "b", "c"), gateway))
    return Exporter(file, *flags, TOKEN=CANARY_TOKEN)


def counted(exporter, code=""):
    samples = exporter.samples().items()
    return sum(
        value
        for name, value in samples
        if name.startswith("cometapi_exporter_api_requests_total") and f'code="{code}' in name
    )


def test_accounts_of_one_host_share_its_limit_and_every_request_is_counted(tmp_path):
    flags = ("--collect.interval=200ms", "--collect.max-requests-per-minute=25")
    with (
        Gateway(keys=wire_keys(150)) as gateway,
        three_accounts(tmp_path, gateway, *flags) as exporter,
    ):
        started = time.monotonic()
        wait_until(lambda: len(gateway.requests) >= 25)
        time.sleep(3)
        assert time.monotonic() - started < 30
        assert len(gateway.requests) == 25
        assert counted(exporter) == 25


def test_what_is_counted_is_what_the_server_saw(tmp_path):
    faults = [answer(502), None, answer(503)]
    with (
        Gateway(keys=wire_keys(150), faults=faults) as gateway,
        three_accounts(tmp_path, gateway, "--collect.interval=5m") as exporter,
    ):
        exporter.wait_ready()
        wait_until(lambda: counted(exporter) == len(gateway.requests) > 0)

        assert (counted(exporter, "502"), counted(exporter, "503")) == (1, 1)

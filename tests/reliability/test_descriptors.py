"""Few file descriptors: every account is read, scrapes are served, and the shortage is called one."""

import resource
import statistics
import time

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, accounts_file, wait_until


@pytest.fixture
def gateway():
    with Gateway(keys=wire_keys(20)) as running:
        yield running


def exporter_of(tmp_path, gateway, *, accounts, most):
    """Start the exporter over *accounts* accounts of one gateway, with at most *most* descriptors.

    The soft limit is half of that; the exporter raises it.
    """
    file = accounts_file(tmp_path, {f"a{n}": gateway for n in range(accounts)})
    flags = (
        "--collect.interval=20s",
        "--collect.usage=off",
        "--collect.max-requests-per-minute=100000",
    )
    limits = f"ulimit -S -n {most // 2} && ulimit -H -n {most}"
    before = ["sh", "-c", f'{limits} && exec "$@"', "sh"]
    return Exporter(file, *flags, before=before, TOKEN=CANARY_TOKEN)


def up(exporter):
    """Return how many accounts are up, and how many are known."""
    values = [
        value for name, value in exporter.samples().items() if name.startswith("cometapi_up{")
    ]
    return sum(values), len(values)


@pytest.mark.parametrize(("accounts", "most"), [(400, 1024), (40, 64)])
def test_every_account_is_read_and_scraped_with_few_descriptors(tmp_path, gateway, accounts, most):
    with exporter_of(tmp_path, gateway, accounts=accounts, most=most) as exporter:
        wait_until(lambda: up(exporter) == (accounts, accounts), seconds=60)
        waits = []
        for _ in range(10):
            began = time.monotonic()
            exporter.get()
            waits.append(time.monotonic() - began)
            assert up(exporter) == (accounts, accounts)
        limits = resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE)
        told = [entry["msg"] for entry in exporter.log() if entry["level"] != "info"]

    print(f"{accounts} accounts, {most} descriptors: longest scrape {max(waits):.2f} s")
    assert limits == (most, most)
    assert told == []
    # On a machine that is busy with other work, a single one may wait longer.
    assert statistics.median(waits) < 1

"""A name server that never answers delays only the accounts that need it, and no end of the process."""

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from binaries import skip_or_fail
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, accounts_file, wait_until

SILENT_SERVER = "127.0.0.77"
REFRESHES = 'cometapi_exporter_refreshes_total{account="healthy"}'


@pytest.fixture
def silent_resolver(tmp_path):
    """Return how to start a program that asks a name server which never answers."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-m", "true"], check=False).returncode
    ):
        skip_or_fail("a mount namespace (unshare -m, as root)")
    config = tmp_path / "resolv.conf"
    config.write_text(f"nameserver {SILENT_SERVER}\noptions timeout:30\n")
    mount = f'mount --bind {config} /etc/resolv.conf && exec "$@"'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((SILENT_SERVER, 53))
        yield ["unshare", "-m", "sh", "-c", mount, "sh"]


def tasks_allowed():
    """Return how many threads the shipped systemd unit allows."""
    unit = Path(__file__).parents[2] / "deploy/systemd/cometapi-exporter.service"
    (most,) = re.findall(r"^TasksMax=(\d+)$", unit.read_text(), flags=re.MULTILINE)
    return int(most)


def test_seventy_accounts_with_a_silent_name_server_leave_the_healthy_one_its_refreshes(
    silent_resolver, tmp_path
):
    silent = {
        f"silent {n}": SimpleNamespace(url=f"https://gateway-{n}.example.org") for n in range(70)
    }
    with Gateway(keys=wire_keys(3)) as gateway:
        file = accounts_file(tmp_path, {**silent, "healthy": gateway})
        with Exporter(
            file, "--collect.interval=1s", TOKEN=CANARY_TOKEN, before=silent_resolver
        ) as exporter:
            wait_until(lambda: exporter.samples().get(REFRESHES, 0) >= 2)
            began, before = time.monotonic(), exporter.samples()[REFRESHES]
            wait_until(lambda: exporter.samples()[REFRESHES] >= before + 8, seconds=40)
            assert time.monotonic() - began < 30
            threads = len(list(Path(f"/proc/{exporter.process.pid}/task").iterdir()))
            asked = time.monotonic()
            exporter.stop(seconds=10)

    assert time.monotonic() - asked < 8
    # The names take 16. Without a bound, each would take one.
    assert 16 < threads <= tasks_allowed()

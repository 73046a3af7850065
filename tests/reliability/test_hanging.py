"""What never answers (a name server, a file) delays only the account that needs it, and no end of the process."""

import os
import shutil
import socket
import subprocess
import time

import pytest
import yaml
from binaries import skip_or_fail
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import EXPORTER, Exporter, wait_until

SILENT_SERVER = "127.0.0.77"
REFRESHES = 'cometapi_exporter_refreshes_total{account="healthy"}'


@pytest.fixture
def silent_resolver(tmp_path):
    """Return how to start a program that asks a name server which never answers."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        skip_or_fail("a mount namespace (unshare -m, as root)")
    config = tmp_path / "resolv.conf"
    config.write_text(f"nameserver {SILENT_SERVER}\noptions timeout:30\n")
    mount = f'mount --bind {config} /etc/resolv.conf && exec "$@"'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((SILENT_SERVER, 53))
        yield ["unshare", "-m", "sh", "-c", mount, "sh"]


def accounts_file(folder, gateway, silent):
    names = [{"name": f"silent {n}", "base_url": f"https://gateway-{n}.example.org"} for n in range(silent)]
    healthy = {"name": "healthy", "base_url": gateway.url}
    path = folder / "accounts.yml"
    path.write_text(yaml.safe_dump({"accounts": [{"access_token_env": "TOKEN", **each} for each in [*names, healthy]]}))
    return path


def test_twenty_accounts_with_a_silent_name_server_leave_the_healthy_one_its_refreshes(silent_resolver, tmp_path):
    with Gateway(keys=wire_keys(3)) as gateway:
        path = accounts_file(tmp_path, gateway, 20)
        with Exporter(
            f"--config.file={path}", "--collect.interval=1s", TOKEN=CANARY_TOKEN, before=silent_resolver
        ) as exporter:
            wait_until(lambda: exporter.samples().get(REFRESHES, 0) >= 2)
            began, before = time.monotonic(), exporter.samples()[REFRESHES]
            wait_until(lambda: exporter.samples()[REFRESHES] >= before + 8, seconds=40)
            assert time.monotonic() - began < 30
            asked = time.monotonic()
            exporter.stop(seconds=10)

    assert time.monotonic() - asked < 8


@pytest.mark.parametrize("spoil", ["not a regular file", "Is a directory"])
def test_a_token_file_that_becomes_something_else_is_a_clear_failure_and_holds_nobody_up(spoil, tmp_path):
    token = tmp_path / "token"
    token.write_text(CANARY_TOKEN)
    with (
        Gateway(keys=wire_keys(3)) as gateway,
        Exporter(
            "--collect.interval=300ms", f"--cometapi.access-token-file={token}", COMETAPI_BASE_URL=gateway.url
        ) as exporter,
    ):
        exporter.wait_ready()
        token.unlink()
        os.mkfifo(token) if spoil == "not a regular file" else token.mkdir()
        wait_until(lambda: exporter.samples()['cometapi_up{account="default"}'] == 0)
        (line,) = [entry for entry in exporter.log() if entry["msg"] == "refresh failed"]

        assert spoil in line["detail"]
        assert exporter.stop() == 0


def test_a_fifo_as_token_file_is_refused_at_the_start(tmp_path):
    token = tmp_path / "token"
    os.mkfifo(token)
    done = subprocess.run(
        [EXPORTER, f"--cometapi.access-token-file={token}"], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 2
    assert "not a regular file" in done.stderr

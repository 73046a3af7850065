"""Every command of the README is run, or named here with the reason why it cannot be."""

import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest
from binaries import require
from books import HOUR, Books
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, Process, clean_environment, free_port, output_of, wait_until

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOKEN = "/etc/cometapi-exporter/token"
BIN = Path(sys.executable).parent

NOT_RUN = {
    "make test": "this is what runs now",
    "docker build": "no container engine: tests/manifests replays the image's steps",
    "docker run": "no container engine: tests/manifests replays the image's steps",
    "kubectl create": "no cluster: tests/manifests checks the manifests against Kubernetes' own schemas",
    "kubectl -n": "no cluster: tests/manifests checks the manifests against Kubernetes' own schemas",
    "(cd deploy/kubernetes": "it writes into the tree: tests/manifests runs it on a copy",
    "kubectl apply": "no cluster: tests/manifests checks the manifests against Kubernetes' own schemas",
}
RUN = {
    "make demo",
    "make stack",  # tests/e2e/test_stack.py runs what it calls
    "uv tool install .",
    "sudo install -D -m 0600 /dev/stdin /etc/cometapi-exporter/token",
    "sudo python3 -m venv /opt/cometapi-exporter",
    "sudo /opt/cometapi-exporter/bin/pip install --require-hashes -r requirements.lock",
    "sudo /opt/cometapi-exporter/bin/pip install --no-deps .",
    f"cometapi-exporter --check --cometapi.access-token-file={TOKEN}",
    f"cometapi-exporter --cometapi.access-token-file={TOKEN}",
    f"cometapi-exporter --backfill --cometapi.access-token-file={TOKEN} > history.om",
    "promtool tsdb create-blocks-from openmetrics --max-block-duration=24h history.om data",
    f"cometapi-exporter --once --cometapi.access-token-file={TOKEN} > c.new && mv c.new cometapi.prom",
}


COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if line
]


def starting_with(start: str) -> str:
    """Return the only command that begins so."""
    (command,) = (line for line in COMMANDS if line.startswith(start))
    return command


@pytest.fixture
def gateway():
    with Gateway(keys=wire_keys(3)) as running:
        yield running


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text(CANARY_TOKEN)
    return str(path)


def shell(command: str, folder: Path, **variables: str) -> str:
    """Run *command* in *folder* with this environment's programs, and return what it prints."""
    environment = clean_environment(**variables)
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    return output_of("bash", "-c", command, cwd=folder, env=environment, seconds=110)


def test_every_command_is_run_or_says_why_not():
    unknown = [
        line
        for line in COMMANDS
        if line not in RUN and not any(line.startswith(start) for start in NOT_RUN)
    ]

    assert unknown == []
    assert set(COMMANDS) >= RUN


def test_make_demo_shows_data():
    address = f"127.0.0.1:{free_port()}"
    # The environment that this test runs in is not built again under its feet.
    with Process(
        ["make", "--assume-old=.venv/.installed", "-C", ROOT, "demo", f"ADDRESS={address}"]
    ) as demo:
        wait_until(
            lambda: (
                "cometapi_key_status{"
                in httpx.get(f"http://{address}/metrics", trust_env=False).text
            )
        )
        child = (
            Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children")
            .read_text(encoding="ascii")
            .split()
        )
        os.kill(int(child[0]), signal.SIGINT)
        demo.process.wait(10)


def test_make_stack_calls_what_its_test_runs():
    assert "bin/python scripts/stack.py" in output_of("make", "-n", "-C", ROOT, "stack")


def test_check_finds_the_keys(gateway, token, tmp_path):
    command = starting_with("cometapi-exporter --check").replace(TOKEN, token)

    assert f"default  {gateway.url}  3 " in shell(command, tmp_path, COMETAPI_BASE_URL=gateway.url)


def test_serving_serves(gateway, token):
    _, *arguments = shlex.split(starting_with("cometapi-exporter --cometapi").replace(TOKEN, token))
    with Exporter(*arguments, COMETAPI_BASE_URL=gateway.url) as exporter:
        exporter.wait_ready()


def test_once_writes_a_file_for_the_textfile_collector(gateway, token, tmp_path):
    shell(
        starting_with("cometapi-exporter --once").replace(TOKEN, token),
        tmp_path,
        COMETAPI_BASE_URL=gateway.url,
    )

    written = (tmp_path / "cometapi.prom").read_text(encoding="utf-8")
    assert written.count("\ncometapi_key_status{") == 3
    assert "process_" not in written


def test_the_last_days_are_brought_along(token, tmp_path):
    require("promtool")
    books = Books()
    for hours in range(4, 700, 5):
        books.book(time.time() - hours * HOUR, "m", 1_000)
    books.flush()
    with Gateway(offers=books.offers()) as gateway:
        read = starting_with("cometapi-exporter --backfill").replace(TOKEN, token)
        shell(read, tmp_path, COMETAPI_BASE_URL=gateway.url)
    shell(starting_with("promtool"), tmp_path)

    assert len(list((tmp_path / "data").iterdir())) > 20


def test_the_token_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "etc" / "token"
    output_of(
        *shlex.split(starting_with("sudo install").removeprefix("sudo ").replace(TOKEN, str(path))),
        input="a-token\n",
    )

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("a-token\n", 0o600)


def test_pip_installs_it_pinned_by_hashes(tmp_path):
    for line in [line for line in COMMANDS if "/opt/cometapi-exporter" in line]:
        shell(line.removeprefix("sudo ").replace("/opt", str(tmp_path)), ROOT)

    assert output_of(tmp_path / "cometapi-exporter/bin/cometapi-exporter", "--version").startswith(
        "cometapi-exporter "
    )


def test_uv_installs_it(tmp_path):
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    shell("uv tool install .", ROOT, **folders, UV_PYTHON=sys.executable, UV_NO_PROGRESS="1")

    assert (tmp_path / "bin" / "cometapi-exporter").exists()

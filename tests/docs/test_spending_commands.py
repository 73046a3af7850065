"""Every command of docs/spending.md is run, or named here with the reason why not."""

import re
import shlex
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from binaries import require
from books import HOUR, Books
from builders import wire_keys
from gateway import Gateway
from processes import EXPORTER, clean_environment, run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/spending.md").read_text(encoding="utf-8")
COMPOSE = ROOT / "deploy/compose"
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]
NO_ENGINE = "no container engine: tests/manifests/test_compose.py holds the services"
NOT_RUN = {
    "cd deploy/compose && cp .env.example .env": "it writes into the tree",
    "docker compose up --detach --build --wait": NO_ENGINE,
    "docker compose run --rm backfill": f"{NO_ENGINE}, and what it runs is run here",
    "open http://127.0.0.1:3000": "it opens a browser",
}
DEMO = "docker compose run --rm --no-TTY exporter "
PARTS = 30
"""Blocks of a day each, at least so many of 30 days."""


def the_only(start: str) -> str:
    (command,) = (line for line in COMMANDS if line.startswith(start))
    return command


def in_shell(command: str, folder: Path, **environment: str) -> None:
    """Run *command* in *folder* with the exporter of these tests on the path."""
    path = f"{Path(EXPORTER).parent}:{environment.pop('PATH')}"
    done = run("sh", "-ec", command, cwd=folder, env={**environment, "PATH": path}, seconds=120)
    assert done.returncode == 0, done.stderr


def blocks(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Write history.om by the documented command, for a gateway with 30 days of records."""
    books = Books()
    with Gateway(keys=wire_keys(1), offers=books.offers()) as gateway:
        for hours in range(4, 720, 5):
            books.book(time.time() - hours * HOUR, "m", 1_000)
        books.flush()
        command = the_only("cometapi-exporter --backfill")
        in_shell(command, tmp_path, **clean_environment(gateway=gateway))
    return tmp_path / "history.om"


def test_every_command_is_run_or_named_with_the_reason_why_not() -> None:
    run_here = (DEMO, "cometapi-exporter --backfill", "promtool", "kubectl", "curl")
    unknown = [line for line in COMMANDS if line not in NOT_RUN and not line.startswith(run_here)]

    assert unknown == []
    assert set(NOT_RUN) <= set(COMMANDS)


def test_the_demo_fills_the_prometheus_of_compose(tmp_path: Path) -> None:
    """What the image and the service `backfill` run, on this machine's folders."""
    require("promtool")
    flags = the_only(DEMO).removeprefix(DEMO)
    in_shell(f"cometapi-exporter {flags}", tmp_path, **clean_environment())
    service = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["backfill"]
    words = [*map(Path, service["entrypoint"]), *service["command"]]
    program = f"{words[0].name} {shlex.join(words[1:])}"
    in_shell(_here(program), tmp_path, **clean_environment())

    assert (COMPOSE / ".env.example").exists()
    assert blocks(tmp_path / "data") >= PARTS


@pytest.mark.parametrize(
    "start", ["promtool", "kubectl -n monitoring exec prometheus-0 -- promtool"]
)
def test_promtool_takes_the_history_as_documented(history: Path, start: str) -> None:
    require("promtool")
    command = the_only(start).rpartition(" -- ")[2]
    in_shell(_here(command), history.parent, **clean_environment())

    assert blocks(history.parent / "data") >= PARTS


def test_victoriametrics_is_sent_the_whole_file(history: Path) -> None:
    require("curl")
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            received.append((self.path, self.rfile.read(size)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        command = the_only("curl").replace("http://victoria-metrics:8428", address)
        in_shell(command, history.parent, **clean_environment())
        thread.join(10)

    assert received == [("/api/v1/import/prometheus", history.read_bytes())]


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("kubectl")])
def test_kubectl_takes_the_command_up_to_the_cluster(tmp_path: Path, command: str) -> None:
    """There is no cluster; kubectl reads all flags before it looks for one."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the commands for Kubernetes are NOT tested here")
    nowhere = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "users": [{"name": "none", "user": {}}],
        "current-context": "none",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(nowhere))
    (tmp_path / "history.om").write_text("# EOF\n")
    environment = clean_environment(KUBECONFIG=str(tmp_path / "config"))
    done = run("sh", "-c", command, cwd=tmp_path, env=environment)

    assert "127.0.0.1:9 was refused" in done.stderr


def test_the_exporter_in_the_cluster_has_the_documented_name() -> None:
    _, _, namespace, _, target, *_ = shlex.split(the_only("kubectl -n cometapi-exporter"))
    folder = ROOT / "deploy/kubernetes"
    deployment = yaml.safe_load((folder / "exporter/deployment.yaml").read_text())
    overlay = yaml.safe_load((folder / "kustomization.yaml").read_text())

    assert target == f"deploy/{deployment['metadata']['name']}"
    assert namespace == overlay["namespace"]


def _here(command: str) -> str:
    """Put folders below the present one in the place of those of a machine, a pod and the image."""
    command = command.replace("/prometheus/history.om", "history.om")
    command = command.replace(" /history.om", " history.om")
    return command.replace("/var/lib/prometheus", "data").replace(" /prometheus", " data")

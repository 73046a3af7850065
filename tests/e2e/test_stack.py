"""`scripts/stack.py` starts the three programs for real, and docs/alerting.md is followed command by command."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from alerting import Inbox, shipped
from binaries import require
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Process, clean_environment, free_port, output_of, run, wait_until

ROOT = Path(__file__).parents[2]
STACK = ROOT / "scripts/stack.py"
GUIDE = ROOT / "docs/alerting.md"
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/rules"


class Stack(Process):
    """The script under way, on free ports, with *deploy* as its files and its data in *folder*."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        deploy: Path = ROOT / "deploy",
        gateway: Gateway | None = None,
    ) -> None:
        for program in ("prometheus", "alertmanager"):
            require(program)
        names = ("exporter", "prometheus", "alertmanager")
        self.ports = {name: free_port() for name in names}
        self.exporter, self.prometheus, self.alertmanager = (
            f"http://127.0.0.1:{self.ports[name]}" for name in names
        )
        ports = [f"--{name}-port={port}" for name, port in self.ports.items()]
        if not any(flag.startswith("--webhook-port") for flag in flags):
            ports.append("--webhook-port=0")
        options = [f"--deploy={deploy}", f"--data={folder / '.stack'}", "--interval=1s"]
        super().__init__(
            [sys.executable, STACK, *ports, *options, *flags], clean_environment(gateway)
        )

    def wait_introduced(self) -> "Stack":
        """Wait until it says that everything runs."""
        wait_until(self._is_introduced, seconds=60)
        return self

    def _is_introduced(self) -> bool:
        assert self.process.poll() is None, self.lines
        return any("Press Ctrl-C to stop everything" in line for line in self.output)

    def children(self) -> list[int]:
        """Return the ids of the programs that it has started."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(
            encoding="ascii"
        )
        return [int(pid) for pid in text.split()]


def ask(url: str) -> dict:
    """GET JSON."""
    return httpx.get(url, trust_env=False, timeout=10).raise_for_status().json()


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def assert_nothing_is_left(stack: Stack, children: list[int]) -> None:
    assert not [pid for pid in children if is_running(pid)]
    for port in stack.ports.values():
        socket.create_server(("127.0.0.1", port)).close()


def test_everything_runs_and_knows_each_other_until_a_signal_ends_it_all(tmp_path):
    port = free_port()
    with Stack(tmp_path, f"--webhook-port={port}") as stack:
        stack.wait_introduced()
        wait_until(lambda: [target["health"] for target in targets(stack)] == ["up"])
        wait_until(lambda: alertmanagers(stack))

        assert [target["scrapeUrl"] for target in targets(stack)] == [f"{stack.exporter}/metrics"]
        assert alertmanagers(stack) == [{"url": f"{stack.alertmanager}/api/v2/alerts"}]
        assert loaded_rules(stack) == shipped_rules()
        config = ask(f"{stack.alertmanager}/api/v2/status")["config"]["original"]
        assert inhibitions(yaml.safe_load(config)) == inhibitions(
            shipped("alertmanager/alertmanager.yml")
        )
        listening, children = listening_addresses(stack), stack.children()
        assert {f"0100007F:{port:04X}" for port in stack.ports.values()} <= listening
        assert [address for address in listening if not address.startswith("0100007F:")] == []

        alert = {"status": "firing", "annotations": {"summary": "Key 7 is\x1b empty."}}
        answer = httpx.post(
            f"http://127.0.0.1:{port}/alerts", json={"alerts": [alert]}, trust_env=False
        )
        refused = httpx.post(f"http://127.0.0.1:{port}/alerts", content=b"[]", trust_env=False)
        wait_until(
            lambda: any("notified, firing: Key 7 is empty." in line for line in stack.output)
        )
        assert (answer.status_code, refused.status_code) == (204, 400)

        assert (stack.stop(signal.SIGINT), len(children)) == (0, 3)
        assert_nothing_is_left(stack, children)


def test_the_demo_begins_with_thirty_days_of_what_models_cost(tmp_path):
    with Stack(tmp_path) as stack:
        stack.wait_introduced()
        query = (
            f"{stack.prometheus}/api/v1/query?query=sum(increase(cometapi_usage_quota_total[29d]))"
        )
        found = wait_until(lambda: ask(query)["data"]["result"])
        flags = ask(f"{stack.prometheus}/api/v1/status/flags")["data"]

    # A twentieth of about 1,800 units a second.
    assert 150_000_000 < float(found[0]["value"][1]) < 350_000_000
    assert flags["storage.tsdb.retention.time"] == "10w"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_starts_leaves_nothing_behind(tmp_path, number):
    with Stack(tmp_path) as stack:
        children = wait_until(stack.children)

        assert stack.stop(number) == 0
        assert_nothing_is_left(stack, children)


def listening_addresses(stack: Stack) -> set[str]:
    """Return where the script and its programs listen, as the kernel writes it; the demo's gateway is among them."""
    folders = [Path(f"/proc/{pid}/fd") for pid in (stack.process.pid, *stack.children())]
    own = set()
    for descriptor in (descriptor for folder in folders for descriptor in folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            own.add(str(descriptor.readlink()))
    sockets = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()
    ]
    return {fields[1] for fields in sockets if fields[3] == "0A" and f"socket:[{fields[9]}]" in own}


def alertmanagers(stack: Stack) -> list[dict]:
    return ask(f"{stack.prometheus}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]


def inhibitions(config: dict) -> list[tuple[str, ...]]:
    """Return what each inhibition rule compares."""
    return [tuple(rule["equal"]) for rule in config["inhibit_rules"]]


def targets(stack: Stack) -> list[dict]:
    return ask(f"{stack.prometheus}/api/v1/targets")["data"]["activeTargets"]


def loaded_rules(stack: Stack) -> list[str]:
    groups = ask(f"{stack.prometheus}/api/v1/rules")["data"]["groups"]
    return sorted(rule["name"] for group in groups for rule in group["rules"])


def shipped_rules() -> list[str]:
    groups = [
        group
        for path in RULES.glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    return sorted(
        rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]
    )


def test_a_real_account_is_watched_until_a_program_ends_and_takes_the_others_along(tmp_path):
    with Gateway(keys=wire_keys(7)) as gateway, Stack(tmp_path, "--real", gateway=gateway) as stack:
        stack.wait_introduced()
        metrics = httpx.get(f"{stack.exporter}/metrics", trust_env=False).text
        children = stack.children()
        os.kill(children[-1], signal.SIGKILL)

        code = stack.process.wait(30)
        wait_until(lambda: not [pid for pid in children if is_running(pid)])

    assert metrics.count("\ncometapi_key_status{") == 7
    assert CANARY_TOKEN not in "".join(
        path.read_text() for path in (tmp_path / ".stack/real").glob("*.*")
    )
    assert code == 1
    assert any("prometheus ended with code -9" in line for line in stack.lines)


def run_to_its_end(*flags: str, **variables: str) -> tuple[int, str, str]:
    """Run the script where it cannot start anything; return its exit code and what it prints."""
    done = run(sys.executable, STACK, *flags, env=clean_environment(**variables))
    return done.returncode, done.stdout, done.stderr


def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path):
    for program in ("prometheus", "alertmanager"):
        require(program)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        others = [
            f"--{name}-port={free_port()}" for name in ("exporter", "alertmanager", "webhook")
        ]
        done = run_to_its_end(f"--prometheus-port={port}", *others, f"--data={tmp_path}")

    said = (
        f"stack: 127.0.0.1:{port} cannot be used: Address already in use; "
        "choose another with --prometheus-port: make stack ARGS=--prometheus-port=PORT\n"
    )
    assert done == (1, "", said)
    assert list(tmp_path.iterdir()) == []


def test_missing_programs_are_named_together_with_what_installs_them(tmp_path):
    code, output, said = run_to_its_end(f"--data={tmp_path}", PATH=str(tmp_path))

    assert (code, output) == (1, "")
    assert said.startswith("stack: not installed: prometheus, promtool, alertmanager (")
    assert "scripts/install-test-tools" in said


def test_a_real_account_without_a_token_is_no_silent_demo(tmp_path):
    for program in ("prometheus", "alertmanager"):
        require(program)
    code, output, said = run_to_its_end("--real", f"--data={tmp_path}")

    assert (code, output) == (1, "")
    assert said.startswith(
        "stack: --real needs one of COMETAPI_ACCESS_TOKEN, COMETAPI_ACCESS_TOKEN_FILE"
    )


def test_the_guide_leads_to_an_alert_in_the_inbox(tmp_path):
    """Every command of docs/alerting.md is run as it stands there; only ports, the mail server and /etc are others."""
    for program in ("amtool", "promtool", "curl"):
        require(program)
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    deploy = tmp_path / "cometapi-deploy"  # as the first command has it
    for part in ("prometheus", "alertmanager"):
        shutil.copytree(DEPLOY / part, tmp_path / "deploy" / part)
        shutil.copytree(DEPLOY / part, deploy / part)
    with Inbox() as inbox, Stack(tmp_path, deploy=deploy) as stack:
        stack.wait_introduced()
        expect_mail_without_password(deploy / "alertmanager/alertmanager.yml")

        printed = [follow(block, tmp_path, stack, inbox) for block in blocks]
        mail = inbox.wait_for("mail", lambda message: message["Subject"] == "Rehearsal demo")
        wait_until(lambda: '"1209600"' in follow(blocks[9], tmp_path, stack, inbox))

    assert len(blocks) == 13
    assert mail["To"] == "you@example.org"
    assert mail["From"] == "alerts@example.org"
    assert "This is a rehearsal." in mail.get_body(("html",)).get_content()
    assert "ends with the campaign" in printed[6]
    assert "SUCCESS" in printed[8]


def expect_mail_without_password(path: Path) -> None:
    """Do what the guide says of a mail server on the same machine, and do not wait half a minute."""
    text = re.sub(r"\n  smtp_auth_\w+: .*", "", path.read_text(encoding="utf-8"))
    text = text.replace("smtp_require_tls: true", "smtp_require_tls: false").replace(
        "group_wait: 30s", "group_wait: 1s"
    )
    path.write_text(text, encoding="utf-8")


def follow(block: str, folder: Path, stack: Stack, inbox: Inbox) -> str:
    """Run one block of the guide in *folder*, and return what it printed."""
    others = {
        "127.0.0.1:9093": stack.alertmanager.removeprefix("http://"),
        "127.0.0.1:9090": stack.prometheus.removeprefix("http://"),
        "smtp.example.org:587": inbox.mail,
        "sudo ": "",
        "/etc/prometheus/cometapi": str(folder / "cometapi-deploy/prometheus/rules"),
    }
    for shown, real in others.items():
        block = block.replace(shown, real)
    environment = clean_environment(HOME=str(folder))
    return output_of(require("bash"), "-eu", "-c", block, cwd=folder, env=environment)

"""Every command of README.md and docs/operating.md is run as the user it is for.

Commands that are not run are named here, with the reason why not.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Process, clean_environment, free_port, output_of, run, wait_until
from users import (
    CONTAINER,
    PERSON,
    folder_of,
    require_root,
    require_system_python,
    shell_as,
)

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.timeout(300)  # three installations, as users make them
TEXTFILES = "/var/lib/prometheus/node-exporter"
TYPED = f"{CANARY_TOKEN}\n"

NO_ENGINE = "no container engine: tests/manifests replays the image's steps"
NO_CLUSTER = "no cluster: tests/manifests checks the manifests against Kubernetes' own schemas"
NOT_RUN = {
    "git clone": "it is not published yet: the tests copy the tree instead",
    "cd cometapi-exporter": "it is not published yet: the tests copy the tree instead",
    "docker": NO_ENGINE,
    "kubectl": NO_CLUSTER,
    "(cd deploy/kubernetes": "it writes into the tree: tests/manifests runs it on a copy",
    "sudo install -m 0644 deploy/systemd": "no systemd: tests/manifests verifies the unit",
    "sudo systemctl": "no systemd: tests/manifests verifies the unit",
}


def commands_of(text: str) -> list[str]:
    """Return each line of the blocks of commands."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for line in "".join(blocks).splitlines() if line]


COMMANDS = [*commands_of(README), *commands_of(OPERATING)]
CHECK_AS_ROOT = (
    "sudo /opt/cometapi-exporter/bin/cometapi-exporter --check"
    " --cometapi.access-token-file=/etc/cometapi-exporter/token"
)
ONCE = (
    f"cd {TEXTFILES} && $HOME/.local/bin/cometapi-exporter --once --collect.usage=off"
    " --cometapi.access-token-file=$HOME/.config/cometapi-token"
    " > cometapi.new && mv cometapi.new cometapi.prom || rm -f cometapi.new"
)
RUN = {
    "make demo",
    "make stack",  # tests/e2e/test_stack.py runs what it calls
    "uv tool install .    # or: pipx install .",
    "install -D -m 0600 /dev/stdin ~/.config/cometapi-token",
    "cometapi-exporter --check --cometapi.access-token-file=$HOME/.config/cometapi-token",
    "cometapi-exporter --cometapi.access-token-file=$HOME/.config/cometapi-token",
    'eval "$(_COMETAPI_EXPORTER_COMPLETE=bash_source cometapi-exporter)"',
    "sudo python3 -m venv /opt/cometapi-exporter",
    "sudo /opt/cometapi-exporter/bin/pip install --require-hashes -r requirements.lock",
    "sudo /opt/cometapi-exporter/bin/pip install --no-deps .",
    "sudo install -D -m 0600 /dev/stdin /etc/cometapi-exporter/token",
    "sudo install -m 0600 deploy/systemd/environment.example /etc/cometapi-exporter/environment",
    CHECK_AS_ROOT,
    "sudo install -D -o 65532 -m 0400 /dev/stdin /etc/cometapi-exporter/container-token",
    "curl -s 'http://127.0.0.1:10144/api/v1/keys?health=critical'",
    ONCE,
}


def starting_with(start: str) -> str:
    """Return the only command that begins so."""
    (command,) = (line for line in COMMANDS if line.startswith(start))
    return command


@pytest.fixture
def gateway():
    with Gateway(keys=wire_keys(3)) as running:
        yield running


class Person:
    """Somebody with a clone, who follows the section "As yourself" of the README."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clone = home / "cometapi-exporter"
        names = output_of("git", "-C", ROOT, "ls-files", "-z", "exporter", "man", "*.toml", "*.md")
        for name in [*names.split("\0"), "LICENSE", "requirements.lock"]:
            source = ROOT / name
            if source.is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, self.clone / name)
        programs = home / ".local/bin"
        programs.mkdir(parents=True)
        shutil.copy((BIN / "uv").resolve(), programs / "uv")
        output_of("chown", "-R", f"{PERSON}:{PERSON}", home)

    def run(self, command: str, text: str | None = None, **variables: str) -> str:
        """Run *command* in the clone."""
        return shell_as(PERSON, command, home=self.home, folder=self.clone, text=text, **variables)


@pytest.fixture(scope="module")
def person():
    require_root()
    python = require_system_python()
    with folder_of(PERSON) as home:
        somebody = Person(home)
        somebody.run(starting_with("uv tool install"), UV_PYTHON=python, UV_NO_PROGRESS="1")
        somebody.run(starting_with("install -D"), text=TYPED)
        yield somebody


class Machine:
    """A machine whose root follows the sections on systemd and Docker, with other paths for /opt and /etc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, command: str, text: str | None = None, **variables: str) -> str:
        """Run *command* in the repository as root."""
        command = self.path(command.removeprefix("sudo "))
        return shell_as(0, command, home=self.folder, folder=ROOT, text=text, **variables)

    def path(self, text: str) -> str:
        """Return *text* with this machine's paths."""
        return text.replace("/opt/", f"{self.folder}/opt/").replace("/etc/", f"{self.folder}/etc/")


@pytest.fixture(scope="module")
def machine():
    require_root()
    require_system_python()
    with folder_of(0) as folder:
        server = Machine(folder)
        server.run(starting_with("sudo python3 -m venv"))
        server.run(starting_with("sudo /opt/cometapi-exporter/bin/pip install --require-hashes"))
        server.run(starting_with("sudo /opt/cometapi-exporter/bin/pip install --no-deps"))
        yield server


def test_every_command_is_run_or_says_why_not():
    unknown = [
        line
        for line in COMMANDS
        if line not in RUN and not any(line.startswith(start) for start in NOT_RUN)
    ]

    assert unknown == []
    assert set(COMMANDS) >= RUN


def test_check_finds_the_keys_for_the_person_who_wrote_the_token(person, gateway):
    told = person.run(starting_with("cometapi-exporter --check"), COMETAPI_BASE_URL=gateway.url)

    assert f"default  {gateway.url}  3 " in told


def test_the_token_file_of_a_person_is_for_them_alone(person):
    status = (person.home / ".config/cometapi-token").stat()

    assert (status.st_uid, status.st_mode & 0o777) == (PERSON, 0o600)


def test_the_line_for_completion_completes_flags(person):
    command = starting_with("eval ")
    completed = person.run(
        f"{command}\nCOMP_WORDS=(cometapi-exporter --collect.i); COMP_CWORD=1;"
        "_cometapi_exporter_completion cometapi-exporter; echo ${COMPREPLY[@]}"
    )

    assert completed == "--collect.interval\n"


def test_a_manual_page_is_installed(person):
    pages = list(person.home.glob(".local/share/uv/tools/*/share/man/man1/cometapi-exporter.1"))

    assert len(pages) == 1


def test_once_writes_a_file_for_the_textfile_collector(person, gateway):
    command = ONCE.replace(TEXTFILES, str(person.home))
    person.run(command, COMETAPI_BASE_URL=gateway.url)

    written = (person.home / "cometapi.prom").read_text(encoding="utf-8")
    assert written.count("\ncometapi_key_status{") == 3
    assert "process_" not in written
    assert "cometapi_usage_quota_total{" not in written


def test_once_that_fails_leaves_the_old_file_and_nothing_else(person):
    (person.home / "cometapi.prom").write_text("old")
    command = ONCE.replace(TEXTFILES, str(person.home))
    person.run(command, COMETAPI_BASE_URL=f"http://127.0.0.1:{free_port()}")

    assert (person.home / "cometapi.prom").read_text() == "old"
    assert not (person.home / "cometapi.new").exists()


def test_root_checks_the_setup_that_systemd_runs(machine, gateway):
    machine.run(starting_with("sudo install -D -m 0600"), text=TYPED)
    told = machine.run(CHECK_AS_ROOT, COMETAPI_BASE_URL=gateway.url)
    machine.run(starting_with("sudo install -m 0600 deploy/systemd"))

    settings = Path(machine.path("/etc/cometapi-exporter/environment")).read_text(encoding="utf-8")
    assert "\nCOMETAPI_EXPORTER_LISTEN_ADDRESS=127.0.0.1:10144\n" in settings
    assert f"default  {gateway.url}  3 " in told


def test_the_user_of_the_container_reads_its_token_and_nobody_else_does(machine, gateway):
    machine.run(starting_with("sudo install -D -o 65532"), text=TYPED)
    token = machine.path("/etc/cometapi-exporter/container-token")
    program = machine.path("/opt/cometapi-exporter/bin/cometapi-exporter --check")
    variables = {"COMETAPI_ACCESS_TOKEN_FILE": token, "COMETAPI_BASE_URL": gateway.url}
    folder = machine.folder
    assert f"-v {token}:".replace(str(folder), "") in starting_with("docker run")

    told = shell_as(CONTAINER, program, home=folder, folder=folder, **variables)
    denied = shell_as(PERSON, f"{program} 2>&1 || true", home=folder, folder=folder, **variables)

    assert f"default  {gateway.url}  3 " in told
    assert "Permission denied (user 1000)" in denied


def test_make_demo_shows_data():
    address = f"127.0.0.1:{free_port()}"
    # The environment that this test runs in is not built again under its feet.
    with Process(["make", "-C", ROOT, "demo", f"ADDRESS={address}", f"DEMO_BIN={BIN}"]) as demo:
        wait_until(
            lambda: (
                "cometapi_key_status{"
                in httpx.get(f"http://{address}/metrics", trust_env=False).text
            )
        )
        os.kill(youngest(demo.process.pid), signal.SIGINT)
        demo.process.wait(10)


def test_make_demo_says_how_to_choose_another_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run("make", "-C", ROOT, "demo", f"ADDRESS={address}", f"DEMO_BIN={BIN}")

    assert "the port is in use" in done.stderr
    assert "Another port: make demo ADDRESS=127.0.0.1:10145" in done.stdout


def youngest(process: int) -> int:
    """Return the last of *process*, its child, the child of that and so on."""
    while True:
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
        if not children:
            return process
        process = int(children.split()[0])


def test_the_demo_installs_itself_without_the_tools_of_development(tmp_path):
    require_system_python()
    folder = tmp_path / "environment"
    said = output_of(
        ROOT / "scripts/demo-environment", sys.executable, folder, cwd=ROOT, seconds=110
    )

    assert "once, about half a minute" in said
    assert "cometapi-exporter " in output_of(folder / "bin/cometapi-exporter", "--version")
    assert not (folder / "bin/pytest").exists()


def test_the_demo_says_in_a_sentence_that_it_needs_the_package_index(tmp_path):
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_CACHE_DIR": "1"}
    done = run(
        ROOT / "scripts/demo-environment",
        sys.executable,
        tmp_path / "environment",
        cwd=ROOT,
        env=clean_environment(PIP_CONFIG_FILE=os.devnull, **nowhere) | {"PIP_FIND_LINKS": ""},
        seconds=110,
    )

    assert done.returncode == 1
    assert "The first start needs access to the package index (PyPI)" in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert not (tmp_path / "environment").exists()


def test_make_stack_calls_what_its_test_runs():
    assert "bin/python scripts/stack.py" in output_of("make", "-n", "-C", ROOT, "stack")


def test_serving_serves_the_keys_as_json(person, gateway):
    address = f"127.0.0.1:{free_port()}"
    command = starting_with("cometapi-exporter --cometapi")
    words = shlex.split(command.replace("$HOME", str(person.home)))
    become = ["setpriv", f"--reuid={PERSON}", f"--regid={PERSON}", "--clear-groups"]
    program = person.home / ".local/bin" / words[0]
    serving = [*become, program, *words[1:], f"--web.listen-address={address}"]
    with Process(serving, clean_environment(COMETAPI_BASE_URL=gateway.url)):
        wait_until(
            lambda: httpx.get(f"http://{address}/-/ready", trust_env=False).status_code == 200
        )
        question = starting_with("curl").replace("127.0.0.1:10144", address)
        answer = person.run(question)

    assert '"keys":' in answer

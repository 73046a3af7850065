"""Every command of the README is run, or named here with the reason why it cannot be."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import EXPORTER, Process, clean_environment, free_port, wait_until

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
    f"cometapi-exporter --once --cometapi.access-token-file={TOKEN} > c.new && mv c.new cometapi.prom",
}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture
def gateway():
    with Gateway(keys=wire_keys(3)) as running:
        yield running


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text(CANARY_TOKEN)
    return path


def shell(
    command: str, folder: Path, *, token: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run *command* as written, but for the path of the token, in *folder*."""
    environment = clean_environment(**variables)
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    return subprocess.run(  # noqa: S602 - the README's readers have a shell too
        command.replace(TOKEN, str(token)),
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_every_command_is_run_or_says_why_not():
    unknown = [line for line in commands() if line not in RUN and not any(line.startswith(start) for start in NOT_RUN)]

    assert unknown == []
    assert set(commands()) >= RUN


def test_make_demo_shows_data():
    address = f"127.0.0.1:{free_port()}"
    # The environment that this test runs in is not built again under its feet.
    with Process(["make", "--assume-old=.venv/.installed", "-C", ROOT, "demo", f"ADDRESS={address}"]) as demo:
        page = wait_until(lambda: httpx.get(f"http://{address}/metrics", trust_env=False).text)
        wait_until(lambda: "cometapi_key_status{" in httpx.get(f"http://{address}/metrics", trust_env=False).text)
        child = Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children").read_text(encoding="ascii").split()
        subprocess.run(["kill", "-INT", *child], check=True)
        demo.process.wait(10)

    assert "# HELP cometapi_key_remaining_quota" in page


def test_make_stack_calls_what_its_test_runs():
    done = subprocess.run(["make", "-n", "-C", ROOT, "stack"], capture_output=True, text=True, check=True, timeout=30)

    assert done.stdout.splitlines()[-1].strip() != ""
    assert "scripts/stack.py" in done.stdout


def test_check_finds_the_keys(gateway, token, tmp_path):
    (command,) = [line for line in commands() if line.startswith("cometapi-exporter --check")]

    done = shell(command, tmp_path, token=token, COMETAPI_BASE_URL=gateway.url)

    assert done.returncode == 0
    assert f"default  {gateway.url}  3 " in done.stdout


def test_serving_serves(gateway, token):
    (command,) = [line for line in commands() if line.startswith("cometapi-exporter --cometapi")]
    arguments = shlex.split(command.replace(TOKEN, str(token)))[1:]
    address = f"127.0.0.1:{free_port()}"
    environment = clean_environment(COMETAPI_BASE_URL=gateway.url, COMETAPI_EXPORTER_LISTEN_ADDRESS=address)
    with Process([EXPORTER, *arguments], environment):
        wait_until(lambda: httpx.get(f"http://{address}/-/ready", trust_env=False).status_code == httpx.codes.OK)


def test_once_writes_a_file_for_the_textfile_collector(gateway, token, tmp_path):
    (command,) = [line for line in commands() if line.startswith("cometapi-exporter --once")]

    done = shell(command, tmp_path, token=token, COMETAPI_BASE_URL=gateway.url)

    assert done.returncode == 0
    written = (tmp_path / "cometapi.prom").read_text(encoding="utf-8")
    assert written.count("\ncometapi_key_status{") == 3
    assert "process_" not in written


def test_the_token_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "etc" / "token"
    (command,) = [line for line in commands() if line.startswith("sudo install")]
    arguments = shlex.split(command.removeprefix("sudo ").replace(TOKEN, str(path)))
    subprocess.run(arguments, input=b"a-token\n", check=True, timeout=30)

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("a-token\n", 0o600)


def test_pip_installs_it_pinned_by_hashes(tmp_path):
    home = tmp_path / "opt"
    for line in [line for line in commands() if "/opt/cometapi-exporter" in line]:
        done = shell(line.removeprefix("sudo ").replace("/opt/cometapi-exporter", str(home)), ROOT)
        assert done.returncode == 0, done.stderr

    version = subprocess.run(
        [home / "bin" / "cometapi-exporter", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert version.stdout.startswith("cometapi-exporter ")


def test_uv_installs_it(tmp_path):
    done = shell(
        "uv tool install .",
        ROOT,
        UV_TOOL_DIR=str(tmp_path / "tools"),
        UV_TOOL_BIN_DIR=str(tmp_path / "bin"),
        UV_PYTHON=sys.executable,
        UV_NO_PROGRESS="1",
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin" / "cometapi-exporter").exists()

"""The image, as far as it can be checked without a container engine: its build steps are replayed in bare folders."""

import json
import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
import yaml
from binaries import require
from processes import Exporter, free_port, output_of, run

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
OFFLINE = re.compile(
    r"Temporary failure in name resolution|Network is unreachable|Failed to establish a new connection"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: its base and its instructions, as (word, rest)."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """Return the rest of every instruction *word*."""
        return [rest for name, rest in self.steps if name == word]


def stages() -> list[Stage]:
    """Read the Dockerfile: comments dropped, continued lines joined."""
    lines = [
        line
        for line in DOCKERFILE.read_text(encoding="utf-8").split("\n")
        if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[Stage] = []
    for line in filter(None, joined.split("\n")):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append(Stage(base=rest))
        elif found:
            found[-1].steps.append((word, rest.strip()))
    return found


def environment_of(stage: Stage) -> dict[str, str]:
    """Return the variables that the stage sets."""
    pairs = [pair for rest in stage.all("ENV") for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def copied_from_the_tree() -> list[str]:
    """Return the names that the build stage takes from the tree."""
    return [name for rest in stages()[0].all("COPY") for name in rest.split()[:-1]]


def test_hadolint_finds_nothing():
    assert output_of(require("hadolint"), DOCKERFILE) == ""


def test_both_stages_use_one_python_that_is_pinned_by_digest():
    text = DOCKERFILE.read_text(encoding="utf-8")

    assert [stage.base for stage in stages()] == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.13\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}$", text, re.MULTILINE
    )


def test_the_builder_is_sent_what_is_copied_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied_from_the_tree())
    assert rules[-2:] == ["**/__pycache__", "**/*.pyc"]


def build_stage(place: Path) -> Path:
    """Replay every RUN of the build stage, with folders of *place* for /src, /venv, /dist; return the environment."""
    source, builder = place / "src", place / "builder"
    source.mkdir()
    output_of(sys.executable, "-m", "venv", builder)
    for name in copied_from_the_tree():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    for step in stages()[0].all("RUN"):
        _replay(re.sub(r"(?<![\w.])/(venv|dist)\b", rf"{place}/\1", step), source, builder)
    return place / "venv"


def _replay(command: str, folder: Path, builder: Path) -> None:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    environment = {
        **kept,
        "PATH": f"{builder / 'bin'}:{os.environ['PATH']}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    done = run("sh", "-ec", command, cwd=folder, env=environment, seconds=110)
    if OFFLINE.search(done.stderr) and os.environ.get("CI") != "true":
        pytest.skip("no network: the build of the image is NOT tested here")
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_build_ends_with_the_locked_packages_and_a_running_exporter_and_no_tool(tmp_path):
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    environment = build_stage(tmp_path)
    script = (
        "import importlib.metadata as m, re\n"
        "for d in m.distributions(): print(re.sub('[-_.]+', '-', d.name).lower() + '==' + d.version)\n"
    )
    installed = set(output_of(environment / "bin/python", "-c", script).split())

    assert installed - set(re.findall(r"^[a-z0-9-]+==[^ ]+", lock, re.MULTILINE)) == {
        "cometapi-exporter==0.1.0"
    }
    assert len(installed) > 15, "everything that is locked for this Python"
    assert output_of(environment / "bin/cometapi-exporter", "--version").startswith(
        "cometapi-exporter 0.1.0 "
    )
    assert 'cometapi_up{account="demo"} 1.0\n' in output_of(
        environment / "bin/cometapi-exporter", "--demo", "--once"
    )


def test_compose_repeats_the_health_check_for_engines_that_drop_the_images_own():
    (instruction,) = stages()[-1].all("HEALTHCHECK")
    options, _, command = instruction.partition(" CMD ")
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text(encoding="utf-8"))
    check = compose["services"]["exporter"]["healthcheck"]

    assert check.pop("test") == ["CMD", *json.loads(command)]
    assert check == {
        name.replace("-", "_"): int(value) if value.isdigit() else value
        for name, value in re.findall(r"--([a-z-]+)=(\w+)", options)
    }


def health_check(url: str) -> int:
    """Run the image's own health check as the engine does, where a proxy variable points at nothing."""
    (instruction,) = stages()[-1].all("HEALTHCHECK")
    command = json.loads(instruction.partition(" CMD ")[2])
    environment = {
        "HEALTHCHECK_URL": url,
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    return run(sys.executable, *command[1:], env=environment).returncode


def test_the_health_check_passes_at_a_live_exporter_over_tls_too_and_fails_where_nothing_listens(
    tmp_path,
):
    certificate = trustme.CA().issue_cert("exporter.example.org")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n", encoding="utf-8"
    )

    plain = f"http://127.0.0.1:{free_port()}"
    flags = (
        f"--web.config.file={tmp_path / 'web.yml'}",
        f"--probe.listen-address={plain.removeprefix('http://')}",
    )

    with Exporter("--demo", *flags) as exporter:
        port = exporter.url.rpartition(":")[2]
        healthy = [
            f"{plain}/-/healthy",
            f"https://127.0.0.1:{port}/-/healthy",
            f"{plain}/-/nonsense",
        ]
        assert [health_check(url) for url in healthy] == [0, 0, 1]
    assert health_check(f"{plain}/-/healthy") == 1


def test_the_image_begins_with_an_init_that_it_installs():
    *_, image = stages()
    (entrypoint,) = image.all("ENTRYPOINT")
    installed = [step for step in image.all("RUN") if "apt-get install" in step]

    assert json.loads(entrypoint) == ["tini", "--", "cometapi-exporter"]
    assert [step.count(" tini ") for step in installed] == [1]

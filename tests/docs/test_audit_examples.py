"""The examples of docs/audit.md: validated as their hosts read them, and run step by step."""

import json
import os
import re
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from binaries import require
from builders import CANARY_TOKEN, a_wire_key
from gateway import Gateway
from processes import clean_environment, free_port, output_of, run, run_exporter

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
NOW = int(time.time())
# Meets every policy of the page's first example.
GOOD = a_wire_key(1, name="web", accessed_time=NOW)
UNLIMITED = a_wire_key(2, name="open", accessed_time=NOW, unlimited_quota=True)


def block_after(heading: str) -> str:
    """Return the first block of code below *heading*."""
    found = re.search(rf"{re.escape(heading)}\n.*?```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found is not None
    return found[1]


WORKFLOW = block_after("## GitHub Actions")
PIPELINE = block_after("## GitLab CI")
(CRON_LINE,) = block_after("## Cron").splitlines()


class Runner:
    """A folder with the page's configuration file, and doubles of the programs that install and send mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "accounts.yml"
        self.file.write_text(block_after("# Policies and audit"), encoding="utf-8")
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.programs / "cometapi-exporter").symlink_to(BIN / "cometapi-exporter")
        for name in ("pip", "pipx", "mail"):
            double = self.programs / name
            double.write_text(f'#!/bin/sh\necho "$@" > {folder}/{name}.words\n{READ_MAIL[name]}\n')
            double.chmod(0o755)

    def run(self, shell: str, script: str, url: str):
        """Run *script* as the host does: an unsuccessful command ends it."""
        environment = clean_environment(
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=url,
            GITHUB_OUTPUT=str(self.folder / "outputs"),
            PATH=f"{self.programs}:{os.environ['PATH']}",
        )
        return run(require(shell), "-e", "-c", script, cwd=self.folder, env=environment)

    def words_of(self, name: str) -> str:
        return (self.folder / f"{name}.words").read_text(encoding="utf-8").strip()


READ_MAIL = {"pip": "", "pipx": "", "mail": "cat > mail.body"}


@pytest.fixture
def runner(tmp_path):
    return Runner(tmp_path)


def test_the_demo_prints_what_the_page_shows():
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    (command,) = re.findall("^cometapi-exporter (--demo .*)$", PAGE, flags=re.MULTILINE)
    done = run_exporter(*command.split())

    assert done.returncode == 1
    assert shown in done.stdout


# GitHub Actions


@pytest.mark.parametrize(
    "command", [["actionlint"], ["zizmor", "--offline", "--no-progress"]], ids=lambda c: c[0]
)
def test_the_linters_of_workflows_find_nothing(tmp_path, command):
    file = tmp_path / "audit.yml"
    file.write_text(WORKFLOW, encoding="utf-8")
    program, *options = command

    output_of(require(program), *options, file)


def test_the_actions_are_those_of_the_projects_own_workflows():
    own = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / ".github/workflows").glob("*.yml")
    )
    used = re.findall(r"uses: (.*)", WORKFLOW)

    assert len(used) == 2
    assert [action for action in used if action not in own] == []


@pytest.mark.parametrize(
    ("keys", "code"), [([GOOD], 0), ([GOOD, UNLIMITED], 3)], ids=["none breaks", "one breaks"]
)
def test_the_steps_of_the_workflow_write_a_report_and_fail_with_the_audit(runner, keys, code):
    _, install, audit, upload = yaml.safe_load(WORKFLOW)["jobs"]["audit"]["steps"]
    with Gateway(keys=keys) as gateway:
        runner.run("bash", install["run"], gateway.url)
        done = runner.run("bash", audit["run"], gateway.url)

    report = json.loads((runner.folder / upload["with"]["sarif_file"]).read_text(encoding="utf-8"))
    broken = [result["ruleId"] for result in report["runs"][0]["results"]]
    assert runner.words_of("pipx") == "install cometapi-exporter"
    assert done.returncode == code
    assert (runner.folder / "outputs").read_text() == f"code={code}\n"
    assert broken == ["limited_quota"] * (len(keys) - 1)
    assert f"outputs.code == '{code}'" in upload["if"]


def test_the_report_of_an_account_that_cannot_be_read_is_not_uploaded(runner):
    *_, audit, upload = yaml.safe_load(WORKFLOW)["jobs"]["audit"]["steps"]
    done = runner.run("bash", audit["run"], f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 1
    assert (runner.folder / "outputs").read_text() == "code=1\n"
    assert "code == '1'" not in upload["if"]


# GitLab CI. Source of what a job may have: https://docs.gitlab.com/ci/yaml/

LINES = {"type": "array", "items": {"type": "string"}, "minItems": 1}
JOB = {
    "type": "object",
    "properties": {
        "image": {"type": "string"},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"if": {"type": "string", "pattern": '^\\$[A-Z_]+ == "[a-z]+"$'}},
                "additionalProperties": False,
            },
        },
        "script": LINES,
        "artifacts": {
            "type": "object",
            "properties": {
                "when": {"enum": ["on_success", "on_failure", "always"]},
                "paths": LINES,
            },
            "required": ["paths"],
            "additionalProperties": False,
        },
        "allow_failure": {
            "type": "object",
            "properties": {"exit_codes": {"type": "array", "items": {"type": "integer"}}},
            "additionalProperties": False,
        },
    },
    "required": ["script"],
    "additionalProperties": False,
}


def test_the_job_for_gitlab_has_what_gitlab_knows():
    (job,) = yaml.safe_load(PIPELINE).values()
    (addition,) = re.findall(r"add `(allow_failure: .*?)`", PAGE)

    jsonschema.validate(job | yaml.safe_load(addition), JOB)


def test_the_script_for_gitlab_writes_its_artifact_and_fails_with_the_audit(runner):
    (job,) = yaml.safe_load(PIPELINE).values()
    with Gateway(keys=[GOOD, UNLIMITED]) as gateway:
        done = runner.run("sh", "\n".join(job["script"]), gateway.url)

    (artifact,) = job["artifacts"]["paths"]
    (violation,) = json.loads((runner.folder / artifact).read_text(encoding="utf-8"))["violations"]
    assert runner.words_of("pip") == "install cometapi-exporter"
    assert done.returncode == 3
    assert (violation["key_id"], violation["policy"]) == (2, "limited_quota")


# Cron


def test_the_line_for_cron_mails_the_report_of_violations(runner):
    with Gateway(keys=[GOOD, UNLIMITED]) as gateway:
        runner.run("sh", cron_command(runner), gateway.url)

    assert runner.words_of("mail") == "-s API keys security@example.org"
    assert "'open' (id 2" in (runner.folder / "mail.body").read_text(encoding="utf-8")


def test_the_line_for_cron_mails_nothing_without_violations(runner):
    with Gateway(keys=[GOOD]) as gateway:
        done = runner.run("sh", cron_command(runner), gateway.url)

    assert done.returncode == 0
    assert not (runner.folder / "mail.words").exists()


def cron_command(runner: Runner) -> str:
    """Return what cron runs: the line after its five fields of time."""
    command = CRON_LINE.split(maxsplit=5)[5]
    # Cron ends a command at a percent sign.
    assert "%" not in command
    return command.replace("/etc/cometapi-exporter/accounts.yml", str(runner.file))

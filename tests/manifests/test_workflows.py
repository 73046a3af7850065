"""The workflows: checked by their linters, and held to few rights; they can only be rehearsed where they run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from binaries import require
from processes import output_of

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
WRITES = {
    ("codeql", "analyze", "security-events"),
    ("scorecard", "analyze", "security-events"),
    ("scorecard", "analyze", "id-token"),
    ("release", "image", "packages"),
    ("release", "image", "id-token"),
    ("release", "image", "attestations"),
    ("release", "chart", "packages"),
    ("release", "chart", "id-token"),
    ("release", "pypi", "id-token"),
    ("release", "release", "contents"),
    ("release", "release", "id-token"),
    ("release", "release", "attestations"),
}


def workflow(name: str) -> dict[str, Any]:
    """Return one workflow; `on` is read as a text, not as YAML 1.1's true."""
    text = (ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text.replace("\non:", '\n"on":', 1)))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield workflow, name and content of every job."""
    for path in FILES:
        yield from ((path.stem, name, job) for name, job in workflow(path.stem)["jobs"].items())


@pytest.mark.parametrize(
    "command",
    [["actionlint"], ["zizmor", "--offline", "--no-progress", "--persona=auditor"]],
    ids=lambda c: c[0],
)
def test_the_linter_finds_nothing(command):
    program, *options = command

    output_of(require(program), *options, *FILES, cwd=ROOT)


def test_every_action_is_pinned_by_commit_with_its_version_beside_it():
    used = [
        line.strip()
        for path in FILES
        for line in path.read_text(encoding="utf-8").split("\n")
        if "uses: " in line
    ]
    others = [line for line in used if not PINNED.search(line) and "uses: ./" not in line]

    assert len(used) > 20
    assert others == []


def test_an_action_has_one_version_everywhere():
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    versions: dict[str, set[str]] = {}
    for owner, commit in re.findall(r"uses: ([\w.-]+/[\w.-]+)[\w./-]*@(\S+)", text):
        versions.setdefault(owner, set()).add(commit)

    assert {owner: found for owner, found in versions.items() if len(found) > 1} == {}


def test_nothing_has_a_right_that_is_not_listed_here():
    assert {path.stem: workflow(path.stem)["permissions"] for path in FILES} == {
        path.stem: {} for path in FILES
    }
    assert {
        (file, name, right)
        for file, name, job in jobs()
        for right, level in job.get("permissions", {}).items()
        if level == "write"
    } == WRITES


@pytest.mark.parametrize("name", ["pypi", "release"])
def test_a_job_that_publishes_files_runs_no_code_of_the_project(name):
    steps = workflow("release")["jobs"][name]["steps"]

    assert not any("checkout" in step.get("uses", "") for step in steps)


def test_a_rehearsal_publishes_nothing():
    """A step that could publish is skipped unless a tag was pushed: it logs in, signs, pushes or uploads."""
    publishing = re.compile(r"login-action|cosign|attest-build|helm push|gh release|pypi-publish")
    found = 0
    for name, job in workflow("release")["jobs"].items():
        guarded_job = job.get("if") == "github.event_name == 'push'"
        for step in job.get("steps", []):
            if publishing.search(step.get("uses", "") + step.get("run", "")):
                found += 1
                assert guarded_job or step.get("if") == "github.event_name == 'push'", (name, step)
            if "push" in step.get("with", {}):
                assert step["with"]["push"] == "${{ github.event_name == 'push' }}"
    assert found > 5


def test_nothing_is_published_before_everything_is_checked():
    steps = workflow("release")["jobs"]

    def before(name: str) -> set[str]:
        needs = set(steps[name].get("needs", []))
        return needs.union(*(before(need) for need in needs))

    for name in {job for file, job, _ in WRITES if file == "release"}:
        assert {"verify", "check", "build"} <= before(name), name


def test_ci_covers_every_python_that_the_package_names():
    matrix = workflow("check")["jobs"]["check"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert set(named) <= set(matrix)
    assert "3.14" in matrix

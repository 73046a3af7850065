"""The code keeps its structure: layers, sizes, and what each file says of itself."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "exporter").rglob("*.py"))
BESIDE = sorted(
    path for folder in ("deploy", "scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
FILES = [*PRODUCT, *BESIDE]
STATE_TABLE = "\n".join(
    line.split("|")[1]
    for line in (ROOT / "docs/architecture.md")
    .read_text(encoding="utf-8")
    .partition("## Mutable state")[2]
    .partition("\n## ")[0]
    .splitlines()
    if line.startswith("| `")
)


def contract(name: str) -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return next(each for each in contracts if each["name"].startswith(name))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_the_import_contracts_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout


def test_the_contract_on_pure_files_names_every_file_that_calls_itself_pure():
    pure = {
        module_name(path)
        for path in PRODUCT
        if "\nPure" in (ast.get_docstring(ast.parse(path.read_text())) or "")
    }

    assert set(contract("Pure files")["source_modules"]) == pure


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_says_what_it_does(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_architecture_page_places_every_package_and_module():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    placed = page.partition("## Packages")[2].partition("\n## ")[0]
    rows = [line for line in placed.splitlines() if line.startswith("| `")]
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    parts = {
        part
        for path in PRODUCT
        for part in path.relative_to(ROOT / "exporter").with_suffix("").parts
        if part != "__init__"
    }

    assert len(parts) > 50
    assert parts - named == set()


@pytest.mark.parametrize("name", re.findall(r"`((?:\w+\.)+\w+)`", STATE_TABLE))
def test_the_list_of_mutable_state_names_modules_that_exist(name):
    """Each is a module of the exporter, or a class in one."""
    module, _, last = name.rpartition(".")
    path = ROOT / "exporter" / module.replace(".", "/")
    is_module = (path / f"{last}.py").exists()
    is_class = path.with_suffix(".py").exists() and f"class {last}" in (
        path.with_suffix(".py").read_text(encoding="utf-8")
    )

    assert is_module or is_class

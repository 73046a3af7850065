"""The code keeps its structure: layers, sizes, and what each file says of itself."""

import ast
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

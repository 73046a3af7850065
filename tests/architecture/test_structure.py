"""The code keeps its structure: layers, sizes, and what each file says of itself."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "exporter").rglob("*.py"))
BESIDE = sorted(path for folder in ("deploy", "scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FILES = [*PRODUCT, *BESIDE]
LONGEST_FILE, LONGEST_FUNCTION = 250, 40


def contract(name: str) -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return next(each for each in contracts if each["name"].startswith(name))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        lines -= (function.body[0].end_lineno or 0) - function.body[0].lineno + 1
    return lines


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
    pure = {module_name(path) for path in PRODUCT if "\nPure" in (ast.get_docstring(ast.parse(path.read_text())) or "")}

    assert set(contract("Pure files")["source_modules"]) == pure


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_says_what_it_does_and_fits_in_the_head(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_function_fits_a_screen(path):
    long = {node.name: length_without_docstring(node) for node in functions(path)}

    assert {name: lines for name, lines in long.items() if lines > LONGEST_FUNCTION} == {}

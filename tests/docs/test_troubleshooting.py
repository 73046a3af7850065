"""docs/troubleshooting.md knows every line that the exporter logs about trouble."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
PROGRAMS = sorted((ROOT / "exporter").rglob("*.py"))


def events_of(program: str) -> Iterator[str]:
    """Yield what a program logs as a warning or an error, without what follows a colon."""
    for node in ast.walk(ast.parse(program)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func)
        event = node.args[0]
        is_trouble = called.endswith(("log.warning", "log.error")) or called == "say"
        if is_trouble and isinstance(event, ast.Constant):
            yield str(event.value).partition(":")[0]


EVENTS = {event for path in PROGRAMS for event in events_of(path.read_text(encoding="utf-8"))}


def test_a_warning_and_an_error_are_found_and_an_info_is_not():
    program = 'log.warning("one: more")\nself._log.error("two")\nlog.info("three")'

    assert list(events_of(program)) == ["one", "two"]


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_line_of_the_log_about_trouble_has_a_row(event):
    assert f"`{event}" in TROUBLESHOOTING

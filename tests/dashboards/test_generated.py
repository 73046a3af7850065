"""The generator notices what is not as it would write it."""

import json
import sys
from pathlib import Path

from dashboards.committed import GRAFANA
from processes import run

LOCK = Path(__file__).parent / "drawn" / "package-lock.json"


def _build(*arguments: object) -> tuple[int, str]:
    done = run(sys.executable, GRAFANA / "build.py", *arguments)
    return done.returncode, done.stdout


def test_a_missing_or_changed_dashboard_is_called_out_of_date(tmp_path: Path) -> None:
    here = (f"--folder={tmp_path}",)
    assert _build(*here, "--check")[0] == 1
    assert _build(*here)[0] == 0
    assert _build(*here, "--check")[0] == 0
    key = tmp_path / "cometapi-key.json"
    key.write_text(key.read_text(encoding="utf-8").replace("One key", "Some key"), encoding="utf-8")

    code, said = _build(*here, "--check")

    assert code == 1
    assert "cometapi-key.json is out of date" in said
    assert "cometapi-overview.json" not in said


def test_the_libraries_that_draw_are_locked_by_hash_without_addresses_and_none_is_copyleft() -> None:
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert [name for name, package in installed.items() if not package.get("integrity")] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if "GPL" in package.get("license", "")] == []

"""The committed JSON is what the generator writes."""

import json
import subprocess
import sys
from pathlib import Path

from dashboards.committed import GRAFANA

LOCK = Path(__file__).parent / "drawn" / "package-lock.json"


def _build(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GRAFANA / "build.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_committed_dashboards_are_up_to_date() -> None:
    result = _build("--check")

    assert result.returncode == 0, result.stdout + result.stderr


def test_a_changed_dashboard_is_called_out_of_date(tmp_path: Path) -> None:
    assert _build("--folder", str(tmp_path)).returncode == 0
    assert _build("--folder", str(tmp_path), "--check").returncode == 0
    key = tmp_path / "cometapi-key.json"
    key.write_text(key.read_text(encoding="utf-8").replace("One key", "Some key"), encoding="utf-8")

    result = _build("--folder", str(tmp_path), "--check")

    assert result.returncode == 1
    assert "cometapi-key.json is out of date" in result.stdout
    assert "cometapi-overview.json" not in result.stdout


def test_a_missing_dashboard_is_called_out_of_date(tmp_path: Path) -> None:
    assert _build("--folder", str(tmp_path), "--check").returncode == 1


def test_the_libraries_that_draw_are_locked_by_hash_without_addresses_and_none_is_copyleft() -> None:
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert [name for name, package in installed.items() if not package.get("integrity")] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if "GPL" in package.get("license", "")] == []

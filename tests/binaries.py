"""Find the programs that tests run for real, or say loudly why a test cannot run."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}


def require(name: str) -> str:
    """Return the path of program *name*; without it skip the test, or fail it where CI=true."""
    path = shutil.which(name) or shutil.which(DEBIAN_NAMES.get(name, name))
    if path is None:
        skip_or_fail(f"{name} (scripts/install-test-tools installs it)")
    return path


def require_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of file *name* that was installed; without it skip or fail the test."""
    python = require("manifest-python")
    asked = [python, "-c", "import sys; print(sys.prefix)"]
    prefix = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
    file = Path(prefix.strip()) / "schemas" / name
    if not file.is_file():
        skip_or_fail(f"the schema {name} (scripts/install-test-tools installs it)")
    return dict(json.loads(file.read_text(encoding="utf-8")))


def skip_or_fail(missing: str) -> NoReturn:
    """Say that *missing* is not to be had here: skip the test, or fail it where CI=true."""
    reason = f"missing: {missing}; this part is NOT tested here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

"""Find the programs that tests run for real, or say loudly why a test cannot run."""

import os
import shutil
from typing import NoReturn

import pytest

DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}


def require(name: str) -> str:
    """Return the path of program *name*; without it skip the test, or fail it where CI=true."""
    path = shutil.which(name) or shutil.which(DEBIAN_NAMES.get(name, name))
    if path is None:
        skip_or_fail(f"{name} (scripts/install-test-tools installs it)")
    return path


def skip_or_fail(missing: str) -> NoReturn:
    """Say that *missing* is not to be had here: skip the test, or fail it where CI=true."""
    reason = f"missing: {missing}; this part is NOT tested here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

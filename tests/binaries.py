"""Find the programs that tests run for real, or say loudly why a test cannot run."""

import os
import shutil

import pytest

DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}


def require(name: str) -> str:
    """Return the path of program *name*; without it skip the test, or fail it where CI=true."""
    path = shutil.which(name) or shutil.which(DEBIAN_NAMES.get(name, name))
    if path is None:
        reason = f"{name} is not installed: this part is NOT tested here (scripts/install-test-tools installs it)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path

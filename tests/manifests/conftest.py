"""The real validators of manifests, each started once for many questions."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from binaries import require

HERE = Path(__file__).parent
CHART = HERE.parents[1] / "deploy/helm/cometapi-exporter"

Resource = dict[str, Any]


def _with_tools(verb: str, order: Any) -> Any:
    done = subprocess.run(
        [require("manifest-python"), HERE / "with_tools.py", verb],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def problems_of() -> Callable[[list[Resource]], list[str]]:
    """Return the function that asks the Kubernetes and operator schemas about resources."""

    def ask(resources: list[Resource]) -> list[str]:
        named = [[f"{resource['kind']} {resource['metadata']['name']}", resource] for resource in resources]
        return list(_with_tools("check", named))

    return ask


@pytest.fixture(scope="session")
def render_all() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that lints and renders the chart with several sets of values at a time."""

    def render(cases: dict[str, Any]) -> dict[str, Any]:
        return dict(_with_tools("render", {"chart": str(CHART), "cases": cases}))

    return render

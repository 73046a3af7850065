"""The real validators of manifests, each started once for many questions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from binaries import require
from processes import output_of

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "deploy/prometheus/rules"
CHART = HERE.parents[1] / "deploy/helm/cometapi-exporter"

Resource = dict[str, Any]


def _with_tools(verb: str, order: Any) -> Any:
    return json.loads(
        output_of(require("manifest-python"), HERE / "with_tools.py", verb, input=json.dumps(order))
    )


@pytest.fixture(scope="session")
def rule_groups() -> list[Any]:
    """Return the rule groups that Prometheus loads."""
    texts = [(RULES / name).read_text(encoding="utf-8") for name in ("records.yml", "alerts.yml")]
    return [group for text in texts for group in yaml.safe_load(text)["groups"]]


@pytest.fixture(scope="session")
def problems_of() -> Callable[[list[Resource]], list[str]]:
    """Return the function that asks the Kubernetes and operator schemas about resources."""

    def ask(resources: list[Resource]) -> list[str]:
        named = [
            [f"{resource['kind']} {resource['metadata']['name']}", resource]
            for resource in resources
        ]
        return list(_with_tools("check", named))

    return ask


@pytest.fixture(scope="session")
def render_all() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that lints and renders the chart with several sets of values at a time."""

    def render(cases: dict[str, Any]) -> dict[str, Any]:
        return dict(_with_tools("render", {"chart": str(CHART), "cases": cases}))

    return render

"""Render charts with Helm and validate resources against Kubernetes schemas, in the tools' Python environment.

Run by tests as `manifest-python with_tools.py render|check`, never imported.
Talks to: standard input and output; loads the libraries of that environment.

render  in: {"chart": path, "cases": {name: {"values": ..., "release": "watch", "kubernetes":
"1.34.0"}}};
        out: {name: {"documents": {template: text}} or {"error": text}}
check   in: [[where, resource], ...]; out: [problem, ...]
"""

import json
import sys
from pathlib import Path
from typing import Any

KUBERNETES_VERSIONS = ("1.25.0", "1.37.0")
DEFINITIONS = {
    "ServiceMonitor": "servicemonitors.yaml",
    "PodMonitor": "podmonitors.yaml",
    "PrometheusRule": "prometheusrules.yaml",
}
INFORMATION = 1


def render(order: dict[str, Any]) -> dict[str, Any]:
    """Lint and render one chart with each set of values."""
    import helm_python  # noqa: PLC0415 - only in the tools' environment, and slow to load

    return {
        name: _render(helm_python, order["chart"], **case) for name, case in order["cases"].items()
    }


def _render(
    helm: Any,
    path: str,
    *,
    values: dict[str, Any],
    release: str = "watch",
    kubernetes: str | None = None,
    **_: Any,
) -> dict[str, Any]:
    findings = helm.lint(path, values, strict=True, kube_version=kubernetes)
    errors = [entry["error"] for entry in findings["messages"] if entry["severity"] != INFORMATION]
    if errors:
        return {"error": "\n".join(errors)}
    try:
        with helm.Chart.load(path) as chart:
            return {"documents": chart.render(values, name=release, namespace="monitoring")}
    except helm.HelmError as error:
        return {"error": str(error)}


def check(resources: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return what the schemas reject, in strict mode: unknown fields are problems too."""
    import jsonschema  # noqa: PLC0415 - likewise
    import kubernetes_validate  # noqa: PLC0415

    problems = []
    for where, resource in resources:
        definition = DEFINITIONS.get(resource["kind"])
        if definition is not None:
            errors = jsonschema.Draft202012Validator(_schema(definition)).iter_errors(resource)
            problems += [f"{where}: {error.json_path}: {error.message}" for error in errors]
            continue
        for version in KUBERNETES_VERSIONS:
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{where}: Kubernetes {version}: {error.message}")
    return problems


def _schema(definition: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - likewise

    text = (Path(sys.prefix) / "crds" / definition).read_text(encoding="utf-8")
    (version,) = (entry for entry in yaml.safe_load(text)["spec"]["versions"] if entry["storage"])
    return _strict(version["schema"]["openAPIV3Schema"])


def _strict(schema: Any) -> Any:
    """Return a structural schema that rejects unknown fields, as the cluster's strict validation does."""
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


if __name__ == "__main__":
    work = {"render": render, "check": check}[sys.argv[1]]
    json.dump(work(json.load(sys.stdin)), sys.stdout)

"""Write what Kubernetes and the Helm chart need of the rules and dashboards, from their only sources.

python deploy/kubernetes/generate.py            write the files
python deploy/kubernetes/generate.py --check    write nothing; exit 1 and name the files that are out of date

Talks to: files of deploy/ alone. Helm reads nothing outside its chart, and kustomize nothing outside its folder, hence
the copies. Dashboards are written without white space, because `kubectl apply` keeps a second copy in an annotation of
at most 256 KiB.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1]
RULES = ("prometheus/rules/records.yml", "prometheus/rules/alerts.yml")
DASHBOARDS = ("cometapi-key", "cometapi-overview")
MONITORING = "kubernetes/monitoring"
CHART = "helm/cometapi-exporter/files"
HEADER = "# Written by deploy/kubernetes/generate.py from {sources}: edit there.\n"


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and knows no anchors."""

    def ignore_aliases(self, _: object) -> bool:
        return True


_Dumper.add_representer(str, _represent_text)


def _yaml(document: dict[str, Any], *sources: str) -> str:
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return HEADER.format(sources=" and ".join(f"deploy/{source}" for source in sources)) + body


def groups(read: Callable[[str], str]) -> list[Any]:
    """Return the rule groups of all rule files, in their order."""
    return [group for source in RULES for group in yaml.safe_load(read(source))["groups"]]


def prometheus_rule(read: Callable[[str], str]) -> dict[str, Any]:
    """Return the rules as a resource of the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "cometapi-exporter", "labels": {"release": "kube-prometheus-stack"}},
        "spec": {"groups": groups(read)},
    }


def dashboard(name: str, text: str) -> dict[str, Any]:
    """Return one dashboard as a ConfigMap that Grafana's sidecar takes up."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{name}-dashboard",
            "labels": {"grafana_dashboard": "1"},
            "annotations": {"grafana_folder": "CometAPI"},
        },
        "data": {f"{name}.json": compact(text)},
    }


def compact(text: str) -> str:
    """Return JSON without the white space that only people need."""
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def outputs(read: Callable[[str], str]) -> dict[str, str]:
    """Return the text of every generated file by its path in deploy/; *read* gives a source by its path there."""
    written = {
        f"{MONITORING}/prometheusrule.yaml": _yaml(prometheus_rule(read), *RULES),
        f"{CHART}/rules.yaml": _yaml({"groups": groups(read)}, *RULES),
    }
    for name in DASHBOARDS:
        source = f"grafana/dashboards/{name}.json"
        resource = _yaml(dashboard(name, read(source)), source)
        written[f"{MONITORING}/dashboard-{name.removeprefix('cometapi-')}.yaml"] = resource
        written[f"{CHART}/dashboards/{name}.json"] = compact(read(source)) + "\n"
    return written


def main(arguments: Iterable[str]) -> int:
    """Write or check; return the exit code."""
    expected = outputs(lambda path: (DEPLOY / path).read_text(encoding="utf-8"))
    stale = [path for path, text in expected.items() if not _holds(DEPLOY / path, text)]
    if "--check" in arguments:
        for path in stale:
            print(f"out of date: deploy/{path}")
        return 1 if stale else 0
    for path in stale:
        (DEPLOY / path).parent.mkdir(parents=True, exist_ok=True)
        (DEPLOY / path).write_text(expected[path], encoding="utf-8")
        print(f"written: deploy/{path}")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

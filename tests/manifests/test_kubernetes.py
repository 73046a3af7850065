"""The Kubernetes resources: built by kustomize, judged by the clusters' schemas, tied to their sources."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from binaries import require

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
APPLIED_COPY_LIMIT = 262_144  # bytes of all annotations; `kubectl apply` keeps the resource in one


def build(folder: Path) -> list[dict[str, Any]]:
    """Build one kustomization."""
    command = [require("kustomize"), "build"] if not shutil.which("kubectl") else [require("kubectl"), "kustomize"]
    done = subprocess.run([*command, folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def everything() -> list[dict[str, Any]]:
    """Return every resource of deploy/kubernetes."""
    return build(KUBERNETES)


def the(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only resource of *kind*."""
    (found,) = (resource for resource in resources if resource["kind"] == kind)
    return found


def pod_of(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the pod's specification."""
    return dict(the(resources, "Deployment")["spec"]["template"]["spec"])


def secret_example() -> dict[str, Any]:
    """Return the example of the Secret."""
    return dict(yaml.safe_load((KUBERNETES / "exporter/secret.example.yaml").read_text(encoding="utf-8")))


def test_the_clusters_schemas_accept_every_resource(everything, problems_of):
    assert problems_of([*everything, secret_example()]) == []


def test_the_schemas_refuse_a_misspelt_field(everything, problems_of):
    broken = json.loads(json.dumps([the(everything, "Deployment"), the(everything, "ServiceMonitor")]))
    broken[0]["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    broken[1]["spec"]["endpoints"][0]["scrapeTimout"] = "10s"

    assert len(problems_of(broken)) == 3, "the Deployment in two versions, and the monitor"


def test_everything_is_the_exporter_and_its_monitoring(everything):
    assert sorted((resource["kind"], resource["metadata"]["name"]) for resource in everything) == [
        ("ConfigMap", "cometapi-key-dashboard"),
        ("ConfigMap", "cometapi-overview-dashboard"),
        ("Deployment", "cometapi-exporter"),
        ("NetworkPolicy", "cometapi-exporter"),
        ("PrometheusRule", "cometapi-exporter"),
        ("Service", "cometapi-exporter"),
        ("ServiceAccount", "cometapi-exporter"),
        ("ServiceMonitor", "cometapi-exporter"),
    ]


def test_without_the_operator_the_exporter_stands_alone():
    assert {resource["kind"] for resource in build(KUBERNETES / "exporter")} == {
        "Deployment",
        "NetworkPolicy",
        "Service",
        "ServiceAccount",
    }


def test_the_pod_keeps_to_the_restricted_profile(everything):
    pod = pod_of(everything)
    (container,) = pod["containers"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"hostNetwork", "hostPID", "hostIPC"} & set(pod) == set()
    assert {tuple(set(volume) - {"name"}) for volume in pod["volumes"]} == {("secret",)}


def test_the_pod_has_no_token_of_the_cluster_and_no_variables_of_services(everything):
    pod = pod_of(everything)

    assert pod["automountServiceAccountToken"] is False
    assert the(everything, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == the(everything, "ServiceAccount")["metadata"]["name"]
    assert pod["enableServiceLinks"] is False


def test_the_probes_ask_what_the_contract_names(everything):
    (container,) = pod_of(everything)["containers"]

    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": "http"}
    assert container["ports"] == [{"name": "http", "containerPort": 10144}]
    assert container["resources"]["limits"]["memory"] == "256Mi"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_the_token_is_the_mounted_file_of_the_example_secret(everything):
    pod = pod_of(everything)
    (container,) = pod["containers"]
    (volume,) = pod["volumes"]
    (mount,) = container["volumeMounts"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}

    assert environment["COMETAPI_ACCESS_TOKEN_FILE"] == f"{mount['mountPath']}/{volume['secret']['items'][0]['path']}"
    assert "subPath" not in mount, "a file of its own would never be renewed"
    assert volume["secret"]["secretName"] == secret_example()["metadata"]["name"]
    assert volume["secret"]["items"][0]["key"] in secret_example()["stringData"]
    assert oct(volume["secret"]["defaultMode"]) == "0o440"


def test_service_policy_and_monitor_find_the_pods(everything):
    labels = the(everything, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    service, monitor = the(everything, "Service"), the(everything, "ServiceMonitor")

    assert the(everything, "Deployment")["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert the(everything, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"] == "http"
    assert monitor["spec"]["endpoints"][0]["path"] == "/metrics"


def test_the_job_gets_a_name_that_the_alert_for_a_dead_exporter_knows(everything):
    monitor, service = the(everything, "ServiceMonitor"), the(everything, "Service")

    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "cometapi-exporter"


def test_the_network_is_open_to_the_monitoring_the_name_service_and_https_alone(everything):
    policy = the(everything, "NetworkPolicy")["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "http"}]]
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [53, 53, 443]


def test_the_rules_are_those_of_prometheus(everything):
    rules = ROOT / "deploy/prometheus/rules"
    groups = [
        yaml.safe_load((rules / name).read_text(encoding="utf-8"))["groups"] for name in ("records.yml", "alerts.yml")
    ]

    assert the(everything, "PrometheusRule")["spec"]["groups"] == groups[0] + groups[1]


def test_promtool_accepts_the_rules_of_the_operator(everything, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(the(everything, "PrometheusRule")["spec"]), encoding="utf-8")
    done = subprocess.run([require("promtool"), "check", "rules", path], capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["cometapi-key", "cometapi-overview"])
def test_a_dashboard_is_the_one_of_grafana_and_small_enough_to_be_applied(everything, name):
    (resource,) = (entry for entry in everything if entry["metadata"]["name"] == f"{name}-dashboard")
    source = json.loads((ROOT / f"deploy/grafana/dashboards/{name}.json").read_text(encoding="utf-8"))

    assert json.loads(resource["data"][f"{name}.json"]) == source
    assert len(json.dumps(resource, ensure_ascii=False).encode()) < APPLIED_COPY_LIMIT
    assert resource["metadata"]["labels"]["grafana_dashboard"] == "1"


def generator() -> ModuleType:
    """Load deploy/kubernetes/generate.py."""
    spec = importlib.util.spec_from_file_location("generate_manifests", KUBERNETES / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_up_to_date():
    done = subprocess.run(
        [sys.executable, KUBERNETES / "generate.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_a_changed_source_is_noticed():
    deploy = ROOT / "deploy"

    def changed(path: str) -> str:
        return (deploy / path).read_text(encoding="utf-8").replace("vector(604800)", "vector(1)", 1)

    written = generator().outputs(changed)
    stale = [path for path, text in written.items() if text != (deploy / path).read_text(encoding="utf-8")]

    assert stale == ["kubernetes/monitoring/prometheusrule.yaml", "helm/cometapi-exporter/files/rules.yaml"]

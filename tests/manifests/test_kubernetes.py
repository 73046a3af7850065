"""The Kubernetes resources: built by kustomize, checked against the clusters' schemas, in sync with their sources."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from binaries import require
from manifests.resources import environment_of, faults_of, pod_of, the, without_blanks, workload_of
from processes import Exporter, output_of

from exporter.settings.load import load_settings

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
# Bytes of all annotations of an object, in one of which `kubectl apply` keeps a copy of it, less
# what the other annotations take.
APPLY_LIMIT = 256 * 1024 - 1024


def build(folder: Path) -> list[dict[str, Any]]:
    """Build one kustomization."""
    command = (
        [require("kustomize"), "build"]
        if not shutil.which("kubectl")
        else [require("kubectl"), "kustomize"]
    )
    return list(yaml.safe_load_all(output_of(*command, folder)))


@pytest.fixture(scope="module")
def everything() -> list[dict[str, Any]]:
    """Return every resource of deploy/kubernetes."""
    return build(KUBERNETES)


def secret_example() -> dict[str, Any]:
    """Return the example of the Secret."""
    return dict(
        yaml.safe_load((KUBERNETES / "exporter/secret.example.yaml").read_text(encoding="utf-8"))
    )


def test_the_clusters_schemas_accept_every_resource(everything, problems_of):
    assert problems_of([*everything, secret_example()]) == []


def test_the_schemas_refuse_a_misspelt_field(everything, problems_of):
    broken = json.loads(
        json.dumps([the(everything, "Deployment"), the(everything, "ServiceMonitor")])
    )
    broken[0]["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    broken[1]["spec"]["endpoints"][0]["scrapeTimout"] = "10s"

    assert len(problems_of(broken)) == 3, "the Deployment in two versions, and the monitor"


@pytest.fixture(scope="module")
def sharded() -> list[dict[str, Any]]:
    """Return the resources of the example with shards."""
    return build(KUBERNETES / "sharded")


def test_the_clusters_schemas_accept_the_example_with_shards(sharded, problems_of):
    assert problems_of(sharded) == []


@pytest.mark.parametrize("example", ["everything", "sharded"])
def test_no_pod_has_a_right_that_it_does_not_need_and_every_selector_finds_the_pods(
    request, example
):
    assert faults_of(request.getfixturevalue(example)) == []


def test_the_shards_of_the_example_agree_on_their_number_and_share_the_rate_limit(sharded):
    replicas = workload_of(sharded)["spec"]["replicas"]
    environment = environment_of(pod_of(sharded))

    assert workload_of(sharded)["kind"] == "StatefulSet"
    assert int(environment["COMETAPI_EXPORTER_SHARDS_TOTAL"]) == replicas
    assert int(environment["COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE"]) * replicas <= 50
    assert environment["COMETAPI_EXPORTER_SHARDS_INDEX"] == {
        "fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}
    }


def test_the_exporter_reads_the_accounts_of_the_example_where_they_are_mounted(sharded, tmp_path):
    pod = pod_of(sharded)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    (volume,) = (
        entry["configMap"]["name"] for entry in pod["volumes"] if entry["name"] == "accounts"
    )
    text = the(sharded, "ConfigMap")["data"]["accounts.yml"].replace(mounts["token"], str(tmp_path))
    for name in ("production", "research", "support"):
        (tmp_path / name).write_text("token", encoding="utf-8")
    (tmp_path / "accounts.yml").write_text(text, encoding="utf-8")

    assert the(sharded, "ConfigMap")["metadata"]["name"] == volume
    assert (
        environment_of(pod)["COMETAPI_EXPORTER_CONFIG_FILE"] == f"{mounts['accounts']}/accounts.yml"
    )
    assert len(load_settings({"config_file": str(tmp_path / "accounts.yml")}, {}).accounts) == 3


def test_the_exporter_alone_needs_no_resource_of_the_operator():
    assert {
        resource["apiVersion"].split("/")[0] for resource in build(KUBERNETES / "exporter")
    } == {
        "apps",
        "networking.k8s.io",
        "policy",
        "v1",
    }


def test_the_token_is_the_mounted_file_of_the_example_secret(everything):
    pod = pod_of(everything)
    (container,) = pod["containers"]
    (volume,) = pod["volumes"]
    (mount,) = container["volumeMounts"]
    (item,) = volume["secret"]["items"]

    assert (
        environment_of(pod)["COMETAPI_ACCESS_TOKEN_FILE"] == f"{mount['mountPath']}/{item['path']}"
    )
    assert "subPath" not in mount, "a file mounted by subPath is never updated"
    assert volume["secret"]["secretName"] == secret_example()["metadata"]["name"]
    assert item["key"] in secret_example()["stringData"]
    assert oct(volume["secret"]["defaultMode"]) == "0o440"


def test_the_job_gets_a_name_that_the_alert_for_a_dead_exporter_knows(everything):
    monitor, service = the(everything, "ServiceMonitor"), the(everything, "Service")

    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "cometapi-exporter"


def test_the_rules_are_those_of_prometheus(everything, rule_groups):
    assert the(everything, "PrometheusRule")["spec"]["groups"] == rule_groups


def test_promtool_accepts_the_rules_of_the_operator(everything, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(the(everything, "PrometheusRule")["spec"]), encoding="utf-8")

    assert "SUCCESS" in output_of(require("promtool"), "check", "rules", path)


def copy_of_kubectl(resource: dict[str, Any]) -> bytes:
    """Give what `kubectl apply` writes into the annotation: JSON as Go writes it, with <, > and & escaped."""
    text = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[<>&]", r"\\u003c", text).encode()


@pytest.mark.parametrize(
    "name", ["cometapi-exporter", "cometapi-key", "cometapi-overview", "cometapi-spending"]
)
def test_a_dashboard_is_the_one_of_grafana_and_small_enough_to_be_applied(everything, name):
    (resource,) = (
        entry for entry in everything if entry["metadata"]["name"] == f"{name}-dashboard"
    )
    source = json.loads(
        (ROOT / f"deploy/grafana/dashboards/{name}.json").read_text(encoding="utf-8")
    )

    assert without_blanks(json.loads(resource["data"][f"{name}.json"])) == without_blanks(source)
    assert len(copy_of_kubectl(resource)) < APPLY_LIMIT
    assert resource["metadata"]["labels"]["grafana_dashboard"] == "1"


READMES = (ROOT / "README.md", ROOT / "deploy/README.md")
OWN_IMAGE = "registry.example.org/cometapi-exporter:0.1.0"


def commands_of(readme: Path) -> list[str]:
    """Return the commands that edit kustomizations."""
    return re.findall(
        r"^\(cd deploy/kubernetes.*$", readme.read_text(encoding="utf-8"), re.MULTILINE
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with a copy of the manifests, where a README's commands can be run."""
    shutil.copytree(KUBERNETES, tmp_path / "deploy/kubernetes")
    return tmp_path


def images_of(found: list[dict[str, Any]]) -> list[str]:
    """Return the images of the only workload."""
    return [container["image"] for container in pod_of(found)["containers"]]


@pytest.mark.parametrize("readme", READMES, ids=["README.md", "deploy/README.md"])
@pytest.mark.parametrize("folder", [".", "exporter", "sharded"])
def test_the_image_of_the_readme_is_what_each_folder_applies(readme, folder, clone):
    require("kustomize")
    command = commands_of(readme)[0]
    output_of("sh", "-c", command, cwd=clone)

    assert images_of(build(clone / "deploy/kubernetes" / folder)) == [OWN_IMAGE]


@pytest.mark.parametrize(
    ("folder", "component"),
    [(".", "openshift"), ("exporter", "../openshift"), ("sharded", "../openshift")],
)
def test_the_component_for_openshift_leaves_user_and_groups_to_the_cluster(
    folder, component, clone, problems_of
):
    require("kustomize")
    (command,) = commands_of(ROOT / "deploy/README.md")[1:]
    shown = "cd deploy/kubernetes && kustomize edit add component openshift"
    place = clone / "deploy/kubernetes" / folder
    assert command == f"({shown})"
    output_of("kustomize", "edit", "add", "component", component, cwd=place)
    found = build(place)

    assert pod_of(found)["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert problems_of(found) == []
    assert faults_of(found) == []


def test_openshift_s_dns_and_prometheus_reach_their_ports(clone):
    require("kustomize")
    output_of("kustomize", "edit", "add", "component", "openshift", cwd=clone / "deploy/kubernetes")
    policy = the(build(clone / "deploy/kubernetes"), "NetworkPolicy")["spec"]
    (scraper,) = policy["ingress"][0]["from"]

    assert scraper["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "openshift-user-workload-monitoring"
    }
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [
        53,
        53,
        443,
        5353,
        5353,
    ]


def test_the_strategy_names_its_type_without_which_each_apply_would_report_a_change(everything):
    strategy = the(everything, "Deployment")["spec"]["strategy"]

    assert strategy["type"] == "RollingUpdate"


# Prometheus renames a label of a metric to exported_... where the operator sets one of that name.
LABELS_OF_THE_OPERATOR = {"container", "endpoint", "instance", "job", "namespace", "pod", "service"}


def test_no_metric_has_a_label_that_the_operator_sets():
    with Exporter("--demo") as exporter:
        series = "\n".join(exporter.wait_ready().samples())
    labels = set(re.findall(r'[{,]([a-z_]+)="', series))

    assert {"account", "path", "key_id"} <= labels
    assert labels & LABELS_OF_THE_OPERATOR == set()

"""The chart: rendered by Helm's own code, checked against the clusters' schemas, its file read by the exporter."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from manifests.resources import Resource, pod_of, rights_too_many, the, unfound_pods

from exporter import __version__
from exporter.settings import load_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/cometapi-exporter"
SECRETS = "/var/run/secrets/cometapi-exporter"

ONE = {"accounts": [{"name": "production", "existingSecret": "production-token"}]}
SEVERAL = {
    "accounts": [
        {
            "name": "Produktion: über #1",
            "existingSecret": "production-token",
            "secretKey": "access",
            "collect": {"interval": "5m", "concurrency": 2},
        },
        {
            "name": "research",
            "existingSecret": "research-token",
            "baseUrl": "http://gateway.example.org:3000",
            "allowInsecureHttp": True,
            "userId": 7_000_000,
            "quotaPerUsd": 1_000_000,
            "caSecret": {"name": "private-ca", "key": "root.pem"},
        },
    ],
    "collect": {"interval": "90s", "max_requests_per_minute": 30},
}
MONITORED = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prom"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prom"}},
    "dashboards": {"enabled": True},
    "networkPolicy": {"enabled": True, "egressPorts": [443, 3000]},
}
CASES: Mapping[str, Any] = {
    "one account": ONE,
    "several accounts": SEVERAL,
    "the demo": {"demo": True},
    "everything": {
        **SEVERAL,
        **MONITORED,
        "replicaCount": 2,
        "image": {"repository": "registry.example.org/cometapi-exporter", "digest": "sha256:" + 64 * "a"},
        "imagePullSecrets": [{"name": "registry"}],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "webConfig": {"existingSecret": "web", "tls": True},
        "serviceAccount": {"annotations": {"a": "b"}},
        "service": {"annotations": {"a": "b"}},
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "llm"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
        ],
        "priorityClassName": "high",
    },
    "clients with certificates": {
        **ONE,
        "webConfig": {"existingSecret": "web", "tls": True, "clientCertificates": True},
    },
    "thresholds": {
        **ONE,
        "prometheusRule": {
            "enabled": True,
            "thresholds": {"expiry_warning_seconds": 1_209_600, "quota_low_ratio": 0.25},
        },
    },
}
REFUSED: Mapping[str, tuple[Any, str]] = {
    "no account and no demo": ({}, "oneOf"),
    "accounts beside the demo": ({**ONE, "demo": True}, "oneOf"),
    "an account without a secret": ({"accounts": [{"name": "a"}]}, "existingSecret"),
    "a token in the clear": (
        {**ONE, "extraEnv": [{"name": "COMETAPI_ACCESS_TOKEN", "value": "t"}]},
        "/extraEnv/0",
    ),
    "a misspelt value": ({**ONE, "serviceMonitr": {"enabled": True}}, "serviceMonitr"),
    "a duration without a unit": ({**ONE, "collect": {"interval": "60"}}, "/collect/interval"),
    "an unknown threshold": (
        {**ONE, "prometheusRule": {"enabled": True, "thresholds": {"expiry_warning": 1}}},
        "no such threshold: expiry_warning",
    ),
    "a name that the alert for a dead exporter would not know": ({**ONE, "nameOverride": "keys"}, "/nameOverride"),
}


@pytest.fixture(scope="session")
def rendered(render_all: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return what Helm makes of every case, good and bad, by name."""
    return render_all({**CASES, **{name: values for name, (values, _) in REFUSED.items()}})


def resources(rendered: dict[str, Any], case: str) -> list[Resource]:
    """Return the resources of a case that Helm accepts."""
    assert "error" not in rendered[case], rendered[case]
    texts = [text for path, text in rendered[case]["documents"].items() if path.endswith(".yaml")]
    return [resource for text in texts for resource in yaml.safe_load_all(text) if resource]


def test_the_clusters_schemas_accept_what_every_case_gives(rendered, problems_of):
    everything = [resource for case in CASES for resource in resources(rendered, case)]

    assert problems_of(everything) == []


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_cannot_work_are_refused_by_name(rendered, case):
    assert REFUSED[case][1] in rendered[case].get("error", "it was accepted")


def mounted_secrets(pod: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return what file comes from which key of which Secret."""
    (tokens,) = (volume["projected"]["sources"] for volume in pod["volumes"] if volume["name"] == "tokens")
    (mount,) = (entry["mountPath"] for entry in pod["containers"][0]["volumeMounts"] if entry["name"] == "tokens")
    return {
        f"{mount}/{item['path']}": (source["secret"]["name"], item["key"])
        for source in tokens
        for item in source["secret"]["items"]
    }


def test_each_token_is_mounted_from_its_own_secret(rendered):
    assert mounted_secrets(pod_of(resources(rendered, "several accounts"))) == {
        f"{SECRETS}/0/token": ("production-token", "access"),
        f"{SECRETS}/1/token": ("research-token", "token"),
        f"{SECRETS}/1/ca.crt": ("private-ca", "root.pem"),
    }


def config_in(found: list[Resource]) -> str:
    """Return the exporter's file, which has to be where the variable says."""
    pod = pod_of(found)
    (variable,) = (e["value"] for e in pod["containers"][0]["env"] if e["name"] == "COMETAPI_EXPORTER_CONFIG_FILE")
    (mount,) = (entry["mountPath"] for entry in pod["containers"][0]["volumeMounts"] if entry["name"] == "config")
    (volume,) = (entry["configMap"]["name"] for entry in pod["volumes"] if entry["name"] == "config")
    config = next(entry for entry in found if entry["kind"] == "ConfigMap" and entry["metadata"]["name"] == volume)
    return str(config["data"][Path(variable).relative_to(mount).name])


def test_the_exporter_understands_its_file_as_the_values_meant_it(rendered, tmp_path):
    found = resources(rendered, "several accounts")
    for path in mounted_secrets(pod_of(found)):
        place = tmp_path / Path(path).relative_to(SECRETS)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(trustme.CA().cert_pem.bytes() if place.name == "ca.crt" else b"token")
    file = tmp_path / "config.yml"
    file.write_text(config_in(found).replace(SECRETS, str(tmp_path)), encoding="utf-8")

    settings = load_settings({"config_file": str(file)}, {})
    first, second = settings.accounts

    assert settings.max_requests_per_minute == 30
    assert (first.name, first.base_url, first.interval, first.concurrency) == (
        "Produktion: über #1",
        "https://api.cometapi.com",
        300.0,
        2,
    )
    assert (second.name, second.base_url, second.user_id, second.interval) == (
        "research",
        "http://gateway.example.org:3000",
        7_000_000,
        90.0,
    )
    assert second.quota_per_usd == 1_000_000


@pytest.mark.parametrize("case", CASES)
def test_no_pod_has_a_right_that_it_does_not_need(rendered, case):
    assert rights_too_many(pod_of(resources(rendered, case))) == []


@pytest.mark.parametrize("case", CASES)
def test_every_selector_finds_the_pods(rendered, case):
    assert unfound_pods(resources(rendered, case)) == []


def test_other_accounts_mean_another_pod_and_no_token_is_in_the_cluster_s_objects(rendered):
    sums = {
        case: the(resources(rendered, case), "Deployment")["spec"]["template"]["metadata"]["annotations"][
            "checksum/config"
        ]
        for case in ("one account", "several accounts", "thresholds")
    }

    assert sums["one account"] != sums["several accounts"]
    assert sums["one account"] == sums["thresholds"]


@pytest.mark.parametrize(
    ("case", "probe"),
    [
        ("one account", {"httpGet": {"path": "/-/healthy", "port": "http"}}),
        ("everything", {"httpGet": {"path": "/-/healthy", "port": "http", "scheme": "HTTPS"}}),
        ("clients with certificates", {"tcpSocket": {"port": "http"}}),
    ],
)
def test_the_liveness_probe_speaks_as_the_pages_do(rendered, case, probe):
    (container,) = pod_of(resources(rendered, case))["containers"]

    assert {name: value for name, value in container["livenessProbe"].items() if "Seconds" not in name} == probe


def test_the_web_config_is_mounted_whole_so_that_its_relative_paths_hold(rendered):
    pod = pod_of(resources(rendered, "everything"))
    environment = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    (mount,) = (entry["mountPath"] for entry in pod["containers"][0]["volumeMounts"] if entry["name"] == "web")
    (secret,) = (volume["secret"] for volume in pod["volumes"] if volume["name"] == "web")

    assert environment["COMETAPI_EXPORTER_WEB_CONFIG_FILE"] == f"{mount}/web-config.yml"
    assert secret == {"secretName": "web", "defaultMode": 0o440}
    assert the(resources(rendered, "everything"), "ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"


def source_groups() -> list[Any]:
    """Return the rule groups that Prometheus loads."""
    rules = ROOT / "deploy/prometheus/rules"
    texts = [(rules / name).read_text(encoding="utf-8") for name in ("records.yml", "alerts.yml")]
    return [group for text in texts for group in yaml.safe_load(text)["groups"]]


def test_the_rules_are_those_of_prometheus(rendered):
    assert the(resources(rendered, "everything"), "PrometheusRule")["spec"]["groups"] == source_groups()


def test_a_threshold_of_the_values_replaces_the_shipped_one_and_nothing_else(rendered):
    changed = {
        "cometapi:threshold:expiry_warning_seconds": "vector(1209600)",
        "cometapi:threshold:quota_low_ratio": "vector(0.25)",
    }
    expected = source_groups()
    for rule in (rule for group in expected for rule in group["rules"]):
        if rule.get("record") in changed:
            rule["expr"] = changed[rule["record"]]

    assert the(resources(rendered, "thresholds"), "PrometheusRule")["spec"]["groups"] == expected


def test_the_dashboards_are_those_of_grafana(rendered):
    found = [r for r in resources(rendered, "everything") if "grafana_dashboard" in r["metadata"]["labels"]]
    shown = {name: json.loads(text) for resource in found for name, text in resource["data"].items()}

    assert shown == {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")
    }
    assert {resource["metadata"]["name"] for resource in found} == {
        "watch-cometapi-exporter-key",
        "watch-cometapi-exporter-overview",
    }


def test_an_image_is_named_by_digest_where_there_is_one_else_by_the_chart_s_version(rendered):
    assert pod_of(resources(rendered, "one account"))["containers"][0]["image"] == "cometapi-exporter:0.1.0"
    assert pod_of(resources(rendered, "everything"))["containers"][0]["image"] == (
        "registry.example.org/cometapi-exporter@sha256:" + 64 * "a"
    )


def test_chart_manifests_and_package_have_one_version():
    texts = {
        "Chart.yaml": (CHART / "Chart.yaml").read_text(encoding="utf-8"),
        "deployment": (ROOT / "deploy/kubernetes/exporter/deployment.yaml").read_text(encoding="utf-8"),
        "compose": (ROOT / "deploy/compose/compose.yaml").read_text(encoding="utf-8"),
    }
    named = {
        name: set(re.findall(r"(?:appVersion: |cometapi-exporter:)(\d[\w.]*)", text)) for name, text in texts.items()
    }

    assert named == {name: {__version__} for name in texts}

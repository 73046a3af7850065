"""The chart: rendered by Helm's own code, checked against the clusters' schemas, its file read by the exporter."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from binaries import require
from manifests.resources import (
    Resource,
    environment_of,
    faults_of,
    pod_of,
    the,
    without_blanks,
    workload_of,
)
from processes import output_of, run

import exporter
from exporter.cometapi.trust import GivenFile
from exporter.settings.config_file import (
    COLLECT_KEYS,
    FILTER_KEYS,
    OWN_COLLECT_KEYS,
    THRESHOLD_KEYS,
)
from exporter.settings.load import Settings, load_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/cometapi-exporter"
FORMER_VALUES = Path(__file__).parent / "former_values.yaml"
SECRETS = "/var/run/secrets/cometapi-exporter"
VICTORIAMETRICS = "operator.victoriametrics.com/v1beta1"  # has no schema among the tools

NO_USER = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
CASES = {
    path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((CHART / "ci").glob("*-values.yaml"))
}
REFUSED = {
    case.pop("name"): case
    for case in yaml.safe_load((Path(__file__).parent / "refused.yaml").read_text(encoding="utf-8"))
}


@pytest.fixture(scope="session")
def rendered(render_all: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return what Helm makes of every case, good and bad, by name."""
    good = {name: {"values": values} for name, values in CASES.items()}
    (first,), (_, second) = CASES["minimal"]["accounts"], CASES["accounts"]["accounts"]
    shared = [
        {"name": name, "existingSecret": "shared", "baseUrl": f"https://{name}.example.org"}
        for name in ("a", "b")
    ]
    named = {
        "a release with a dot": {"values": CASES["minimal"], "release": "my.release"},
        "other options": {
            "values": {
                "accounts": [{**first, "baseUrl": "https://gateway.example.org"}],
                "thresholds": [{"daily_budget_usd": 5}],
            }
        },
        "the second account alone": {"values": {"accounts": [second]}},
        "two accounts of one token": {"values": {"accounts": shared}},
        "a platform without nulls": {"values": {**CASES["minimal"], "openshift": True}},
        "nulls for the platform": {"values": {**CASES["minimal"], "podSecurityContext": NO_USER}},
        "no egress but DNS": {
            "values": {
                **CASES["minimal"],
                "networkPolicy": {"enabled": True, "egressPorts": []},
            }
        },
        "no egress at all": {
            "values": {
                **CASES["minimal"],
                "networkPolicy": {"enabled": True, "egressPorts": [], "dnsPorts": []},
            }
        },
        "no egress policy": {
            "values": {
                **CASES["minimal"],
                "networkPolicy": {"enabled": True, "policyTypes": ["Ingress"]},
            }
        },
        "no probes": {
            "values": {
                **CASES["minimal"],
                "livenessProbe": {"enabled": False},
                "readinessProbe": {"enabled": False},
            }
        },
        "a user ID as text": {"values": {"accounts": [{**first, "userId": "7"}]}},
        "a dependency": {"values": {**CASES["minimal"], "enabled": True}},
    }
    bad = {
        name: {
            **case,
            "values": {**({} if case.get("alone") else CASES["minimal"]), **case["values"]},
        }
        for name, case in REFUSED.items()
    }
    return render_all({**good, **named, **bad})


def resources(rendered: dict[str, Any], case: str) -> list[Resource]:
    """Return the resources of a case that Helm accepts."""
    assert "error" not in rendered[case], rendered[case]
    texts = [text for path, text in rendered[case]["documents"].items() if path.endswith(".yaml")]
    return [resource for text in texts for resource in yaml.safe_load_all(text) if resource]


def test_the_clusters_schemas_accept_what_every_case_gives(rendered, problems_of):
    everything = [resource for case in CASES for resource in resources(rendered, case)]
    known = [resource for resource in everything if resource["apiVersion"] != VICTORIAMETRICS]

    assert problems_of(known) == []


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_cannot_work_are_refused_by_name(rendered, case):
    assert REFUSED[case]["message"] in rendered[case].get("error", "it was accepted")


def test_a_release_whose_name_has_a_dot_gives_names_that_a_service_may_have(rendered):
    assert the(resources(rendered, "a release with a dot"), "Service")["metadata"]["name"] == (
        "my-release-cometapi-exporter"
    )


def mounted_secrets(pod: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return what file comes from which key of which Secret."""
    (tokens,) = (
        volume["projected"]["sources"] for volume in pod["volumes"] if volume["name"] == "tokens"
    )
    (mount,) = (
        entry["mountPath"]
        for entry in pod["containers"][0]["volumeMounts"]
        if entry["name"] == "tokens"
    )
    return {
        f"{mount}/{item['path']}": (source["secret"]["name"], item["key"])
        for source in tokens
        for item in source["secret"]["items"]
    }


def test_each_token_is_mounted_from_its_own_secret(rendered):
    assert mounted_secrets(pod_of(resources(rendered, "accounts"))) == {
        f"{SECRETS}/production-token/access": ("production-token", "access"),
        f"{SECRETS}/research-token/token": ("research-token", "token"),
        f"{SECRETS}/private-ca/root.pem": ("private-ca", "root.pem"),
    }


def config_in(found: list[Resource]) -> str:
    """Return the exporter's file, which has to be where the variable says."""
    pod = pod_of(found)
    (variable,) = (
        e["value"]
        for e in pod["containers"][0]["env"]
        if e["name"] == "COMETAPI_EXPORTER_CONFIG_FILE"
    )
    (mount,) = (
        entry["mountPath"]
        for entry in pod["containers"][0]["volumeMounts"]
        if entry["name"] == "config"
    )
    (volume,) = (
        entry["configMap"]["name"] for entry in pod["volumes"] if entry["name"] == "config"
    )
    config = next(
        entry
        for entry in found
        if entry["kind"] == "ConfigMap" and entry["metadata"]["name"] == volume
    )
    return str(config["data"][Path(variable).relative_to(mount).name])


def test_the_exporter_understands_its_file_as_the_values_meant_it(rendered, tmp_path):
    found = resources(rendered, "accounts")
    for path in mounted_secrets(pod_of(found)):
        place = tmp_path / Path(path).relative_to(SECRETS)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(trustme.CA().cert_pem.bytes() if place.name == "root.pem" else b"token")
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
def test_no_pod_has_a_right_that_it_does_not_need_and_every_selector_finds_the_pods(rendered, case):
    assert faults_of(resources(rendered, case)) == []


def test_another_gateway_or_threshold_needs_no_other_pod(rendered):
    pods = [pod_of(resources(rendered, case)) for case in ("minimal", "other options")]
    files = [config_in(resources(rendered, case)) for case in ("minimal", "other options")]

    assert pods[0] == pods[1]
    assert files[0] != files[1]
    assert environment_of(pods[0])["COMETAPI_EXPORTER_AUTO_RELOAD_INTERVAL"] == "30s"


def test_an_account_keeps_its_path_when_the_one_before_it_goes(rendered):
    """Until the pods are replaced, the old ones read the new file: it must not lead them to another token."""
    found = resources(rendered, "accounts"), resources(rendered, "the second account alone")
    paths = [
        {
            account["name"]: account["access_token_file"]
            for account in yaml.safe_load(config_in(each))["accounts"]
        }
        for each in found
    ]

    assert paths[1] == {"research": paths[0]["research"]}


def test_two_accounts_with_one_secret_mount_it_once(rendered):
    pod = pod_of(resources(rendered, "two accounts of one token"))

    assert list(mounted_secrets(pod)) == [f"{SECRETS}/shared/token"]


@pytest.mark.parametrize(
    ("case", "port"),
    [("minimal", "http"), ("everything", "probes"), ("client-certificates", "probes")],
)
def test_probes_have_a_plain_port_where_the_pages_may_want_a_certificate_or_a_password(
    rendered, case, port
):
    pod = pod_of(resources(rendered, case))
    container = pod["containers"][0]
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    address = environment_of(pod).get("COMETAPI_EXPORTER_PROBE_LISTEN_ADDRESS", ":10144")

    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": port}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": port}
    assert address == f":{ports[port]}"


def test_each_shard_takes_its_ordinal_as_index_and_its_part_of_the_rate_limit(rendered):
    found = resources(rendered, "sharded")
    environment = environment_of(pod_of(found))

    assert workload_of(found)["kind"] == "StatefulSet"
    assert workload_of(found)["spec"]["replicas"] == 3
    assert workload_of(found)["spec"]["serviceName"] == the(found, "Service")["metadata"]["name"]
    assert environment["COMETAPI_EXPORTER_SHARDS_TOTAL"] == "3"
    assert environment["COMETAPI_EXPORTER_SHARDS_INDEX"] == {
        "fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}
    }
    assert yaml.safe_load(config_in(found))["collect"] == {"max_requests_per_minute": 16}, "50 // 3"


def test_shards_are_refused_where_pods_have_no_label_with_their_ordinal():
    case = {"values": CASES["sharded"], "kubernetes": "1.27.4"}
    order = json.dumps({"chart": str(CHART), "cases": {"sharded": case}})
    done = run(
        require("manifest-python"), Path(__file__).parent / "with_tools.py", "render", input=order
    )

    assert "Kubernetes 1.28 or newer is required, this is v1.27.4" in done.stderr, (
        "the linter only logs what fails"
    )


def test_replicas_share_the_rate_limit(rendered):
    assert yaml.safe_load(config_in(resources(rendered, "everything")))["collect"] == {
        "max_requests_per_minute": 25
    }


def test_the_web_config_is_mounted_whole_so_that_its_relative_paths_hold(rendered):
    pod = pod_of(resources(rendered, "everything"))
    environment = environment_of(pod)
    (mount,) = (
        entry["mountPath"]
        for entry in pod["containers"][0]["volumeMounts"]
        if entry["name"] == "web"
    )
    (secret,) = (volume["secret"] for volume in pod["volumes"] if volume["name"] == "web")

    assert environment["COMETAPI_EXPORTER_WEB_CONFIG_FILE"] == f"{mount}/web-config.yml"
    assert secret == {"secretName": "web", "defaultMode": 0o440}
    assert (
        the(resources(rendered, "everything"), "ServiceMonitor")["spec"]["endpoints"][0]["scheme"]
        == "https"
    )


def test_several_pods_are_evicted_one_at_a_time_and_a_single_one_at_any_time(rendered):
    single, several = (resources(rendered, case) for case in ("minimal", "everything"))

    assert the(several, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in {resource["kind"] for resource in single}


def test_helm_and_kustomize_ask_for_the_same_resources(rendered):
    manifest = yaml.safe_load(
        (ROOT / "deploy/kubernetes/exporter/deployment.yaml").read_text(encoding="utf-8")
    )

    assert (
        pod_of(resources(rendered, "minimal"))["containers"][0]["resources"]
        == (pod_of([manifest])["containers"][0]["resources"])
    )


def test_a_threshold_of_the_values_replaces_the_shipped_one_and_nothing_else(rendered, rule_groups):
    changed = {
        "cometapi:threshold:expiry_warning_seconds": "vector(1209600)",
        "cometapi:threshold:quota_low_ratio": "vector(0.25)",
    }
    expected = copy.deepcopy(rule_groups)
    for rule in (rule for group in expected for rule in group["rules"]):
        if rule.get("record") in changed:
            rule["expr"] = changed[rule["record"]]

    assert the(resources(rendered, "accounts"), "PrometheusRule")["spec"]["groups"] == expected


def test_the_dashboards_are_those_of_grafana(rendered):
    found = [
        r
        for r in resources(rendered, "everything")
        if "grafana_dashboard" in r["metadata"]["labels"]
    ]
    shown = {
        name: without_blanks(json.loads(text))
        for resource in found
        for name, text in resource["data"].items()
    }

    assert shown == {
        path.name: without_blanks(json.loads(path.read_text(encoding="utf-8")))
        for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")
    }


def test_an_image_is_named_by_digest_where_there_is_one_else_by_the_chart_s_version(rendered):
    assert (
        pod_of(resources(rendered, "minimal"))["containers"][0]["image"]
        == "cometapi-exporter:0.1.0"
    )
    assert pod_of(resources(rendered, "everything"))["containers"][0]["image"] == (
        "registry.example.org/cometapi-exporter@sha256:" + 64 * "a"
    )


def test_the_options_of_the_file_that_the_schema_allows_are_those_of_the_exporter():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    shared, account = schema["definitions"], schema["definitions"]["account"]["properties"]

    assert set(schema["properties"]["collect"]["properties"]) == set(COLLECT_KEYS)
    assert set(account["collect"]["properties"]) == set(OWN_COLLECT_KEYS)
    assert set(shared["keys"]["properties"]) == set(FILTER_KEYS)
    assert set(shared["thresholds"]["items"]["properties"]) == set(THRESHOLD_KEYS)


def test_every_value_of_the_chart_is_in_its_schema():
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    whole = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    schema = {
        name: whole["definitions"].get(str(part.get("$ref")).rpartition("/")[2], part)
        for name, part in whole["properties"].items()
    }

    assert set(schema) - {"global", "enabled"} == set(values), "these two are of parent charts"
    for name, section in values.items():
        if "properties" in schema[name]:
            assert set(section) <= set(schema[name]["properties"]), name


def test_the_icon_of_the_chart_is_in_the_tree():
    icon = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["icon"]

    assert (Path(exporter.__file__).parents[1] / icon.partition("/main/")[2]).is_file()


def test_users_and_groups_are_left_to_the_cluster_by_one_value_or_by_nulls(rendered):
    for case in ("openshift", "a platform without nulls", "nulls for the platform"):
        assert pod_of(resources(rendered, case))["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, case


def test_a_platform_s_own_user_takes_the_place_of_the_image_s(rendered):
    secure = pod_of(resources(rendered, "platform"))["securityContext"]

    assert (secure["runAsUser"], secure["fsGroup"]) == (1_000_680_000, 1_000_680_000)
    assert "runAsGroup" not in secure


def egress_of(rendered: dict[str, Any], case: str) -> Any:
    """Return the rules for outgoing connections."""
    return the(resources(rendered, case), "NetworkPolicy")["spec"].get("egress")


def test_an_empty_list_of_ports_never_allows_every_port(rendered):
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}

    assert egress_of(rendered, "no egress but DNS") == [dns]
    assert egress_of(rendered, "no egress at all") == []
    assert egress_of(rendered, "no egress policy") is None
    assert the(resources(rendered, "no egress policy"), "NetworkPolicy")["spec"]["policyTypes"] == [
        "Ingress"
    ]


def test_ports_ranges_protocols_and_addresses_of_gateways_are_those_of_the_values(rendered):
    _, gateways, more = egress_of(rendered, "platform")

    assert gateways == {
        "ports": [
            {"port": 443, "protocol": "TCP"},
            {"port": 8000, "endPort": 8999, "protocol": "TCP"},
            {"port": 443, "protocol": "UDP"},
        ],
        "to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}],
    }
    assert more["ports"] == [{"port": 3128, "protocol": "TCP"}]


def test_probes_take_fields_and_handlers_of_the_values_or_are_off(rendered):
    container = pod_of(resources(rendered, "platform"))["containers"][0]
    without = pod_of(resources(rendered, "no probes"))["containers"][0]

    assert container["livenessProbe"] == {
        "httpGet": {"path": "/-/healthy", "port": "http"},
        "periodSeconds": 60,
        "timeoutSeconds": 5,
        "failureThreshold": 5,
    }
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": 10144}
    assert container["startupProbe"]["failureThreshold"] == 30
    assert not {"livenessProbe", "readinessProbe", "startupProbe"} & set(without)


def test_a_missing_secret_does_not_keep_the_pod_from_starting(rendered):
    volumes = pod_of(resources(rendered, "accounts"))["volumes"]
    (tokens,) = (volume["projected"] for volume in volumes if volume["name"] == "tokens")

    assert [source["secret"]["optional"] for source in tokens["sources"]] == [True, True, True]


def loaded_with(found, there, folder) -> Settings:
    """Load the configuration of the pod in *folder*, with the mounted files *there* and no others."""
    for path in there:
        place = folder / Path(path).relative_to(SECRETS)
        place.parent.mkdir(exist_ok=True)
        place.write_text("token", encoding="utf-8")
    file = folder / "config.yml"
    file.write_text(config_in(found).replace(SECRETS, str(folder)), encoding="utf-8")
    return load_settings({"config_file": str(file)}, {})


def test_the_exporter_starts_while_the_secret_of_one_account_is_missing(rendered, tmp_path):
    found = resources(rendered, "sharded")
    _, *there = mounted_secrets(pod_of(found))

    assert len(there) == 3
    assert len(loaded_with(found, there, tmp_path).accounts) == 4


def test_the_exporter_starts_while_the_ca_of_one_account_is_missing(rendered, tmp_path):
    found = resources(rendered, "accounts")
    tokens = [path for path in mounted_secrets(pod_of(found)) if not path.endswith(".pem")]
    missing = [account.ca_file for account in loaded_with(found, tokens, tmp_path).accounts]

    assert missing == [None, GivenFile(tmp_path / "private-ca/root.pem")]


def test_a_monitor_in_another_namespace_looks_for_the_pods_in_that_of_the_release(rendered):
    monitor = the(resources(rendered, "platform"), "PodMonitor")

    assert monitor["metadata"]["namespace"] == "prometheus"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["monitoring"]}
    assert monitor["spec"]["sampleLimit"] == 2_000_000
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {
            "port": "http",
            "path": "/metrics",
            "interval": "60s",
            "scrapeTimeout": "10s",
            "honorLabels": True,
            "relabelings": [{"action": "labeldrop", "regex": "pod"}],
            "metricRelabelings": [
                {"action": "drop", "sourceLabels": ["__name__"], "regex": "python_info"}
            ],
            "enableHttp2": False,
        }
    ]


def test_alerts_can_be_left_out_and_get_labels_and_annotations_but_records_stay(
    rendered, rule_groups
):
    groups = the(resources(rendered, "kube-prometheus-stack"), "PrometheusRule")["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    shipped = [rule for group in rule_groups for rule in group["rules"]]

    assert [rule["alert"] for rule in rules if "alert" in rule] == [
        rule["alert"]
        for rule in shipped
        if rule.get("alert", "CometAPIKeyUnused") != "CometAPIKeyUnused"
    ]
    assert {rule["labels"]["team"] for rule in rules if "alert" in rule} == {"llm"}
    assert [rule for rule in rules if "record" in rule] == [
        rule for rule in shipped if "record" in rule
    ]


def test_the_example_for_victoriametrics_scrapes_and_alerts_as_the_chart_does(
    rendered, rule_groups
):
    found = resources(rendered, "victoriametrics")
    scrape, shipped = (
        the(found, "VMServiceScrape"),
        the(resources(rendered, "openshift"), "ServiceMonitor"),
    )

    assert scrape["spec"] == shipped["spec"]
    assert the(found, "VMRule")["spec"]["groups"] == rule_groups


def test_every_resource_carries_the_common_labels_and_a_namespace(rendered):
    found = resources(rendered, "platform")
    pods = workload_of(found)["spec"]["template"]

    assert {resource["metadata"]["labels"].get("cost-center") for resource in found} == {"llm"}
    assert pods["metadata"]["labels"]["cost-center"] == "llm"
    assert {resource["metadata"]["namespace"] for resource in found} == {
        "monitoring",
        "prometheus",
        "grafana",
    }


def test_a_user_id_may_be_text_and_a_parent_chart_may_have_a_condition(rendered):
    config = yaml.safe_load(config_in(resources(rendered, "a user ID as text")))

    assert config["accounts"][0]["user_id"] == 7
    assert resources(rendered, "a dependency") == resources(rendered, "minimal")


def test_an_upgrade_that_keeps_the_values_of_the_former_chart_gives_the_same_resources(
    rendered, tmp_path
):
    """`helm upgrade --reuse-values` replaces the values of the new chart by those of the old one."""
    copy_of_chart = tmp_path / "cometapi-exporter"
    shutil.copytree(CHART, copy_of_chart)
    former_text = FORMER_VALUES.read_text(encoding="utf-8")
    # The memory limit alone is another one since: those who keep their values keep the former.
    raised = former_text.replace("memory: 384Mi", "memory: 512Mi")
    (copy_of_chart / "values.yaml").write_text(raised, encoding="utf-8")
    former = yaml.safe_load(former_text)
    cases = {
        name: {"values": values} for name, values in CASES.items() if set(values) <= set(former)
    }
    order = json.dumps({"chart": str(copy_of_chart), "cases": cases})
    tool = Path(__file__).parent / "with_tools.py"
    upgraded = json.loads(output_of(require("manifest-python"), tool, "render", input=order))

    assert {"minimal", "everything", "sharded"} <= set(cases)
    for name in cases:
        assert resources(upgraded, name) == resources(rendered, name), name

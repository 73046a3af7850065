"""The Compose file, loaded as Docker Compose loads it, and its configuration checked by the real programs."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from binaries import require
from processes import output_of, run

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose"
SHIPPED = (COMPOSE / ".env.example").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\{([A-Z_]+)")


def load(env_file: str, folder: Path) -> dict[str, Any]:
    """Load the composition from a copy with *env_file* as its .env."""
    done = load_raw(env_file, folder)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def load_raw(env_file: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Load it; the caller judges the result."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COMETAPI", "GRAFANA", "COMPOSE"))
    }
    copy = shutil.copytree(
        COMPOSE, folder / "deploy/compose", ignore=shutil.ignore_patterns(".env", "secrets")
    )
    (copy / ".env").write_text(env_file, encoding="utf-8")
    return run(require("composecheck"), copy / "compose.yaml", env=kept)


@pytest.fixture
def demo(tmp_path: Path) -> dict[str, Any]:
    """Return the composition with .env as it is shipped."""
    return load(SHIPPED, tmp_path)


def test_as_shipped_it_is_the_demo_and_needs_no_token(demo):
    assert demo["services"]["exporter"]["command"] == ["--demo"]
    assert demo["secrets"]["cometapi-token"]["file"] == "/dev/null"


def test_one_variable_switches_to_the_real_account(tmp_path):
    lines = [
        "COMETAPI_MODE=",
        "COMETAPI_TOKEN_FILE=./secrets/token",
        "COMETAPI_USER_ID=7",
        "GRAFANA_ADMIN_PASSWORD=x",
    ]
    real = load("\n".join(lines), tmp_path)
    exporter = real["services"]["exporter"]

    assert not exporter.get("command")
    assert exporter["environment"]["COMETAPI_ACCESS_TOKEN_FILE"] == "/run/secrets/cometapi-token"
    assert exporter["environment"]["COMETAPI_USER_ID"] == "7"
    assert exporter["secrets"] == [
        {"source": "cometapi-token", "target": "/run/secrets/cometapi-token"}
    ]
    assert real["secrets"]["cometapi-token"]["file"] == str(
        tmp_path / "deploy/compose/secrets/token"
    )


@pytest.mark.parametrize(
    ("env_file", "said"),
    [
        ("GRAFANA_ADMIN_PASSWORD=x\n", "copy .env.example to .env"),
        ("COMETAPI_MODE=--demo\n", "GRAFANA_ADMIN_PASSWORD"),
    ],
    ids=["without a mode", "without a password for Grafana"],
)
def test_without_what_it_needs_it_does_not_start(tmp_path, env_file, said):
    done = load_raw(env_file, tmp_path)

    assert done.returncode == 1
    assert said in done.stderr


def test_every_service_is_hardened(demo):
    assert set(demo["services"]) == {"exporter", "prometheus", "alertmanager", "grafana"}
    for name, service in demo["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name
        assert {"privileged", "network_mode", "pid", "ipc", "cap_add"} & set(service) == set(), name


def test_nothing_but_grafana_can_be_published_beyond_loopback(tmp_path):
    opened = load(SHIPPED.replace("GRAFANA_ADDRESS=127.0.0.1", "GRAFANA_ADDRESS=0.0.0.0"), tmp_path)
    published = {
        name: {port["host_ip"] for port in service["ports"]}
        for name, service in opened["services"].items()
    }

    assert published.pop("grafana") == {"0.0.0.0"}
    assert set().union(*published.values()) == {"127.0.0.1"}


def test_every_image_is_pinned_to_a_full_version(demo):
    images = {name: service["image"] for name, service in demo["services"].items()}

    assert images.pop("exporter") == "cometapi-exporter:0.1.0"
    for image in images.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", image), image


def test_every_service_has_a_health_check_and_starts_after_what_it_reads(demo):
    assert [
        name for name, service in demo["services"].items() if "healthcheck" not in service
    ] == []
    assert (
        demo["services"]["prometheus"]["depends_on"]["exporter"]["condition"] == "service_healthy"
    )
    assert demo["services"]["grafana"]["depends_on"]["prometheus"]["condition"] == "service_healthy"


def test_every_mount_exists_in_the_tree_and_is_read_only(demo):
    binds = [
        volume
        for each in demo["services"].values()
        for volume in each.get("volumes", [])
        if volume["type"] == "bind"
    ]
    sources = [ROOT / "deploy" / volume["source"].partition("/deploy/")[2] for volume in binds]

    assert len(binds) == 6
    assert [source for source in sources if not source.exists()] == []
    assert [volume["target"] for volume in binds if not volume["read_only"]] == []


def test_the_home_dashboard_and_the_provisioned_folder_are_where_the_mounts_put_them(demo):
    grafana = demo["services"]["grafana"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    (provider,) = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/dashboards/cometapi.yml").read_text()
    )["providers"]
    (source,) = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"]

    assert provider["options"]["path"] == str(home.parent)
    assert (ROOT / "deploy/grafana/dashboards" / home.name).is_file()
    assert source["url"] == "http://prometheus:9090"


def test_prometheus_is_configured_as_elsewhere_except_for_the_two_addresses():
    shipped = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    moved = shipped.replace("127.0.0.1:10144", "exporter:10144").replace(
        "127.0.0.1:9093", "alertmanager:9093"
    )

    assert yaml.safe_load(
        (COMPOSE / "prometheus.yml").read_text(encoding="utf-8")
    ) == yaml.safe_load(moved)


def test_promtool_accepts_the_configuration_with_the_rules_at_their_mount(tmp_path):
    shutil.copy(COMPOSE / "prometheus.yml", tmp_path)
    shutil.copytree(ROOT / "deploy/prometheus/rules", tmp_path / "rules")

    assert "2 rule files found" in output_of(
        require("promtool"), "check", "config", tmp_path / "prometheus.yml"
    )


def test_the_example_of_settings_names_every_variable_of_the_composition_and_no_other():
    text = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    passed_on = {
        name
        for name, value in yaml.safe_load(text)["services"]["exporter"]["environment"].items()
        if value is None
    }

    assert (
        set(re.findall(r"^#?([A-Z_]+)=", SHIPPED, re.MULTILINE))
        == set(VARIABLE.findall(text)) | passed_on
    )


def test_secrets_beside_the_composition_are_never_committed():
    ignored = [COMPOSE / "secrets/.gitignore", COMPOSE / "secrets/alertmanager/.gitignore"]

    for path in ignored:
        assert "*" in path.read_text(encoding="utf-8").split("\n")


def test_the_one_shot_of_the_history_writes_into_the_storage_of_prometheus():
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["services"]
    backfill, prometheus = services["backfill"], services["prometheus"]

    assert backfill["profiles"] == ["backfill"]
    assert backfill["image"] == prometheus["image"]
    assert backfill["user"] == prometheus["user"]
    assert "prometheus-data:/prometheus" in backfill["volumes"]
    assert "--storage.tsdb.retention.time=${PROMETHEUS_RETENTION:-70d}" in prometheus["command"]

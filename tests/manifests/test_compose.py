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

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose"
VARIABLE = re.compile(r"\$\{([A-Z_]+)")


def load(*, env_file: str, folder: Path, **variables: str) -> dict[str, Any]:
    """Load the composition from a copy with *env_file* as its .env."""
    done = load_raw(env_file=env_file, folder=folder, **variables)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def load_raw(*, env_file: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Load it; the caller judges the result."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("COMETAPI", "GRAFANA", "COMPOSE"))
    }
    copy = shutil.copytree(COMPOSE, folder / "deploy/compose", ignore=shutil.ignore_patterns(".env", "secrets"))
    (copy / ".env").write_text(env_file, encoding="utf-8")
    return subprocess.run(
        [require("composecheck"), copy / "compose.yaml"],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def demo(tmp_path: Path) -> dict[str, Any]:
    """Return the composition with .env as it is shipped."""
    return load(env_file=(COMPOSE / ".env.example").read_text(encoding="utf-8"), folder=tmp_path)


def test_as_shipped_it_is_the_demo_and_needs_no_token(demo):
    assert demo["services"]["exporter"]["command"] == ["--demo"]
    assert demo["secrets"]["cometapi-token"]["file"] == "/dev/null"


def test_one_variable_switches_to_the_real_account(tmp_path):
    real = load(
        env_file="COMETAPI_MODE=\nCOMETAPI_TOKEN_FILE=./secrets/token\nCOMETAPI_USER_ID=7\nGRAFANA_ADMIN_PASSWORD=x\n",
        folder=tmp_path,
    )
    exporter = real["services"]["exporter"]

    assert not exporter.get("command")
    assert exporter["environment"]["COMETAPI_ACCESS_TOKEN_FILE"] == "/run/secrets/cometapi-token"
    assert exporter["environment"]["COMETAPI_USER_ID"] == "7"
    assert exporter["secrets"] == [{"source": "cometapi-token", "target": "/run/secrets/cometapi-token"}]
    assert real["secrets"]["cometapi-token"]["file"] == str(tmp_path / "deploy/compose/secrets/token")


def test_without_a_mode_it_does_not_start(tmp_path):
    done = load_raw(env_file="GRAFANA_ADMIN_PASSWORD=x\n", folder=tmp_path)

    assert done.returncode == 1
    assert "copy .env.example to .env" in done.stderr


def test_grafana_does_not_start_without_a_password(tmp_path):
    done = load_raw(env_file="COMETAPI_MODE=--demo\n", folder=tmp_path)

    assert done.returncode == 1
    assert "GRAFANA_ADMIN_PASSWORD" in done.stderr


def test_every_service_is_hardened(demo):
    assert set(demo["services"]) == {"exporter", "prometheus", "alertmanager", "grafana"}
    for name, service in demo["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name
        assert {"privileged", "network_mode", "pid", "ipc", "cap_add"} & set(service) == set(), name


def test_nothing_but_grafana_can_be_published_beyond_loopback(tmp_path):
    shipped = (COMPOSE / ".env.example").read_text(encoding="utf-8")
    opened = load(env_file=shipped.replace("GRAFANA_ADDRESS=127.0.0.1", "GRAFANA_ADDRESS=0.0.0.0"), folder=tmp_path)
    published = {
        name: [(port["host_ip"], port["published"], port["target"]) for port in service["ports"]]
        for name, service in opened["services"].items()
    }

    assert published == {
        "exporter": [("127.0.0.1", "10144", 10144)],
        "prometheus": [("127.0.0.1", "9090", 9090)],
        "alertmanager": [("127.0.0.1", "9093", 9093)],
        "grafana": [("0.0.0.0", "3000", 3000)],
    }


def test_every_image_is_pinned_to_a_full_version(demo):
    images = {name: service["image"] for name, service in demo["services"].items()}

    assert images.pop("exporter") == "cometapi-exporter:0.1.0"
    for image in images.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", image), image


def test_every_service_has_a_health_check_and_starts_after_what_it_reads(demo):
    assert [name for name, service in demo["services"].items() if "healthcheck" not in service] == []
    assert demo["services"]["prometheus"]["depends_on"]["exporter"]["condition"] == "service_healthy"
    assert demo["services"]["grafana"]["depends_on"]["prometheus"]["condition"] == "service_healthy"


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Return what of the tree is mounted where; each of them must be for reading only."""
    binds = [volume for volume in service["volumes"] if volume["type"] == "bind"]
    assert all(volume["read_only"] for volume in binds)
    return {volume["target"]: volume["source"].partition("/deploy/")[2] for volume in binds}


def test_every_mount_exists_in_the_tree_and_is_read_only(demo):
    services = demo["services"]
    sources = {
        "prometheus": {
            "/etc/prometheus/prometheus.yml": "compose/prometheus.yml",
            "/etc/prometheus/rules": "prometheus/rules",
        },
        "alertmanager": {
            "/etc/alertmanager/alertmanager.yml": "alertmanager/alertmanager.yml",
            "/etc/alertmanager/secrets": "compose/secrets/alertmanager",
        },
        "grafana": {
            "/etc/grafana/provisioning": "grafana/provisioning",
            "/var/lib/grafana/dashboards/cometapi": "grafana/dashboards",
        },
    }

    assert {name: mounts(services[name]) for name in sources} == sources
    for places in sources.values():
        for source in places.values():
            assert (ROOT / "deploy" / source).exists(), source


def test_the_home_dashboard_and_the_provisioned_folder_are_where_the_mounts_put_them(demo):
    grafana = demo["services"]["grafana"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    (provider,) = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/cometapi.yml").read_text())[
        "providers"
    ]
    (source,) = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]

    assert provider["options"]["path"] == str(home.parent)
    assert (ROOT / "deploy/grafana/dashboards" / home.name).is_file()
    assert source["url"] == "http://prometheus:9090"


def test_prometheus_is_configured_as_elsewhere_except_for_the_two_addresses():
    shipped = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    moved = shipped.replace("127.0.0.1:10144", "exporter:10144").replace("127.0.0.1:9093", "alertmanager:9093")

    assert yaml.safe_load((COMPOSE / "prometheus.yml").read_text(encoding="utf-8")) == yaml.safe_load(moved)


def test_promtool_accepts_the_configuration_with_the_rules_at_their_mount(tmp_path):
    shutil.copy(COMPOSE / "prometheus.yml", tmp_path)
    shutil.copytree(ROOT / "deploy/prometheus/rules", tmp_path / "rules")
    done = subprocess.run(
        [require("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout


def test_the_example_of_settings_names_every_variable_of_the_composition_and_no_other():
    text = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    passed_on = {
        name for name, value in yaml.safe_load(text)["services"]["exporter"]["environment"].items() if value is None
    }
    example = (COMPOSE / ".env.example").read_text(encoding="utf-8")

    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == set(VARIABLE.findall(text)) | passed_on


def test_secrets_beside_the_composition_are_never_committed():
    ignored = [COMPOSE / "secrets/.gitignore", COMPOSE / "secrets/alertmanager/.gitignore"]

    for path in ignored:
        assert "*" in path.read_text(encoding="utf-8").split("\n")

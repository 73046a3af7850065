"""What manifests call ports, flags, variables and paths is what the exporter calls them."""

import re
from pathlib import Path

import pytest
from processes import run_exporter

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

VARIABLES = {
    "COMETAPI_ACCESS_TOKEN",
    "COMETAPI_ACCESS_TOKEN_FILE",
    "COMETAPI_BASE_URL",
    "COMETAPI_USER_ID",
    "COMETAPI_QUOTA_PER_USD",
    "COMETAPI_CA_FILE",
    "COMETAPI_ALLOW_INSECURE_HTTP",
    "COMETAPI_EXPORTER_CONFIG_FILE",
    "COMETAPI_EXPORTER_INTERVAL",
    "COMETAPI_EXPORTER_TIMEOUT",
    "COMETAPI_EXPORTER_STALE_AFTER",
    "COMETAPI_EXPORTER_CONCURRENCY",
    "COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE",
    "COMETAPI_EXPORTER_LISTEN_ADDRESS",
    "COMETAPI_EXPORTER_TELEMETRY_PATH",
    "COMETAPI_EXPORTER_WEB_CONFIG_FILE",
    "COMETAPI_EXPORTER_LOG_LEVEL",
    "COMETAPI_EXPORTER_LOG_FORMAT",
}
FLAGS = {
    "--cometapi.access-token-file",
    "--cometapi.base-url",
    "--cometapi.user-id",
    "--cometapi.quota-per-usd",
    "--cometapi.ca-file",
    "--cometapi.allow-insecure-http",
    "--config.file",
    "--collect.interval",
    "--collect.timeout",
    "--collect.stale-after",
    "--collect.concurrency",
    "--collect.max-requests-per-minute",
    "--web.listen-address",
    "--web.telemetry-path",
    "--web.config.file",
    "--log.level",
    "--log.format",
}
OF_THE_COMPOSITION = {"COMETAPI_MODE", "COMETAPI_TOKEN_FILE"}
OF_PROMETHEUS_AND_ALERTMANAGER = {"--web.external-url"}

GENERATED = re.compile(r"/files/|/prometheusrule\.yaml$|/dashboard-\w+\.yaml$")
KINDS = {".yaml", ".yml", ".tpl", ".txt", ".service", ".example"}
WRITTEN_BY_HAND = [
    *sorted(
        path
        for folder in ("compose", "kubernetes", "helm", "systemd")
        for path in (DEPLOY / folder).rglob("*")
        if path.suffix in KINDS and not GENERATED.search(str(path))
    ),
    ROOT / "Dockerfile",
    DEPLOY / "README.md",
    ROOT / "docs/scaling.md",
]


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_and_flag_of_a_manifest_exists(path):
    text = path.read_text(encoding="utf-8")
    variables = set(re.findall(r"\bCOMETAPI_[A-Z_]*[A-Z]\b(?!\.)", text))
    flags = set(re.findall(r"--(?:cometapi|config|collect|web|log)\.[a-z][a-z.-]*[a-z]", text))

    assert variables - VARIABLES - OF_THE_COMPOSITION - {"COMETAPI_EXPORTER"} == set()
    assert flags - FLAGS - OF_PROMETHEUS_AND_ALERTMANAGER == set()


def test_the_exporter_offers_what_is_listed_above():
    help_text = run_exporter("--help", COLUMNS="200").stdout

    assert FLAGS - set(re.findall(r"--(?:cometapi|config|collect|web|log)\.[a-z.-]*[a-z]", help_text)) == set()
    assert VARIABLES - set(re.findall(r"\bCOMETAPI_[A-Z_]*[A-Z]\b", help_text)) == set()


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_manifest_names_another_port_or_probe(path):
    text = path.read_text(encoding="utf-8")
    known = {"10144", "9090", "9093", "3000", "3128", "443"}

    assert set(re.findall(r"(?:127\.0\.0\.1|\bexporter|localhost):(\d+)\b(?!\.)", text)) <= known
    assert set(re.findall(r"(?<![\w.])/-/[a-z]+", text)) <= {"/-/healthy", "/-/ready"}

"""What manifests call ports, flags, variables and paths is what the exporter calls them."""

import re
from pathlib import Path

import pytest
from promises import FLAGS, MODES, VARIABLES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

OF_THE_COMPOSITION = {"COMETAPI_MODE", "COMETAPI_TOKEN_FILE"}
OF_PROMETHEUS_AND_ALERTMANAGER = {"--web.external-url"}

VARIABLE = r"\bCOMETAPI_[A-Z_]*[A-Z]\b(?!\.)"
FLAG = r"--(?:cometapi|config|collect|keys|shards|web|probe|log)\.[a-z][a-z.-]*[a-z]"
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
    ROOT / "docs/integrations.md",
]


each_file = pytest.mark.parametrize(
    "path", WRITTEN_BY_HAND, ids=lambda path: str(path.relative_to(ROOT))
)


@each_file
def test_every_variable_and_flag_of_a_manifest_exists(path):
    text = path.read_text(encoding="utf-8")
    variables, flags = set(re.findall(VARIABLE, text)), set(re.findall(FLAG, text))

    assert variables <= {*VARIABLES, *OF_THE_COMPOSITION, "COMETAPI_EXPORTER"}
    assert flags <= {*FLAGS, *MODES, *OF_PROMETHEUS_AND_ALERTMANAGER}


@each_file
def test_no_manifest_names_another_port_or_probe(path):
    text = path.read_text(encoding="utf-8")
    known = {"10144", "9090", "9093", "3000", "3128", "443"}

    assert set(re.findall(r"(?:127\.0\.0\.1|\bexporter|localhost):(\d+)\b(?!\.)", text)) <= known
    assert set(re.findall(r"(?<![\w.])/-/[a-z]+", text)) <= {"/-/healthy", "/-/ready"}

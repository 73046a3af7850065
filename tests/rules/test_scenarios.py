"""Situations of real life and their look-alikes: tests/scenarios.py has the table."""

from pathlib import Path

import pytest
import yaml
from binaries import require
from processes import output_of
from scenarios import SCENARIOS, Scenario

RULES = Path(__file__).parents[2] / "deploy/prometheus/rules"
GROUPS = ("thresholds", "records", "hourly", "usual", "keys", "accounts", "exporter")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_alerts_fire_when_they_should(scenario: Scenario, tmp_path: Path) -> None:
    document = {
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yml"))],
        "evaluation_interval": "1m",
        "group_eval_order": [f"cometapi-{name}" for name in GROUPS],
        "tests": [scenario.as_test()],
    }
    path = tmp_path / "scenario.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    assert "SUCCESS" in output_of(require("promtool"), "test", "rules", path, seconds=100)

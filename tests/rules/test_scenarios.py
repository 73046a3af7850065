"""Situations of real life and their look-alikes: tests/scenarios.py has the table."""

from pathlib import Path

import pytest
from rule_tests import assert_holds
from scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_alerts_fire_when_they_should(scenario: Scenario, tmp_path: Path) -> None:
    assert_holds({"evaluation_interval": "1m", "tests": [scenario.as_test()]}, tmp_path)


@pytest.mark.parametrize(("threshold", "severity"), [(0, "info"), (1, "warning"), (2, "critical")])
def test_the_severity_of_a_broken_policy_is_a_threshold(
    threshold: int, severity: str, tmp_path: Path
) -> None:
    labels = 'job="c",account="main",key_id="1",key_name="web",group="vip",policy="name"'
    broken = {
        "series": f"cometapi_key_policy_violation{{{labels}}}",
        "values": "1x30",
    }
    firing = {
        "expr": 'count by (severity) (ALERTS{alertname="CometAPIKeyPolicyViolation",alertstate="firing"})',
        "eval_time": "20m",
        "exp_samples": [{"labels": f'{{severity="{severity}"}}', "value": 1}],
    }
    test = {"interval": "1m", "input_series": [broken], "promql_expr_test": [firing]}

    assert_holds(
        {"evaluation_interval": "1m", "tests": [test]}, tmp_path, policy_severity=threshold
    )

"""Two copies of the bundled rules in one Prometheus, as two releases of the Helm chart install them."""

import time
from pathlib import Path

import pytest
from alerting import write_hurried_rules
from processes import Prometheus, wait_until

IN_USE = "cometapi:threshold:in_use_seconds"
STATE = 'ALERTS{alertname="CometAPIThresholdMissing"}'
LONGER_THAN_IT_WAITS_SECONDS = 8
"""The alert waits for 3 s, after four changes of a threshold, two a second."""


def two_releases(folder: Path, *, in_use: int) -> Prometheus:
    """Run Prometheus with two copies of the rules; a key is *in_use* for so long in the second one."""
    copies = [folder / "one", folder / "two"]
    for copy in copies:
        copy.mkdir()
        write_hurried_rules(copy)
    path = copies[1] / "rules/alerts.yml"
    text = path.read_text(encoding="utf-8")
    assert text.count("vector(604800)") == 2
    at = text.rindex("vector(604800)")
    path.write_text(text[:at] + f"vector({in_use})" + text[at + len("vector(604800)") :])

    files = [str(copy / "rules/*.yml") for copy in copies]
    return Prometheus(folder, {"global": {"evaluation_interval": "1s"}, "rule_files": files})


def states(prometheus: Prometheus) -> set[str]:
    return {sample["metric"]["alertstate"] for sample in prometheus.query(STATE)}


@pytest.mark.timeout(90)
def test_two_releases_with_thresholds_of_their_own_are_told(tmp_path: Path) -> None:
    with two_releases(tmp_path, in_use=3_600) as prometheus:
        wait_until(lambda: "firing" in states(prometheus), seconds=40)

        assert float(prometheus.value(f"changes({IN_USE}[1m])") or 0) > 3


@pytest.mark.timeout(90)
def test_look_alike_two_releases_with_the_same_thresholds_agree(tmp_path: Path) -> None:
    with two_releases(tmp_path, in_use=604_800) as prometheus:
        wait_until(lambda: prometheus.value(f"count_over_time({IN_USE}[1m]) > 10"))
        end = time.monotonic() + LONGER_THAN_IT_WAITS_SECONDS
        while time.monotonic() < end:
            assert "firing" not in states(prometheus)
            time.sleep(0.5)

"""What docs/alerting.md shows for your own Alertmanager is accepted by its own checker."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerting import shipped
from binaries import require
from processes import output_of

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/alerting.md").read_text(encoding="utf-8")
BLOCKS = [
    yaml.safe_load(block)
    for block in re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
]
RECEIVERS = [block["receivers"][0] for block in BLOCKS if "receivers" in block]
BUNDLED = shipped("alertmanager/alertmanager.yml")
SECTION_6 = GUIDE.split("\n## 6. ")[1].split("\n## ")[0]
(REHEARSAL,) = [
    re.findall(r"\w+=\w+", labels)
    for labels in re.findall(r"amtool alert add (.+?) \\\n", SECTION_6)
]
"""The labels of the alert that the guide sends to your own Alertmanager."""


def check(document: dict[str, Any], folder: Path) -> str:
    """Run `amtool check-config` on *document*, and return its output; fail the test if it fails."""
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return output_of(require("amtool"), "check-config", path)


def test_the_webhook_works_as_pasted_because_it_needs_no_file() -> None:
    assert "_file" not in str(next(each for each in RECEIVERS if each["name"] == "webhook"))


def test_the_guide_shows_a_webhook_slack_and_pagerduty() -> None:
    assert [receiver["name"] for receiver in RECEIVERS] == ["webhook", "slack", "pagerduty"]


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda receiver: receiver["name"])
def test_a_receiver_fits_into_the_bundled_configuration(
    receiver: dict[str, Any], tmp_path: Path
) -> None:
    others = [each for each in BUNDLED["receivers"] if each["name"] != receiver["name"]]
    document = BUNDLED | {"receivers": [*others, receiver], "route": {"receiver": receiver["name"]}}

    assert "receivers" in check(document, tmp_path)


def test_the_route_and_the_inhibition_fit_into_a_configuration_of_yours(tmp_path: Path) -> None:
    (route,) = [block["route"] for block in BLOCKS if "route" in block]
    document = {
        "route": {"receiver": "everybody"} | route,
        "receivers": [{"name": "everybody"}, {"name": "your-team"}],
        "inhibit_rules": BUNDLED["inhibit_rules"],
    }

    assert "2 receivers" in check(document, tmp_path)
    command = (
        f"config routes test --verify.receivers=your-team --config.file={tmp_path / 'config.yml'}"
    )
    output_of(require("amtool"), *command.split(), "alertname=CometAPIKeyUnused")
    output_of(require("amtool"), *command.split(), *REHEARSAL)


def test_the_commands_of_that_section_change_the_files_that_it_installed() -> None:
    (installed,) = re.findall(r"sudo install .* -t (\S+) ", SECTION_6)
    changed = re.findall(r"sed -i '.*' (\S+)", SECTION_6)

    assert changed == [f"{installed}/alerts.yml"] * 2


def test_the_inhibition_touches_no_alert_of_others() -> None:
    names = [
        re.findall(r'alertname =~? "?(.+?)"?$', matcher)
        for rule in BUNDLED["inhibit_rules"]
        for side in ("source_matchers", "target_matchers")
        for matcher in [next(one for one in rule[side] if re.match("alertname =", one))]
    ]

    assert [
        name
        for (name,) in names
        if not all(part.startswith("CometAPI") for part in alternatives(name))
    ] == []


def alternatives(pattern: str) -> list[str]:
    """Split a pattern at the bars that are outside of parentheses."""
    return re.findall(r"(?:[^|(]|\([^)]*\))+", pattern)

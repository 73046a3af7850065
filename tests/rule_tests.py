"""Run `promtool test rules` on the bundled rules.

Talks to: promtool, and files in a folder of the test.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from binaries import require
from processes import output_of

RULES = Path(__file__).parents[1] / "deploy/prometheus/rules"
GROUPS = ("thresholds", "records", "hourly", "usual", "keys", "accounts", "exporter")
MONTH = "cometapi_usage_month_quota"
FORECAST = ":rest_of_month"
"""How the records that read 28 days of usage end. Prometheus evaluates them once an hour, promtool
once a minute: two thirds of its time."""


def bundled(*, with_forecast: bool, thresholds: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return the bundled rule files by name, decoded, with other *thresholds* by name if any.

    *with_forecast*, with all of their rules.
    """
    files = {
        path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(RULES.glob("*.yml"))
    }
    for rule in files["alerts.yml"]["groups"][0]["rules"]:
        name = rule["record"].removeprefix("cometapi:threshold:")
        if name in thresholds:
            rule["expr"] = f"vector({thresholds[name]})"
    if not with_forecast:
        for group in files["records.yml"]["groups"]:
            kept = [rule for rule in group["rules"] if not rule["record"].endswith(FORECAST)]
            group["rules"] = kept
    return files


def assert_holds(
    document: Mapping[str, Any], folder: Path, *, seconds: float = 100, **thresholds: int
) -> None:
    """Run the tests in *document*; the forecasts of a month only if the tests know any month.

    Its own `rule_files` and order of groups are replaced. *thresholds* replace the bundled ones.
    """
    files = bundled(with_forecast=MONTH in str(document), thresholds=thresholds)
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    path = folder / "scenario.yml"
    whole = {
        **document,
        "rule_files": list(files),
        "group_eval_order": [f"cometapi-{name}" for name in GROUPS],
    }
    path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")

    assert "SUCCESS" in output_of(require("promtool"), "test", "rules", path, seconds=seconds)

"""The code, the rules and the dashboards speak of the same metrics, which are those that users were promised."""

import re

from dashboards.committed import BOTH
from dashboards.queries import all_expressions
from rules.test_rules import PROMISED_METRICS

from exporter.catalogue import SNAPSHOT_FAMILIES
from exporter.telemetry import TELEMETRY_FAMILIES

PARTS = {"histogram": ("_bucket", "_sum", "_count")}


def served() -> set[str]:
    families = (*SNAPSHOT_FAMILIES, *TELEMETRY_FAMILIES)
    return {f"{family.name}{part}" for family in families for part in PARTS.get(family.kind, ("",))}


def test_the_code_serves_what_the_rules_rely_on():
    assert {name for name in PROMISED_METRICS if name.startswith("cometapi_")} <= served()


def test_the_code_serves_what_the_dashboards_show():
    queries = [query for board in BOTH for query in all_expressions(board)]
    asked = {name for query in queries for name in re.findall(r"cometapi_\w+(?=[{,])", query)}

    assert asked
    assert asked <= served()

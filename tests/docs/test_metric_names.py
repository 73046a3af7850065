"""The code, the rules and the dashboards name the same metrics, which are those that users were promised."""

import re

import pytest
from dashboards.committed import BOTH
from dashboards.queries import all_expressions
from promises import METRICS, SERIES

from exporter.exposition.catalogue import SNAPSHOT_FAMILIES
from exporter.exposition.telemetry import TELEMETRY_FAMILIES

FAMILIES = {family.name: family for family in (*SNAPSHOT_FAMILIES, *TELEMETRY_FAMILIES)}


def test_the_code_serves_what_was_promised_and_nothing_else():
    assert FAMILIES.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_a_family_has_the_promised_type_and_labels(name):
    assert (FAMILIES[name].kind, FAMILIES[name].labels) == METRICS[name]


def test_dashboards_show_what_was_promised():
    queries = [query for board in BOTH for query in all_expressions(board)]
    asked = {name for query in queries for name in re.findall(r"cometapi_\w+(?=[{,])", query)}

    assert asked
    assert asked <= SERIES

"""Each dashboard is sound as Grafana reads it: identity, layout, words, units, links, names of metrics."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from dashboards.committed import ALL, ONE_KEY, OVERVIEW
from dashboards.queries import (
    Json,
    all_expressions,
    all_panels,
    drawn_panels,
    variables,
)

UNIT_OF_QUOTA = {"currencyUSD": "short", "prefix:$": "locale"}
README = Path(__file__).parents[2] / "deploy" / "grafana" / "README.md"
LOCK = Path(__file__).parent / "drawn" / "package-lock.json"
# A minute, and the days of the dashboard of spending.
STEPS = {"1m", "1d"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

each = pytest.mark.parametrize("dashboard", ALL, ids=["overview", "key", "exporter", "spending"])


@each
def test_a_provisioned_dashboard_is_read_only_and_free_of_inputs(dashboard: Json) -> None:
    assert dashboard["editable"] is False
    assert "__inputs" not in dashboard
    assert dashboard.get("id") is None


@each
def test_panel_ids_are_unique(dashboard: Json) -> None:
    ids = [panel["id"] for panel in all_panels(dashboard)]

    assert sorted(ids) == list(range(1, len(ids) + 1))


@each
def test_no_two_panels_overlap(dashboard: Json) -> None:
    for one, other in combinations(all_panels(dashboard), 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


@each
def test_every_line_of_panels_is_as_wide_as_the_page(dashboard: Json) -> None:
    widths: dict[int, int] = {}
    for panel in drawn_panels(dashboard):
        widths[panel["gridPos"]["y"]] = widths.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]

    assert set(widths.values()) == {24}


@each
def test_everything_reads_from_the_chosen_data_source(dashboard: Json) -> None:
    asked = [
        # A query without a data source has that of its panel.
        target.get("datasource", SOURCE)
        for panel in drawn_panels(dashboard)
        for target in panel["targets"]
    ]
    asked += [panel["datasource"] for panel in drawn_panels(dashboard)]
    asked += [annotation["datasource"] for annotation in dashboard["annotations"]["list"]]
    asked += [v["datasource"] for v in variables(dashboard).values() if v["type"] == "query"]

    assert all(source == SOURCE for source in asked)
    assert variables(dashboard)["datasource"]["query"] == "prometheus"


@each
def test_every_panel_says_what_it_shows_in_which_unit_and_names_no_query_twice(
    dashboard: Json,
) -> None:
    for panel in drawn_panels(dashboard):
        assert panel["title"], panel["id"]
        assert re.fullmatch(r"[A-Z].{15,}\.", panel["description"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names), panel["title"]


@each
def test_every_column_of_figures_has_a_title_and_a_unit(dashboard: Json) -> None:
    tables = [
        panel
        for panel in drawn_panels(dashboard)
        if panel["type"] == "table" and len(panel["targets"]) > 1
    ]
    for panel in tables:
        names = panel["transformations"][-1]["options"]["renameByName"]
        for target in panel["targets"]:
            if target["refId"].startswith("more_rows"):
                continue
            overrides = _overrides(panel, names[f"Value #{target['refId']}"])
            assert overrides["unit"], panel["title"]


@each
def test_money_asked_in_units_and_in_dollars_has_the_right_unit(dashboard: Json) -> None:
    for panel in drawn_panels(dashboard):
        names = {target["refId"] for target in panel["targets"]}
        in_units = {name for name in names if name.endswith("_units")}
        assert {name.replace("_units", "_usd") for name in in_units} <= names
        if in_units and panel["type"] != "table":
            unit = panel["fieldConfig"]["defaults"]["unit"]
            assert {_query_unit(panel, name) for name in in_units} == {UNIT_OF_QUOTA[unit]}


def test_a_key_in_a_table_or_graph_leads_to_its_own_dashboard() -> None:
    tables = [
        panel
        for panel in drawn_panels(OVERVIEW)
        if panel["type"] == "table" and _overrides(panel, "Key")
    ]
    graphs = [
        p
        for p in drawn_panels(OVERVIEW)
        if any("{{key_id}}" in q.get("legendFormat", "") for q in p["targets"])
    ]
    urls = [_overrides(panel, "Key")["links"][0]["url"] for panel in tables]
    urls += [panel["fieldConfig"]["defaults"]["links"][0]["url"] for panel in graphs]

    assert tables
    assert graphs
    assert all(url.startswith(f"/d/{ONE_KEY['uid']}?") for url in urls)
    assert all("&var-account=${__" in url and "&var-key=${__" in url for url in urls)
    assert all(
        f"${{{name}:queryparam}}&" in url
        for url in urls
        for name in ("datasource", "cluster", "namespace", "job", "money", "window")
    )


def test_both_dashboards_lead_to_each_other() -> None:
    assert OVERVIEW["links"][0]["url"].startswith(f"/d/{ONE_KEY['uid']}?")
    assert ONE_KEY["links"][0]["url"].startswith(f"/d/{OVERVIEW['uid']}?")
    assert "${account:queryparam}" in ONE_KEY["links"][0]["url"]


def test_all_lets_keys_without_a_group_through() -> None:
    chosen = [v for v in variables(OVERVIEW).values() if v["type"] == "query"]

    assert len(chosen) == 6
    assert {(v["allValue"], v["multi"], v["current"]["value"]) for v in chosen} == {
        (".*", True, "$__all")
    }


def test_one_key_is_chosen_by_exactly_one_account_and_id() -> None:
    choices = variables(ONE_KEY)

    assert choices["account"]["multi"] is False
    assert choices["key"]["includeAll"] is False


@each
def test_every_selector_is_narrowed_by_the_job(dashboard: Json) -> None:
    for expression in all_expressions(dashboard):
        for found in re.finditer(r"\b(?:cometapi|process)_[\w:]+(.?)(.{0,4})", expression):
            if found[0].startswith("cometapi_exporter_build_info"):
                # The variables Cluster, Namespace and Job, which are chosen one after the other.
                continue
            assert found[1] + found[2] == "{job=", expression


@each
def test_graphs_ask_at_steps_that_hold_enough_samples(dashboard: Json) -> None:
    for panel in drawn_panels(dashboard):
        for target in panel["targets"]:
            assert target.get("range") is not True or target["interval"] in STEPS, panel["title"]


@each
def test_queries_mean_the_same_on_victoriametrics(dashboard: Json) -> None:
    """Its changes() counts the first sample of a series as a change."""
    assert [query for query in all_expressions(dashboard) if "changes(" in query] == []


def test_the_readme_lists_every_row_of_every_dashboard_in_order() -> None:
    contents = README.read_text(encoding="utf-8").split("## Contents")[1].split("## ")[0]
    listed = [line.split(" | ")[0].removeprefix("| ") for line in contents.splitlines()]
    rows = [
        panel["title"]
        for dashboard in ALL
        for panel in dashboard["panels"]
        if panel["type"] == "row"
    ]

    assert [title for title in listed if title in set(rows)] == rows


def test_the_libraries_that_draw_are_locked_by_hash_without_addresses_and_none_is_copyleft() -> (
    None
):
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert [name for name, package in installed.items() if not package.get("integrity")] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [
        name for name, package in installed.items() if "GPL" in package.get("license", "")
    ] == []


def _overlap(one: Json, other: Json) -> bool:
    apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (apart_x or apart_y)


def _overrides(panel: Json, column: str) -> Json:
    chosen = [
        o
        for o in panel["fieldConfig"]["overrides"]
        if o["matcher"] == {"id": "byName", "options": column}
    ]
    return {prop["id"]: prop["value"] for override in chosen for prop in override["properties"]}


def _query_unit(panel: Json, name: str) -> str | None:
    matcher = {"id": "byFrameRefID", "options": name}
    chosen = [o for o in panel["fieldConfig"]["overrides"] if o["matcher"] == matcher]
    return next(
        (prop["value"] for o in chosen for prop in o["properties"] if prop["id"] == "unit"), None
    )

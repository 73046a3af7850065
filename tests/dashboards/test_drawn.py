"""The dashboards as a person sees them: drawn with Grafana's libraries in Chromium, on a screen of 1440 pixels.

Grafana's navigation is docked unless a test says otherwise, which leaves the panels 1140 pixels.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from dashboards.committed import EXPORTER, ONE_KEY, OVERVIEW
from dashboards.drawing import Drawn, View, draw
from dashboards.queries import Json, Moment, Prometheus
from dashboards.sample_keys import END
from dashboards.test_answers import EVERYTHING, ONE
from playwright.sync_api import Browser

ALIVE = Moment(end=END, seconds=8 * 3600)
OUTAGE = Moment(end=END + 600, seconds=8 * 3600)
"""Ten minutes after the last scrape: Prometheus has no present value of anything."""
GRAY, GREEN, RED = "rgb(204, 204, 220)", "rgb(115, 191, 105)", "rgb(242, 73, 92)"
MAIN = EVERYTHING | {"account": "main"}
CASES = {
    "overview": View(dashboard=OVERVIEW, values=MAIN, moment=ALIVE),
    "overview in an outage": View(dashboard=OVERVIEW, values=EVERYTHING, moment=OUTAGE),
    "overview of 1,000 keys": View(
        dashboard=OVERVIEW, values=EVERYTHING | {"account": "crowd"}, moment=ALIVE
    ),
    "overview of two keys": View(dashboard=OVERVIEW, values=MAIN | {"key": "2|3"}, moment=ALIVE),
    "overview in quota units": View(dashboard=OVERVIEW, values=MAIN | {"money": "0"}, moment=ALIVE),
    "exporter": View(dashboard=EXPORTER, values=EVERYTHING, moment=ALIVE),
    "exporter in an outage": View(dashboard=EXPORTER, values=EVERYTHING, moment=OUTAGE),
    "key": View(dashboard=ONE_KEY, values=ONE, moment=ALIVE),
    "key in an outage": View(dashboard=ONE_KEY, values=ONE, moment=OUTAGE),
    "healthy unlimited key": View(dashboard=ONE_KEY, values=ONE | {"key": "3"}, moment=ALIVE),
}
See = Callable[[str], Drawn]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def see(browser: Browser, prometheus: Prometheus) -> See:
    """Return what gives one of the CASES, drawn once."""
    drawn: dict[str, Drawn] = {}

    def seen(name: str) -> Drawn:
        if name not in drawn:
            drawn[name] = draw(browser, prometheus, CASES[name])
        return drawn[name]

    return seen


each_case = pytest.mark.parametrize("name", CASES)


@each_case
def test_every_panel_is_drawn_without_an_error(see: See, name: str) -> None:
    drawn = see(name)

    assert {title: panel["error"] for title, panel in drawn.panels.items() if panel["error"]} == {}
    assert drawn.complaints == []


@each_case
def test_no_text_is_cut_but_what_a_wide_table_scrolls_to(see: See, name: str) -> None:
    panels = see(name).panels.values()
    cut = {
        panel["title"]: panel["cut"] for panel in panels if panel["cut"] and not panel["scrolls"]
    }

    assert cut == {}


@pytest.mark.parametrize("name", ["overview", "exporter", "key"])
def test_no_panel_is_empty_where_there_is_data(see: See, name: str) -> None:
    panels = see(name).panels.values()

    assert [
        panel["title"] for panel in panels if panel["is_empty"] or panel["value"] in {"", "Unknown"}
    ] == []


@each_case
def test_a_tile_without_a_value_has_no_alarm_colour(see: See, name: str) -> None:
    drawn = see(name)
    words = {"never", "unlimited", "Unknown", "not offered"}
    colors = {
        panel["title"]: panel["color"]
        for panel in drawn.panels.values()
        if panel["type"] == "stat" and panel["value"] in words
    }

    assert set(colors.values()) <= {GRAY}, colors


def test_in_an_outage_the_first_tiles_say_that_no_exporter_responds(see: See) -> None:
    panels = see("overview in an outage").panels

    assert (panels["Exporters"]["value"], panels["Exporters"]["color"]) == ("0 of 1", RED)
    assert (panels["Accounts up"]["value"], panels["Accounts up"]["color"]) == ("0 of 4", RED)


def test_in_an_outage_no_tile_is_green_and_no_list_is_all_clear(see: See) -> None:
    panels = see("overview in an outage").panels
    lists = ("Keys that stopped working", "Keys to renew", "Keys running dry")

    assert [
        title
        for title, panel in panels.items()
        if panel["type"] == "stat" and panel["color"] == GREEN
    ] == []
    assert {panels[title]["rows"][0][0]["text"] for title in lists} == {
        "Unknown (accounts not read: 4)"
    }


def test_in_an_outage_nothing_is_known_of_a_key(see: See) -> None:
    panels = see("key in an outage").panels.values()
    tiles = {panel["title"]: panel["value"] for panel in panels if panel["type"] == "stat"}

    assert tiles.pop("Account") == "no exporter"
    assert tiles.pop("Data age") == "10.3 mins"
    assert set(tiles.values()) == {"Unknown"}, tiles


def test_a_healthy_unlimited_key_is_called_so(see: See) -> None:
    panels = see("healthy unlimited key").panels

    assert {
        title: panels[title]["value"]
        for title in ("Remaining", "Share left", "Expires in", "Lasts")
    } == {
        "Remaining": "unlimited",
        "Share left": "unlimited",
        "Expires in": "never",
        "Lasts": "no limit",
    }


def test_a_key_that_never_expires_has_an_empty_cell_and_an_unlimited_one_is_called_so(
    see: See,
) -> None:
    rows = _rows(see("overview of two keys").panels["All keys"])

    assert rows["no limit"]["Expires in"]["text"] == ""
    assert (rows["no limit"]["Left $"]["text"], rows["no limit"]["Left $"]["color"]) == (
        "unlimited",
        GRAY,
    )


@pytest.mark.parametrize(
    ("title", "columns"),
    [
        ("Keys that stopped working", {"Key", "State", "Stopped", "Last used", "Account", "ID"}),
        ("Keys to renew", {"Key", "Expires in", "Left $", "Account", "ID"}),
        ("Keys that break policies", {"Key", "Policy", "Last used"}),
        ("Keys running dry", {"Key", "Lasts", "Left $", "Account", "ID"}),
        ("Accounts", {"Account", "State", "Data age", "Spendable $", "Lasts"}),
        ("Balances", {"Account", "Spendable $", "Lasts", "Burn/day $", "Request $"}),
        ("Models", {"Model", "Spent $", "Requests", "Tokens", "1K tokens $"}),
        ("Next to expire", {"Key", "Expires at", "Expires in", "Left $"}),
        ("All keys", {"Key", "State", "Left $", "Lasts", "Expires in", "Last used"}),
    ],
)
def test_the_columns_that_a_table_is_about_are_whole(
    see: See, title: str, columns: set[str]
) -> None:
    panel = see("overview").panels[title]

    rows = _rows(panel).values()
    assert rows
    assert columns <= set(panel["header"])
    assert [
        cell["text"]
        for row in rows
        for name, cell in row.items()
        if name in columns and cell["is_cut"]
    ] == []


def test_without_the_navigation_no_table_is_wider_than_its_panel(
    browser: Browser, prometheus: Prometheus
) -> None:
    drawn = draw(browser, prometheus, replace(CASES["overview"], left=0))

    assert [title for title, panel in drawn.panels.items() if panel["scrolls"]] == []


def test_a_legend_lists_the_largest_first(see: See) -> None:
    legend = see("overview").panels["Burn per day, top keys"]["legend"]

    assert [text.strip() for text in legend[0]][1:3] == ["prod-batch · 2", "$518.40"]


def test_a_falling_balance_can_be_read_from_its_axis(see: See) -> None:
    axis = [text for text in see("overview").panels["Spendable over time"]["axes"] if "$" in text]

    assert len(axis) >= 3
    assert all(text.startswith("$11") and text[-3] == "." for text in axis), axis


def test_counts_have_whole_numbers_on_their_axis(see: See) -> None:
    axis = see("overview").panels["Keys by state"]["axes"]

    assert [text for text in axis if "." in text] == []


def test_a_key_without_an_end_in_sight_is_said_to_have_none(see: See) -> None:
    assert see("healthy unlimited key").panels["Time left"]["value"] == (
        "No end: nothing is spent, and the key never expires"
    )


def _rows(panel: Json) -> dict[str, dict[str, Json]]:
    """Give the shown rows by their first cell, each as its cells by column."""
    rows = [dict(zip(panel["header"], row, strict=False)) for row in panel["rows"]]
    return {row[panel["header"][0]]["text"]: row for row in rows}

"""What the dashboard of spending says in each state of an installation, drawn from a real Prometheus.

On the 20th of May 2026, a Wednesday, at 15:00 UTC; see `spending_history` for what was spent.
"""

from collections.abc import Callable, Iterator

import pytest
from dashboards.committed import SPENDING
from dashboards.drawing import Drawn, View, chromium, draw
from dashboards.queries import Json, Moment
from dashboards.serving import prometheus_with_history
from dashboards.spending_history import DAY, accounts, accounts_elsewhere, at, spending_lines

NOW = Moment(end=at(5, 20, 15), seconds=30 * DAY, step=DAY)
ALL = {
    "job": ".*",
    "cluster": "home",
    "namespace": ".*",
    "account": ".*",
    "group": ".*",
    "key": ".*",
    "window": "6h",
    "money": "1",
}
STATES: dict[str, dict[str, str]] = {
    "full data of two replicas": {},
    "in quota units": {"money": "0"},
    "by model alone": {"account": "models"},
    "usage is off": {"account": "off"},
    "nothing spent": {"account": "idle"},
    "just started": {"cluster": "fresh"},
    "exporter does not respond": {"cluster": "away"},
}
NOT_KNOWN = "Unknown or not offered"
NO_MODELS = "Nothing spent, or unknown"
NO_KEYS = "Nothing spent or unknown: needs --collect.usage=key-model"
NO_BUDGET = "No budget, or unknown"
# A table has as many rows and cells of each as are listed, a tile its value, and a graph the first
# cells of its legend.
SAYS: dict[str, Json] = {
    # Of a day from 8 to 18 on weekdays, "shop" spends $2.40 an hour, else $0.24: 13 weekdays, 6 days
    # of weekends and 15 hours are $408.96. Half as much is what "young" spends, a quarter "models".
    "full data of two replicas": {
        "Spent this month": "$716",
        "Forecast to its end": "$1.11K",
        "Last month": "$810",
        "On unused keys": "$50",
        "By account": [
            ["shop", "$409", "57.1%", "$633", "$648", "-2.35%"],
            ["young", "$204", "28.6%", "$316", "", ""],
            ["models", "$102", "14.3%", "$158", "$162", "-2.37%"],
            ["idle", "$0", "0%", "$0", "$0", ""],
        ],
        "By model": [["shop", "small", "$273", "38.1%"], ["shop", "gpt-5", "$136", "19.0%"]],
        "By group": [
            ["shop", "vip", "$204", "28.6%", "$316", "$324", "-2.35%"],
            ["shop", "no group", "$204", "28.6%", "$316", "$324", "-2.35%"],
        ],
        "Budgets of accounts": [["shop", "$120", "$409", "341%", "$633", "527%"]],
        "Spent per day, by group": [["no group · shop"], ["vip · shop"]],
        "Price of a request": [["all models"]],
        "Cost of raised price factors": "vip · shop$38.0",
    },
    "in quota units": {"Spent this month": "409 Mil"},
    "by model alone": {
        "By model": [["models", "small", "$68.2"], ["models", "gpt-5", "$34.1"]],
        "By group": NO_KEYS,
        "By key": NO_KEYS,
        "Spent per day, by group": NO_KEYS,
    },
    "usage is off": {
        "Spent this month": NOT_KNOWN,
        "Forecast to its end": NOT_KNOWN,
        "Last month": NOT_KNOWN,
        "By account": [["off"]],
        "By model": NO_MODELS,
        "By key": NO_KEYS,
        "Budgets of accounts": [["off", "$120"]],
        "Spent per day, by model": NO_MODELS,
        "Price of a request": NOT_KNOWN,
    },
    "nothing spent": {
        "Spent this month": "$0",
        "Forecast to its end": "$0",
        "Last month": "$0",
        "By account": [["idle", "$0", "$0", "$0"]],
        "By model": NO_MODELS,
    },
    # A straight line: $408.96 in 19 days and 15 hours of 31.
    "just started": {
        "Spent this month": "$409",
        "Forecast to its end": "$646",
        "Last month": NOT_KNOWN,
        "By account": [["shop", "$409", "100%", "$646"]],
        "Budgets of keys": [["shop", "web", "$120", "$204", "170%"]],
    },
    "exporter does not respond": {
        "Spent this month": NOT_KNOWN,
        "Forecast to its end": NOT_KNOWN,
        "Last month": NOT_KNOWN,
        "On unused keys": "Unknown",
        "By account": [["shop"]],
        "By model": NO_MODELS,
        "Budgets of accounts": NO_BUDGET,
        "Budgets of keys": NO_BUDGET,
        "Spent per day, by group": [["no group · shop"], ["vip · shop"]],
    },
}
See = Callable[[str], Drawn]
each_state = pytest.mark.parametrize("state", STATES)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def see(tmp_path_factory: pytest.TempPathFactory) -> Iterator[See]:
    """Return what gives the dashboard in one of the STATES, drawn once."""
    known = [*accounts(), *accounts_elsewhere()]
    folder = tmp_path_factory.mktemp("spending")
    drawn: dict[str, Drawn] = {}
    with (
        chromium() as browser,
        prometheus_with_history(folder, spending_lines(known), block="4000h") as source,
    ):

        def seen(state: str) -> Drawn:
            if state not in drawn:
                view = View(dashboard=SPENDING, values=ALL | STATES[state], moment=NOW)
                drawn[state] = draw(browser, source, view)
            return drawn[state]

        yield seen


@each_state
def test_the_dashboard_says_what_is_known_and_what_is_not(see: See, state: str) -> None:
    panels = see(state).panels

    assert {title: _read(panels[title], wanted) for title, wanted in SAYS[state].items()} == SAYS[
        state
    ]


@each_state
def test_every_panel_is_drawn_without_an_error_and_no_text_is_cut(see: See, state: str) -> None:
    drawn = see(state)
    panels = drawn.panels.values()

    assert [panel["error"] for panel in panels if panel["error"]] == []
    assert drawn.complaints == []
    assert {p["title"]: p["cut"] for p in panels if p["cut"] and not p["scrolls"]} == {}


def test_no_panel_is_empty_where_there_is_data(see: See) -> None:
    panels = see("full data of two replicas").panels.values()

    assert [panel["title"] for panel in panels if panel["is_empty"] or panel["value"] == ""] == []


@each_state
def test_what_is_unknown_is_not_a_number(see: See, state: str) -> None:
    texts = [text for panel in see(state).panels.values() for text in panel["texts"]]

    assert [text for text in texts if "NaN" in text or "Infinity" in text] == []


def _read(panel: Json, wanted: object) -> object:
    if isinstance(wanted, str):
        return panel["value"]
    if panel["legend"]:
        return [[cell.strip() for cell in row if cell.strip()][:1] for row in panel["legend"]]
    return [
        [cell["text"] for cell in row[: len(cells)]]
        for row, cells in zip(panel["rows"], wanted, strict=False)
    ]

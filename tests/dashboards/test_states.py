"""What the dashboards say in each state of an installation, drawn from a real Prometheus.

A table for each state: the panels, by title, and what a person reads there. Only panels that the
state is about are listed.
"""

from collections.abc import Callable
from typing import Any

import pytest
from dashboards.committed import ONE_KEY, OVERVIEW
from dashboards.drawing import Drawn, View, draw
from dashboards.queries import Json, Moment, Prometheus
from dashboards.sample_keys import END
from dashboards.states import STATES
from playwright.sync_api import Browser

NOW = Moment(end=END, seconds=3 * 3600)
CHOSEN = {"job": ".*", "namespace": ".*", "window": "1h", "money": "1"}
RED, GREEN, ORANGE, TEXT = (
    "rgb(242, 73, 92)",
    "rgb(115, 191, 105)",
    "rgb(255, 152, 48)",
    "rgb(204, 204, 220)",
)
COLORS = {RED: "red", GREEN: "green", ORANGE: "orange", TEXT: "text"}
NOT_READ = [["Unknown (accounts not read: 1)"]]
NOT_LISTED = [["Not listed, --keys.counts-only (accounts: 1)"]]
SHARED = "two namespaces share a name"
NO_POLICIES = [["No policies are set (accounts: 1)"]]

# What is said where nothing is wrong, so that the states below list what differs.
WELL = {
    "Exporters": "1 of 1, green",
    "Accounts up": "1 of 1, green",
    "Data age": "20 s, green",
    "Paths failing": "0, green",
    "Spendable": "$11K, green",
    "Account lasts": "18.2 weeks, green",
    "Usable keys": "2, green",
    "Stopped today": "0, green",
    "Probably dry": "0, green",
    "Dry in 24 h": "0, green",
    "Expire in 7 days": "0, green",
    "Still enabled": "0, green",
    "Keys that stopped working": "None found",
    "Keys running dry": "None found",
    "Keys to renew": "None found",
    "Paths that fail": "None found",
    "Accounts": [["production", "up", "20 s", "$11K", "18.2 weeks"]],
    "Keys that break policies": NO_POLICIES,
}
KEYS_UNKNOWN = {
    "Usable keys": "Unknown, text",
    "Stopped today": "Unknown, text",
    "Probably dry": "Unknown, text",
    "Dry in 24 h": "Unknown, text",
    "Expire in 7 days": "Unknown, text",
    "Still enabled": "Unknown, text",
    "Keys that stopped working": NOT_READ,
    "Keys running dry": NOT_READ,
    "Keys to renew": NOT_READ,
    "Keys that break policies": NOT_READ,
}
ALL_UNKNOWN = KEYS_UNKNOWN | {"Spendable": "Unknown, text", "Account lasts": "Unknown, text"}
HALF_UNKNOWN = {
    "Exporters": "1 of 2, red",
    "Accounts up": "1 of 2, red",
    "Data age": "30.3 mins, red",
    "Keys that stopped working": NOT_READ,
    "Keys running dry": NOT_READ,
    "Keys to renew": NOT_READ,
    # Nothing is known of the one account, and the other has no policies.
    "Keys that break policies": [*NOT_READ, *NO_POLICIES],
    "Paths that fail": [["staging", "unknown"]],
    "Accounts": [
        ["staging", "no exporter", "30.3 mins", "", ""],
        ["production", "up", "20 s", "$11K", "18.2 weeks"],
    ],
}
OVERVIEW_SAYS: dict[str, Json] = {
    "all is well": {},
    "exporter does not respond": ALL_UNKNOWN
    | {
        "Exporters": "0 of 1, red",
        "Accounts up": "0 of 1, red",
        "Data age": "30.3 mins, red",
        "Paths failing": "Unknown, text",
        "Paths that fail": [["production", "unknown"]],
        "Accounts": [["production", "no exporter", "30.3 mins"]],
    },
    "one of two exporters does not respond": HALF_UNKNOWN,
    "one of two shards is lost": HALF_UNKNOWN,
    "a replica is cut off": {
        "Exporters": "2 of 2, green",
        "Stopped today": "1, red",
        "Keys that stopped working": [
            ["just stopped", "exhausted", "20 minutes ago", "5 minutes ago"]
        ],
    },
    "gateway is away": {
        "Accounts up": "0 of 1, red",
        "Data age": "20 mins, red",
        "Paths failing": "6, orange",
        "Paths that fail": [["production", "/api/data/self", "20 mins"]],
        "Accounts": [["production", "failing", "20 mins", "$11K", "18.2 weeks", "unreachable"]],
    },
    "data is stale": ALL_UNKNOWN
    | {
        "Accounts up": "0 of 1, red",
        "Data age": "2 hours, red",
        "Paths failing": "6, orange",
        "Paths that fail": [["production", "/api/data/self", "2 hours"]],
        "Accounts": [["production", "stale", "2 hours", "unreachable"]],
    },
    "never read": ALL_UNKNOWN
    | {
        "Accounts up": "0 of 1, red",
        "Data age": "Unknown, text",
        "Paths failing": "6, orange",
        "Paths that fail": [["production", "/api/data/self", "none in 24 h"]],
        "Accounts": [["production", "failing", "unreachable"]],
    },
    "one account of three fails": {
        "Accounts up": "1 of 3, red",
        "Data age": "20 mins, red",
        "Paths failing": "6, orange",
        "Spendable": "$22K, green",
        "Usable keys": "4, green",
        "Keys that stopped working": NOT_READ,
        "Keys running dry": NOT_READ,
        "Keys to renew": NOT_READ,
        "Keys that break policies": [*NOT_READ, ["No policies are set (accounts: 2)"]],
        "Paths that fail": [["failing", "/api/data/self", "20 mins"]],
        "Accounts": [
            ["failing", "failing", "20 mins", "$11K", "18.2 weeks", "unreachable"],
            ["new", "not read yet", "none", "", "", ""],
            ["good", "up", "20 s", "$11K", "18.2 weeks", ""],
        ],
    },
    "account runs out": {
        "Spendable": "$2.15, orange",
        "Account lasts": "35.8 mins, red",
        "Dry in 24 h": "2, red",
        "Keys running dry": [["All keys, as their account runs out (accounts: 1)"]],
        "Accounts": [["production", "up", "20 s", "$2.15", "35.8 mins"]],
    },
    "no balance is offered": {
        "Spendable": "not offered, text",
        "Account lasts": "not offered, text",
        "Usable keys": "3, green",
        "Probably dry": "Unknown, text",
        "Accounts": [["production", "up", "20 s", "not offered"]],
    },
    "counts only": {
        "Stopped today": "Unknown, text",
        "Probably dry": "Unknown, text",
        "Dry in 24 h": "Unknown, text",
        "Expire in 7 days": "Unknown, text",
        "Still enabled": "Unknown, text",
        "Keys that stopped working": NOT_LISTED,
        "Keys running dry": NOT_LISTED,
        "Keys to renew": NOT_LISTED,
        "Keys that break policies": [*NOT_LISTED, *NO_POLICIES],
    },
    "usage is off": {},
    "a key stopped and 40 expired long ago": {
        "Stopped today": "1, red",
        "Still enabled": "40, orange",
        "Keys that stopped working": [
            ["just stopped", "exhausted", "20 minutes ago"],
            ["old-0", "expired"],
        ],
    },
    "keys are dry or at rest": {
        "Usable keys": "5, green",
        "Probably dry": "1, red",
        "Keys running dry": [["dry", "possibly dry", "$0.0000400"]],
    },
    "keys are dry by the rules": {
        "Usable keys": "4, green",
        "Probably dry": "1, red",
        "Keys running dry": [["dry", "probably dry"]],
    },
    "policies hold": {
        "Keys that break policies": "None found",
    },
    "policies are broken": {
        "Usable keys": "3, green",
        "Keys that break policies": [
            ["checkout", "max_lifetime", "5 minutes ago"],
            ["checkout", "model_limits", "5 minutes ago"],
            ["nightly", "name", "2 hours ago"],
            ["never used", "max_unused", "never"],
        ],
    },
    "two namespaces share a name": {
        "Exporters": "2 of 2, green",
        "Accounts up": "1 of 2, red",
        "Data age": "20 mins, red",
        "Paths failing": "6, orange",
        "Paths that fail": [["default", "/api/data/self", "20 mins"]],
        "Keys that break policies": [["No policies are set (accounts: 2)"]],
        "Spendable": "$22K, green",
        "Usable keys": "5, green",
        "Accounts": [
            [
                "default",
                "failing",
                "20 mins",
                "$11K",
                "18.2 weeks",
                "unreachable",
                f"{SHARED} team-b cometapi",
            ],
            ["default", "up", "20 s", "$11K", "18.2 weeks", "", f"{SHARED} team-a cometapi"],
        ],
    },
    "renamed": {"Stopped today": "0, green"},
    "strange names": {
        "Usable keys": "10, green",
        "Account lasts": "nothing spent, text",
        "Accounts": [["</b> \"x\" 'y' \\ 账户", "up", "20 s", "$11K", "nothing spent"]],
    },
    "one key": {"Usable keys": "1, green"},
    "1,000 keys": {"Usable keys": "1000, green"},
    "10,000 keys": {"Usable keys": "10000, green"},
}
KEY_SAYS: dict[tuple[str, str], Json] = {
    ("all is well", "1"): {
        "Account": "up, green",
        "State": "usable, green",
        "Remaining": "$4K, green",
        "Lasts": "6.61 weeks, green",
        "Price factor": "1, text",
        "Data age": "20 s, green",
    },
    ("keys are dry or at rest", "3"): {
        "State": "usable, green",
        "Remaining": "$100, green",
        "Lasts": "nothing spent, text",
    },
    ("keys are dry or at rest", "4"): {
        "State": "possibly dry, orange",
        "Status": "enabled, green",
        "Remaining": "$0.0000400, orange",
        "Lasts": "nothing spent, text",
    },
    ("keys are dry by the rules", "4"): {"State": "probably dry, red", "Lasts": "0 s, red"},
    ("keys are dry by the rules", "6"): {"State": "usable, green", "Lasts": "nothing spent, text"},
    ("keys are dry or at rest", "9"): {"Price factor": "no group, text"},
    ("a replica is cut off", "5"): {
        "State": "exhausted, red",
        "Status": "exhausted, red",
        "Lasts": "0 s, red",
        "Data age": "20 s, green",
    },
    ("data is stale", "1"): {
        "Account": "stale, red",
        "State": "Unknown, text",
        "Remaining": "Unknown, text",
        "Lasts": "Unknown, text",
        "Spendable": "Unknown, text",
        "Data age": "2 hours, red",
    },
    ("no balance is offered", "4"): {
        "State": "usable, green",
        "Spendable": "not offered, text",
        "Typical request": "not offered, text",
        "Price factor": "not offered, text",
    },
    (SHARED, "1"): {"Account": "same name twice, orange"},
    # Three hours at 500 units a second: what the key spent under its old name counts.
    ("renamed", "1"): {"Spent in range": "$10.7, text", "State": "usable, green"},
}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def look(browser: Browser, prometheus: Prometheus) -> Callable[..., Drawn]:
    """Return what draws a dashboard of one state."""

    def drawn(dashboard: Json, state: str, choices: dict[str, str]) -> Drawn:
        values = CHOSEN | {"cluster": state} | choices
        view = View(dashboard=dashboard, values=values, moment=NOW, is_folded=True)
        found = draw(browser, prometheus, view)
        found.page.close()
        return found

    return drawn


@pytest.mark.parametrize("state", STATES)
def test_the_overview_says_what_is_wrong_and_what_is_unknown(
    look: Callable[..., Drawn], state: str
) -> None:
    expected = WELL | OVERVIEW_SAYS[state]
    if "keys" in state or state == "strange names":
        expected = OVERVIEW_SAYS[state]

    drawn = look(_first_rows(OVERVIEW), state, {"account": ".*", "group": ".*", "key": ".*"})

    assert _problems(drawn) == []
    assert _said(drawn, expected) == expected


@pytest.mark.parametrize(("state", "key"), KEY_SAYS)
def test_a_key_says_whether_it_works_and_what_is_unknown(
    look: Callable[..., Drawn], state: str, key: str
) -> None:
    account = "default" if state == SHARED else "production"
    drawn = look(ONE_KEY, state, {"account": account, "key": key})

    assert _problems(drawn) == []
    assert _said(drawn, KEY_SAYS[state, key]) == KEY_SAYS[state, key]


def test_a_renamed_key_has_one_line_in_each_graph(look: Callable[..., Drawn]) -> None:
    panels = look(ONE_KEY, "renamed", {"account": "production", "key": "1"}).panels

    assert [len(panels[title]["legend"]) for title in ("Remaining and used", "Spent per hour")] == [
        2,
        1,
    ]
    assert panels["Status over time"]["texts"].count("status") == 1


def test_every_state_is_in_the_table() -> None:
    assert set(OVERVIEW_SAYS) == set(STATES)


def _first_rows(dashboard: Json) -> Json:
    """Keep the rows down to money, which say what is wrong."""
    titles = [panel["title"] for panel in dashboard["panels"]]
    return dashboard | {"panels": dashboard["panels"][: titles.index("Expiry calendar")]}


def _problems(drawn: Drawn) -> list[Any]:
    errors = [panel["error"] for panel in drawn.panels.values() if panel["error"]]
    return errors + drawn.complaints


def _said(drawn: Drawn, expected: Json) -> Json:
    """Give what a person reads in the panels of *expected*, of tables as many rows and cells as it lists."""
    return {title: _read(drawn.panels[title], wanted) for title, wanted in expected.items()}


def _read(panel: Json, wanted: Any) -> Any:
    if panel["type"] == "stat":
        return f"{panel['value']}, {COLORS.get(panel['color'], panel['color'])}"
    if not panel["rows"]:
        return panel["value"]
    if isinstance(wanted, str):
        return panel["rows"]
    rows = zip(panel["rows"], wanted, strict=False)
    return [[cell["text"] for cell in row[: len(cells)]] for row, cells in rows]

"""The dashboards with a real Prometheus that scrapes the demo: the first look shows data, and is whole."""

import time

import pytest
from dashboards import queries
from dashboards.committed import BOTH
from dashboards.drawing import View, chromium, draw
from processes import Exporter, Prometheus, scrape_config, wait_until

VALUES = {
    "cometapi-overview": {"job": ".*", "account": ".*", "group": ".*", "key": ".*", "window": "1h"},
    "cometapi-key": {"job": ".*", "account": "demo", "key": "1125", "window": "1h"},
}
SECONDS = 15
# Of these a query may be empty: no key of the demo changes its status or has a budget, its account has no subscription,
# and what models cost is read every five minutes.
EMPTY = {
    "Accounts",
    "Burn per day over time",
    "Models",
    "Spent per hour, by model",
    "Status of keys that changed it",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Ask a Prometheus that has scraped the demo for a while."""
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        Exporter("--demo", "--collect.interval=1s", "--collect.max-requests-per-minute=1000") as exporter,
        Prometheus(folder, scrape_config(exporter.wait_ready().url)) as prometheus,
    ):
        wait_until(
            lambda: (prometheus.value("max(count_over_time(cometapi_key_status[1m]))") or 0) >= SECONDS, seconds=60
        )
        client = queries.Prometheus(prometheus.url)
        yield client
        client.close()


def test_every_query_of_every_panel_returns_data(demo):
    moment = queries.Moment(end=int(time.time()), seconds=SECONDS, step=1)
    asked = [query for board in BOTH for query in queries.panel_queries(board)]

    empty = set()
    for query in asked:
        values = VALUES[query.dashboard]
        if not any(demo.run(query, {**values, "money": money}, moment) for money in ("0", "1")):
            empty.add(query.place.split(maxsplit=2)[2])

    assert len(asked) > 50
    assert empty <= EMPTY


@pytest.mark.parametrize("board", BOTH, ids=["overview", "key"])
def test_every_panel_is_drawn_whole_and_with_data(demo, board):
    moment = queries.Moment(end=int(time.time()), seconds=SECONDS, step=1)
    view = View(dashboard=board, values=VALUES[board["uid"]] | {"money": "1"}, moment=moment)

    with chromium() as browser:
        drawn = draw(browser, demo, view)

    panels = drawn.panels.values()
    assert [panel["error"] for panel in panels if panel["error"]] == drawn.complaints == []
    assert {panel["title"] for panel in panels if panel["is_empty"]} <= EMPTY
    cut = {panel["title"] for panel in panels if panel["cut"] and not panel["scrolls"]}
    # Bars leave two fifths to names, which may be of any length.
    assert cut <= {"Top 10 keys by spending"}


def test_every_variable_offers_the_demos_accounts_groups_and_keys(demo):
    moment = queries.Moment(end=int(time.time()), seconds=SECONDS, step=1)
    for board in BOTH:
        for name, variable in queries.variables(board).items():
            if variable["type"] == "query":
                assert demo.options(variable, VALUES[board["uid"]], moment), name

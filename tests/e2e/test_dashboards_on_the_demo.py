"""The dashboards with a real Prometheus that scrapes the demo: the first look shows data."""

import time
from contextlib import closing

from dashboards import queries
from dashboards.committed import OF_TODAY
from processes import Exporter, Prometheus, scrape_config, wait_until

ANYWHERE = {"job": ".*", "cluster": ".*", "namespace": ".*"}
VALUES = {
    "cometapi-overview": ANYWHERE | {"account": ".*", "group": ".*", "key": ".*", "window": "1h"},
    "cometapi-exporter": ANYWHERE | {"account": ".*"},
    "cometapi-key": ANYWHERE | {"account": "demo", "key": "1125", "window": "1h"},
}
SECONDS = 15
# Of these a query may be empty: no key of the demo changes its status or has a budget, its account
# has no subscription, and what models cost is read every five minutes.
EMPTY = {
    "Balances",
    "Burn per day over time",
    "Models",
    # Of when its keys stopped, the demo's history is too short to tell.
    "Keys that stopped working",
    "Paths that fail",
    "Spent per hour, by model",
    "Status of keys that changed it",
}


def test_every_variable_offers_choices_and_every_panel_has_data(tmp_path):
    with (
        Exporter(
            "--demo", "--collect.interval=1s", "--collect.max-requests-per-minute=1000"
        ) as exporter,
        Prometheus(tmp_path, scrape_config(exporter.wait_ready().url)) as running,
        closing(queries.Prometheus(running.url)) as demo,
    ):
        wait_until(
            lambda: (
                (running.value("max(count_over_time(cometapi_key_status[1m]))") or 0) >= SECONDS
            ),
            seconds=60,
        )
        moment = queries.Moment(end=int(time.time()), seconds=SECONDS, step=1)
        asked = [
            query
            for board in OF_TODAY
            for query in queries.panel_queries(board)
            # Rows that say what is unknown: nothing is.
            if not query.name.startswith("more_rows")
        ]
        empty = {
            query.place.split(maxsplit=2)[2]
            for query in asked
            if not any(
                demo.run(query, {**VALUES[query.dashboard], "money": money}, moment)
                for money in ("0", "1")
            )
        }
        choices = [
            (b["uid"], v)
            for b in OF_TODAY
            for v in queries.variables(b).values()
            if v["type"] == "query"
        ]
        without = [
            variable["name"]
            for uid, variable in choices
            if not demo.options(variable, VALUES[uid], moment)
        ]

    assert len(asked) > 50
    assert empty <= EMPTY
    assert len(choices) > 4
    # The Prometheus of this test adds no such labels.
    assert set(without) == {"cluster", "namespace"}

"""Every query of the dashboards is asked of a real Prometheus, and the answers are the right ones."""

import re
from math import inf

import pytest
from dashboards.committed import ALL, EXPORTER, GRAFANA, OF_TODAY, ONE_KEY, OVERVIEW
from dashboards.queries import (
    Json,
    Moment,
    Prometheus,
    Query,
    annotation_queries,
    load,
    panel_queries,
    substitute,
    variables,
)
from dashboards.sample_keys import END

DAY = 86_400
SCREEN = Moment(end=END, seconds=8 * 3600)
HOME = {"job": ".*", "cluster": "home", "namespace": ".*"}
EVERYTHING = HOME | {
    "account": ".*",
    "group": ".*",
    "key": ".*",
    "window": "6h",
    "money": "1",
}
ONE = HOME | {"account": "main", "key": "2", "window": "6h", "money": "1"}
ANY = EVERYTHING | SCREEN.built_in()
COPIES = GRAFANA.parent / "helm" / "cometapi-exporter" / "files" / "dashboards"
# The key to which each thing happened, so that its mark is seen on that key's own dashboard.
HAPPENED_TO = {
    "Key now enabled": "16",
    "Key now disabled": "8",
    "Key now expired": "7",
    "Key now exhausted": "6",
    "Quota raised": "15",
}
VALUES = {"cometapi-overview": EVERYTHING, "cometapi-exporter": EVERYTHING, "cometapi-key": ONE}

# The rows that say what is unknown are in test_states.py: here everything is known.
PANEL_QUERIES = [
    query
    for board in OF_TODAY
    for query in panel_queries(board)
    if not query.name.startswith("more_rows")
]
ANNOTATIONS = [query for board in OF_TODAY for query in annotation_queries(board)]
QUERY_VARIABLES = [
    (b["uid"], v) for b in OF_TODAY for v in variables(b).values() if v["type"] == "query"
]
LINES = [
    query
    for query in panel_queries(OVERVIEW)
    if query.panel_type in {"timeseries", "state-timeline"}
]

# No query is rightly empty here, but for the half of a money pair that the switch turns off.
each_query = pytest.mark.parametrize("query", PANEL_QUERIES, ids=str)


@each_query
def test_every_panel_gets_data(prometheus: Prometheus, query: Query) -> None:
    series = prometheus.run(query, VALUES[query.dashboard] | {"money": _switch(query)}, SCREEN)

    assert series
    for name in re.findall(r"{{(\w+)}}", query.legend):
        assert any(name in one["metric"] for one in series), (
            f"no series has the {name} that the legend names"
        )


@pytest.mark.parametrize(
    "query", [q for q in PANEL_QUERIES if q.name.endswith(("_units", "_usd"))], ids=str
)
def test_the_money_switch_turns_the_other_half_off(prometheus: Prometheus, query: Query) -> None:
    other = {"0": "1", "1": "0"}[_switch(query)]

    assert prometheus.run(query, VALUES[query.dashboard] | {"money": other}, SCREEN) == []


@pytest.mark.parametrize("query", ANNOTATIONS, ids=str)
def test_every_annotation_marks_something(prometheus: Prometheus, query: Query) -> None:
    values = VALUES[query.dashboard]
    if query.dashboard == "cometapi-key":
        values = values | {"key": HAPPENED_TO.get(query.name, "2")}

    marks = _marks(prometheus, query, values)

    assert marks
    for name in re.findall(r"{{(\w+)}}", query.legend):
        assert all(name in mark for mark in marks), f"no mark has the {name} that the text names"


@pytest.mark.parametrize("board", ALL, ids=lambda board: board["uid"])
def test_the_copies_for_kubernetes_ask_the_same(prometheus: Prometheus, board: Json) -> None:
    """Prometheus writes each query as it understands it."""
    copy = load(COPIES / f"{board['uid']}.json")
    shown, copied = (
        [prometheus.understood(substitute(query.expr, ANY)) for query in panel_queries(each)]
        for each in (board, copy)
    )

    assert shown
    assert copied == shown


def test_the_overview_marks_which_key_changed_to_what(prometheus: Prometheus) -> None:
    query = next(q for q in ANNOTATIONS if q.name == "Key status changed")

    marks = _marks(prometheus, query, EVERYTHING)

    assert {(mark["key_id"], mark["status"]) for mark in marks} == {
        ("6", "exhausted"),
        ("7", "expired"),
        ("8", "disabled"),
        ("16", "enabled"),
    }


@pytest.mark.parametrize(
    ("uid", "variable"),
    QUERY_VARIABLES,
    ids=lambda part: part if isinstance(part, str) else part["name"],
)
def test_every_variable_offers_choices(prometheus: Prometheus, uid: str, variable: Json) -> None:
    assert prometheus.options(variable, VALUES[uid], SCREEN)


def test_keys_are_offered_by_name_and_id_however_odd_the_name(prometheus: Prometheus) -> None:
    options = prometheus.options(variables(ONE_KEY)["key"], ONE, SCREEN)

    assert ("twin · 9", "9") in options
    assert ("twin · 10", "10") in options
    assert ('数据 "quoted" \\ back · 11', "11") in options
    assert (" · 12", "12") in options
    assert len(options) == 21


def test_accounts_and_groups_are_offered(prometheus: Prometheus) -> None:
    choices = variables(OVERVIEW)
    values = EVERYTHING | {"account": "main"}

    assert [value for _, value in prometheus.options(choices["account"], values, SCREEN)] == [
        "crowd",
        "demo",
        "main",
        "solo",
    ]
    assert [value for _, value in prometheus.options(choices["group"], values, SCREEN)] == [
        "a",
        "default",
        "vip",
        "默认",
    ]


@pytest.mark.parametrize("key", ["2", "14"], ids=["spending", "refund"])
def test_only_new_quota_is_marked_as_such(prometheus: Prometheus, key: str) -> None:
    query = next(q for q in ANNOTATIONS if q.name == "Quota raised")

    assert _marks(prometheus, query, ONE | {"key": key}) == []


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Usable keys", 16),
        ("Probably dry", 2),
        ("Expire in 7 days", 2),
        ("Dry in 24 h", 1),
        ("Data age", 20),
        ("Accounts up", 0),
        ("Unlimited keys", 1),
        ("Spendable", 11_000),
        ("Burn per day", 630.72),
        ("Left on keys", 5_500.00004),
    ],
)
def test_two_replicas_count_once(prometheus: Prometheus, title: str, expected: float) -> None:
    """Burn: 500 + 3,000 + 100 + 50 units a second for 86,400 seconds at 500,000 units a dollar."""
    assert _number(prometheus, OVERVIEW, title, EVERYTHING | {"account": "main"}) == pytest.approx(
        expected, rel=1e-6
    )


def test_two_replicas_skip_the_same_keys(prometheus: Prometheus) -> None:
    assert _number(prometheus, EXPORTER, "Skipped keys", EVERYTHING | {"account": "main"}) == 0


@pytest.mark.parametrize(
    ("title", "key", "expected"),
    [
        ("Remaining", "2", 300),
        # 150 million of the 236.4 million that were left eight hours ago.
        ("Share left", "2", 0.63452),
        ("Burn per day", "2", 518.4),
        ("Lasts", "2", 50_000),
        ("Expires in", "2", 20 * DAY),
        ("State", "5", 2),
        ("State", "18", 8),
        ("State", "21", 9),
        ("State", "2", 10),
        ("Status", "5", 1),
        ("Expires in", "5", -3600),
        ("Share left", "6", 0),
        ("Burn per day", "14", 0),
        ("Burn per day", "15", 8.64),
        ("Lasts", "15", 1_000_000),
        ("Requests left", "2", 150_000_000 / 36_500),
        ("Typical request", "2", 0.073),
        ("Spent in range", "15", 2.88),
        ("Remaining", "3", inf),
        ("Lasts", "3", inf),
        ("Expires in", "3", inf),
        ("Last used", "13", inf),
    ],
)
def test_one_key_is_shown_truly(
    prometheus: Prometheus, title: str, key: str, expected: float
) -> None:
    """An unlimited key (3) is never spent, and one (13) was never used: infinity, since no value means unknown.

    The account spent 3,650 units a second for 8 hours on 2,880 requests: 36,500 units each. A
    refund (14) is no negative burn, and a top-up (15) does not touch it.
    """
    assert _number(prometheus, ONE_KEY, title, ONE | {"key": key}) == pytest.approx(
        expected, rel=1e-3, abs=1e-9
    )


@pytest.mark.parametrize(
    ("title", "ids"),
    [
        ("Keys that stopped working", {"5", "6", "7", "8"}),
        ("Keys to renew", {"2", "4", "19"}),
        ("Keys running dry", {"2", "17", "18", "21"}),
        ("Next to expire", {"2", "4", "17", "18", "19"}),
        ("All keys", {str(number) for number in range(1, 22)}),
    ],
)
def test_a_table_lists_its_keys_in_every_column(
    prometheus: Prometheus, title: str, ids: set[str]
) -> None:
    """No column brings another key, for which Grafana would add a row, or the same twice."""
    values = EVERYTHING | {"account": "main"}
    listed: set[str] = set()
    for query in _queries(OVERVIEW, title):
        found = [
            one["metric"]["key_id"]
            for one in prometheus.run(query, values | {"money": _switch(query)}, SCREEN)
        ]
        assert len(found) == len(set(found))
        listed |= set(found)

    assert listed == ids


def test_the_calendar_counts_each_enabled_key_once(prometheus: Prometheus) -> None:
    values = EVERYTHING | {"account": "main"}
    queries = _queries(OVERVIEW, "When enabled keys expire")

    counts = {
        query.legend: float(prometheus.run(query, values, SCREEN)[0]["value"][1])
        for query in queries
    }

    assert counts == {
        "past expiry": 1,
        "within 24 h": 1,
        "1 to 7 days": 1,
        "7 to 30 days": 1,
        "30 to 90 days": 1,
        "later": 1,
        "never": 11,
    }


def test_a_key_that_breaks_two_policies_has_two_rows_and_one_never_used_no_time(
    prometheus: Prometheus,
) -> None:
    (query,) = (q for q in _queries(OVERVIEW, "Keys that break policies") if q.name == "last_use")

    series = prometheus.run(query, EVERYTHING | {"account": "main"}, SCREEN)

    rows = {
        (one["metric"]["key_id"], one["metric"]["policy"]): int(one["value"][1]) for one in series
    }
    used = (END - 300) * 1000
    assert rows == {
        ("1", "max_lifetime"): used,
        ("1", "model_limits"): used,
        ("3", "limited_quota"): used,
        ("13", "max_unused"): 0,
    }


def test_every_policy_that_is_set_has_its_number_of_keys(prometheus: Prometheus) -> None:
    (query,) = _queries(OVERVIEW, "Keys by broken policy")

    series = prometheus.run(query, EVERYTHING, SCREEN)

    assert {one["metric"]["policy"]: float(one["value"][1]) for one in series} == {
        "limited_quota": 1,
        "max_lifetime": 1,
        "max_unused": 1,
        "model_limits": 1,
        "name": 0,
    }


def test_a_restart_neither_adds_to_what_models_cost_nor_takes_from_it(
    prometheus: Prometheus,
) -> None:
    """10 units a second for 8 hours, at 1,000,000 a dollar; the counters begin again at 0 on the way."""
    spent = next(query for query in _queries(OVERVIEW, "Models") if query.name == "spent_usd")

    series = prometheus.run(spent, EVERYTHING | {"account": "solo"}, SCREEN)

    assert {one["metric"]["model"] for one in series} == {"gpt-5", "claude-opus", "small-model"}
    assert sum(float(one["value"][1]) for one in series) == pytest.approx(0.288, rel=0.01)


def test_a_model_has_the_price_of_its_tokens(prometheus: Prometheus) -> None:
    """0.3 of what is spent buys a tenth of a token a unit: 10,000 units for 1,000 tokens."""
    price = next(query for query in _queries(OVERVIEW, "Models") if query.name == "price_usd")

    series = prometheus.run(price, EVERYTHING | {"account": "main"}, SCREEN)

    prices = {one["metric"]["model"]: float(one["value"][1]) for one in series}
    assert prices["claude-opus"] == pytest.approx(0.02, rel=0.01)


def test_money_is_converted_at_the_rate_of_its_own_account(prometheus: Prometheus) -> None:
    """5,500 million units are 11,000 USD at 500,000 units a dollar and 5,500 USD at a million."""
    queries = _queries(OVERVIEW, "Spendable over time")
    graph = next(query for query in queries if query.is_range and query.name.endswith("_usd"))

    last = {
        one["metric"]["account"]: float(one["values"][-1][1])
        for one in prometheus.run(graph, EVERYTHING, SCREEN)
    }

    assert last == {"main": 11_000, "solo": 5_500, "crowd": 11_000, "demo": 11_000}


@pytest.mark.parametrize("query", LINES, ids=str)
def test_no_graph_has_more_than_twenty_lines_for_a_crowd_of_keys(
    prometheus: Prometheus, query: Query
) -> None:
    series = prometheus.run(
        query, EVERYTHING | {"account": "crowd", "money": _switch(query)}, SCREEN
    )

    assert len(series) <= 20


@pytest.mark.parametrize(
    ("title", "most"), [("Keys to renew", 25), ("Keys running dry", 25), ("Next to expire", 50)]
)
def test_lists_of_what_to_do_stay_short_for_a_crowd_of_keys(
    prometheus: Prometheus, title: str, most: int
) -> None:
    for query in _queries(OVERVIEW, title):
        if query.name.startswith("more_rows"):
            continue
        series = prometheus.run(
            query, EVERYTHING | {"account": "crowd", "money": _switch(query)}, SCREEN
        )
        assert len(series) == most


def test_a_single_key_without_a_group_is_enough(prometheus: Prometheus) -> None:
    values = EVERYTHING | {"account": "solo"}

    assert _number(prometheus, OVERVIEW, "Usable keys", values) == 1
    assert _number(prometheus, OVERVIEW, "Burn per day", values) == pytest.approx(
        10 * DAY / 1_000_000
    )
    assert len(_answers(prometheus, OVERVIEW, "All keys", values)) == 1
    for query in panel_queries(OVERVIEW):
        prometheus.run(query, values, SCREEN)


def _marks(prometheus: Prometheus, query: Query, values: dict[str, str]) -> list[dict[str, str]]:
    """Give the labels of each series that is above zero at some time: Grafana draws those."""
    series = prometheus.run(query, values, SCREEN)
    return [one["metric"] for one in series if any(float(value) > 0 for _, value in one["values"])]


def _switch(query: Query) -> str:
    """Set the money switch as *query* needs it."""
    return "0" if query.name.endswith("_units") else "1"


def _queries(dashboard: Json, title: str) -> list[Query]:
    found = [
        query
        for query in panel_queries(dashboard)
        if re.fullmatch(rf"panel \d+ {re.escape(title)}", query.place)
    ]
    assert found, f"no panel is called {title}"
    return found


def _answers(
    prometheus: Prometheus, dashboard: Json, title: str, values: dict[str, str]
) -> list[Json]:
    queries = [query for query in _queries(dashboard, title) if not query.name.endswith("_units")]
    return prometheus.run(queries[0], values, SCREEN)


def _number(prometheus: Prometheus, dashboard: Json, title: str, values: dict[str, str]) -> float:
    (series,) = _answers(prometheus, dashboard, title, values)
    return float(series["value"][1])

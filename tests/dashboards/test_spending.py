"""The dashboard of spending beside the gateway double's books, on the first, the fifteenth and the last of a month."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboards.committed import OVERVIEW, SPENDING
from dashboards.queries import Json, Moment, Prometheus, panel_queries
from dashboards.serving import prometheus_with_history
from dashboards.spending_history import (
    DAY,
    END,
    FRESH,
    LIVE,
    RAISED,
    UNITS_PER_USD,
    Account,
    accounts,
    accounts_elsewhere,
    at,
    recorded,
    spending_lines,
)

EVERYTHING = {
    "job": ".*",
    "cluster": ".*",
    "namespace": ".*",
    "account": ".*",
    "group": ".*",
    "key": ".*",
    "window": "6h",
    "money": "1",
}
FIRST, FIFTEENTH, LAST = at(5, 1, 12), at(5, 15, 10), at(5, 31, 20)
DAYS = [FIRST, FIFTEENTH, LAST]
MAY, JUNE = at(5, 1), at(6, 1)
each_day = pytest.mark.parametrize("now", DAYS, ids=["first", "fifteenth", "last"])
# What is counted hour by hour, and not by the gateway, may be off by so much.
NEARLY = 0.03


@pytest.fixture(scope="module")
def known() -> list[Account]:
    return accounts()


@pytest.fixture(scope="module")
def source(known: list[Account], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus_with_history(
        tmp_path_factory.mktemp("spending"), spending_lines(known), block="4000h"
    ) as client:
        yield client


def ask(source: Prometheus, title: str, name: str, now: int, **chosen: str) -> list[Json]:
    (query,) = [
        query
        for query in panel_queries(SPENDING)
        if query.place.endswith(f" {title}") and query.name == name
    ]
    moment = Moment(end=now, seconds=30 * DAY, step=DAY)
    return source.run(query, EVERYTHING | chosen, moment)


def values(series: list[Json], label: str) -> dict[str, float]:
    return {one["metric"].get(label, ""): float(one["value"][1]) for one in series}


def usd(account: Account, since: int, until: int, **labels: object) -> float:
    return recorded(account, since, until, **labels) / UNITS_PER_USD.get(account.name, 500_000)


@each_day
def test_the_month_so_far_is_that_of_the_books(
    source: Prometheus, known: list[Account], now: int
) -> None:
    shown = values(ask(source, "By account", "spent_usd", now), "account")
    (total,) = ask(source, "Spent this month", "A_usd", now)

    books = {one.name: usd(one, MAY, now) for one in known}
    assert shown == pytest.approx(books | {"idle": 0})
    assert float(total["value"][1]) == pytest.approx(sum(shown.values()))


@each_day
def test_the_month_by_model_key_and_group_is_that_of_the_books(
    source: Prometheus, known: list[Account], now: int
) -> None:
    shop = known[0]
    models = values(ask(source, "By model", "spent_usd", now, account="shop"), "model")
    keys = values(ask(source, "By key", "spent_usd", now), "key_id")
    groups = values(ask(source, "By group", "spent_usd", now), "group")

    assert models == pytest.approx(
        {model: usd(shop, MAY, now, model=model) for model in ("gpt-5", "small")}
    )
    assert keys == pytest.approx({str(key): usd(shop, MAY, now, key_id=key) for key in (7, 8)})
    assert groups == pytest.approx(
        {group: usd(shop, MAY, now, group=group) for group in ("vip", "")}
    )


@pytest.mark.parametrize("now", [FIFTEENTH, LAST], ids=["fifteenth", "last"])
def test_the_forecast_is_near_what_the_books_will_say(
    source: Prometheus, known: list[Account], now: int
) -> None:
    shown = values(ask(source, "By account", "forecast_usd", now), "account")

    books = {one.name: usd(one, MAY, JUNE) for one in known}
    assert shown == pytest.approx(books | {"idle": 0}, rel=NEARLY)


@each_day
def test_last_month_is_told_where_all_of_it_is_known(
    source: Prometheus, known: list[Account], now: int
) -> None:
    shop, models, _ = known
    shown = values(ask(source, "By account", "last_usd", now), "account")

    # Of "shop" the gateway's last reading of April counts, an hour before its end.
    assert shown == pytest.approx(
        {"shop": usd(shop, at(4, 1), MAY), "models": usd(models, at(4, 1), MAY), "idle": 0},
        rel=NEARLY,
    )


@each_day
def test_shares_of_the_total_add_up_to_one(source: Prometheus, now: int) -> None:
    shown = values(ask(source, "By account", "share", now), "account")

    assert sum(shown.values()) == pytest.approx(1)


def test_a_budget_is_beside_what_was_spent_of_it_and_alone_where_that_is_unknown(
    source: Prometheus, known: list[Account]
) -> None:
    budgets = values(ask(source, "Budgets of accounts", "budget_usd", LAST), "account")
    spent = values(ask(source, "Budgets of accounts", "spent_usd", LAST), "account")
    share = values(ask(source, "Budgets of accounts", "share", LAST), "account")

    assert budgets == {"shop": 120, "models": 60, "young": 120, "off": 120}
    assert set(spent) == {"shop", "models", "young"}
    assert share["models"] == pytest.approx(recorded(known[1], MAY, LAST) / 60_000_000)


@pytest.mark.parametrize("now", [at(4, 30), at(5, 20)])
def test_each_day_costs_what_the_books_say(
    source: Prometheus, known: list[Account], now: int
) -> None:
    """Over the border of the backfill, before which no exporter ran, a restart and a second replica."""
    series = ask(source, "Spent per day, by model", "A_usd", now, account="shop")
    shown = {
        (one["metric"]["model"], int(moment)): float(value)
        for one in series
        for moment, value in one["values"]
        if moment < now
    }

    assert len(shown) == 60
    assert shown == pytest.approx(
        {(model, day): usd(known[0], day, day + DAY, model=model) for model, day in shown},
        rel=NEARLY,
    )


def test_the_overview_shows_backfilled_hours_in_dollars(source: Prometheus) -> None:
    """At moments that are not those of samples."""
    (query,) = [
        query
        for query in panel_queries(OVERVIEW)
        if query.place.endswith(" Spent per hour, by model") and query.name == "A_usd"
    ]
    moment = Moment(end=at(4, 30, 12), seconds=30 * DAY, step=3_660)
    series = source.run(query, EVERYTHING, moment)
    before = [value for one in series for time, value in one["values"] if time < LIVE]

    assert len(before) > 500


def test_an_exporter_that_started_today_shows_today(tmp_path: Path) -> None:
    lines = spending_lines(accounts_elsewhere())
    with prometheus_with_history(tmp_path, lines, block="4000h") as client:
        (total,) = ask(client, "Price of a request", "A_usd", FRESH + 3 * 3_600, cluster="fresh")

    assert len(total["values"]) == 1


def test_prices_are_those_of_the_books(source: Prometheus, known: list[Account]) -> None:
    (request,) = ask(source, "Price of a request", "A_usd", at(5, 20), account="models")
    (tokens,) = ask(source, "Price of 1,000 tokens", "A_usd", at(5, 20), account="models")
    moment, price = request["values"][3]
    day = int(moment)

    assert float(price) == pytest.approx(usd(known[1], day, day + DAY) / 48, rel=NEARLY)
    # Two tokens a unit.
    assert float(tokens["values"][3][1]) == pytest.approx(0.0005, rel=NEARLY)


def test_a_raised_price_factor_cost_its_share_of_what_was_spent_since(
    source: Prometheus, known: list[Account]
) -> None:
    shown = values(ask(source, "Cost of raised price factors", "A_usd", at(5, 20)), "group")

    expected = usd(known[0], RAISED, at(5, 20), group="vip") / 3
    assert shown == pytest.approx({"vip": expected}, rel=NEARLY)


def test_money_on_keys_that_nobody_uses_is_summed(source: Prometheus) -> None:
    (shown,) = ask(source, "On unused keys", "A_usd", LAST)

    assert float(shown["value"][1]) == 50


def test_in_the_first_hours_of_a_month_nothing_is_known(source: Prometheus) -> None:
    assert ask(source, "By account", "spent_usd", at(5, 1, 2)) == []


def test_usage_that_is_told_by_model_alone_gives_no_keys_and_no_groups(
    source: Prometheus,
) -> None:
    assert ask(source, "By key", "spent_usd", LAST, account="models") == []
    assert ask(source, "By group", "spent_usd", LAST, account="models") == []
    assert ask(source, "By account", "spent_usd", LAST, account="off") == []


def test_the_history_ends_after_the_last_moment() -> None:
    assert max(DAYS) < END

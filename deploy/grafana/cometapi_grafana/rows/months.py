"""The rows of the dashboard of spending: the calendar month, budgets, and days.

Pure.
"""

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as look_model

from cometapi_grafana import look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import OVERVIEW as SCOPE
from cometapi_grafana.panels import Frame, Query, in_money, summed
from cometapi_grafana.spending_expressions import (
    BY_ACCOUNT,
    BY_GROUP,
    BY_KEY,
    BY_MODEL,
    Spending,
    raised_price,
    unused_money,
    with_group_names,
)
from cometapi_grafana.tables import Column, RowLabels, field_setting, row_table

_ABSENT = "Unknown or not offered"
_ABSENT_BY_MODEL = "Nothing spent, or unknown"
_ABSENT_BY_KEY = "Nothing spent or unknown: needs --collect.usage=key-model"
_NO_BUDGET = "No budget, or unknown"
_ACCOUNTS = Spending(SCOPE, BY_ACCOUNT)
_MODELS = Spending(SCOPE, BY_MODEL)
_GROUPS = Spending(SCOPE, BY_GROUP)
_KEYS = Spending(SCOPE, BY_KEY)
_WIDEST_BAR = 40
"""Pixels."""
_BUDGET = (look.Step(None, "green"), look.Step(0.8, "orange"), look.Step(1, "red"))


def this_month() -> list[PanelBuilder]:
    """Build the row of the running month beside the last one."""
    key = RowLabels(
        first={"account": "Account", "key_name": "Key"},
        last={"group": "Group", "key_id": "ID"},
        widths={"ID": 70},
    )
    return [
        _number(
            "Spent this month",
            "Spending that the gateway recorded since the first of the month, 00:00 UTC, in the accounts that report it; read once an hour.",
            _ACCOUNTS.so_far(),
        ),
        _number(
            "Forecast to its end",
            "Spending so far this month plus the predicted cost of the remaining hours, from the same weekdays of the last "
            "four weeks.",
            _ACCOUNTS.forecast(),
        ),
        _number(
            "Last month",
            "Cost of the month before, in the accounts for which Prometheus has all hours.",
            _ACCOUNTS.last_month(),
        ),
        _number(
            "On unused keys",
            "Quota left on usable keys that nobody has used for 90 days.",
            unused_money(SCOPE),
            empty=look.UNKNOWN,
        ),
        _table(
            "By account",
            _ACCOUNTS,
            RowLabels(first={"account": "Account"}),
            _ABSENT,
            height=8,
            more_rows=SCOPE.accounts(),
        ),
        _table(
            "By group",
            _GROUPS,
            RowLabels(first={"account": "Account", "group": "Group"}),
            _ABSENT_BY_KEY,
            height=8,
        ).override_by_name("Group", [field_setting("mappings", look.text_if_empty("no group"))]),
        _table(
            "By model",
            _MODELS,
            RowLabels(first={"account": "Account", "model": "Model"}),
            _ABSENT_BY_MODEL,
        ),
        _table("By key", _KEYS, key, _ABSENT_BY_KEY),
    ]


def budgets() -> list[PanelBuilder]:
    """Build the row of budgets against what was spent of them."""
    key = RowLabels(
        first={"account": "Account", "key_name": "Key"},
        last={"group": "Group", "key_id": "ID"},
        widths={"ID": 70},
    )
    return [
        _budget_table(
            "Budgets of accounts",
            _ACCOUNTS,
            SCOPE.of_account("cometapi_account_monthly_budget_quota"),
            RowLabels(first={"account": "Account"}),
        ),
        _budget_table("Budgets of keys", _KEYS, SCOPE.of_key("monthly_budget_quota"), key),
    ]


def days() -> list[PanelBuilder]:
    """Build the row of days: what each cost, and how prices changed."""
    return [
        _bars(
            "Spent per day, by model",
            "What each day in UTC cost, today so far.",
            _MODELS.per_day(),
            "{{model}} · {{account}}",
            _ABSENT_BY_MODEL,
        ),
        _bars(
            "Spent per day, by group",
            "What each day in UTC cost, today so far.",
            with_group_names(_GROUPS.per_day()),
            "{{group}} · {{account}}",
            _ABSENT_BY_KEY,
        ),
        _price("Price of a request", "Mean price of a request on each day.", "requests", 1),
        _price("Price of 1,000 tokens", "Mean price of 1,000 tokens on each day.", "tokens", 1_000),
        _raised(),
    ]


def _number(title: str, description: str, expr: str, empty: str = _ABSENT) -> PanelBuilder:
    frame = Frame(
        title=title,
        description=description,
        width=6,
        height=4,
        unit=look.DOLLARS,
        empty=empty,
    )
    return panels.number(frame, *in_money(SCOPE, Query(expr=expr), total=summed()))


def _table(
    title: str,
    spending: Spending,
    labels: RowLabels,
    empty: str,
    *,
    height: int = 9,
    more_rows: str = "",
) -> table.Panel:
    so_far, last = spending.so_far(), spending.last_month()
    frame = Frame(
        title=title,
        description="This calendar month in UTC. Share: of everything spent in the chosen accounts. Change: of the "
        "forecast, to last month. Inspect, Data exports it as CSV.",
        width=24,
        height=height,
        unit=look.COUNT,
        empty=empty,
    )
    # Where nothing was spent, a share is no number: dropped by the comparison.
    total = f"scalar(sum({SCOPE.in_usd(_ACCOUNTS.so_far())}))"
    columns = [
        _money("spent", "Spent", so_far),
        _share("share", "Share", f"{SCOPE.in_usd(so_far)} / {total} >= 0"),
        _money("forecast", "Forecast", spending.forecast()),
        _money("last", "Last", last),
        _share(
            "change",
            "Change",
            f"{spending.forecast()} / on ({spending.by}) ({last} > 0) - 1",
        ),
    ]
    return row_table(
        frame, SCOPE, columns, labels, sort_by="Spent", descending=True, more_rows=more_rows
    )


def _budget_table(title: str, spending: Spending, budget: str, labels: RowLabels) -> PanelBuilder:
    limited = f"on ({spending.by}) {budget}"
    frame = Frame(
        title=title,
        description="Each monthly_budget_usd of the configuration file, and how much of it this calendar month in UTC has used.",
        width=24,
        height=7,
        unit=look.COUNT,
        empty=_NO_BUDGET,
    )
    columns = [
        _money("budget", "Budget", budget),
        _money("spent", "Spent", spending.so_far_of(budget)),
        _share("share", "Share", f"{spending.so_far_of(budget)} / {limited}", _BUDGET),
        _money("forecast", "Forecast", f"{spending.forecast()} and {limited}"),
        _share("predicted", "Predicted", f"{spending.forecast()} / {limited}", _BUDGET),
    ]
    return row_table(frame, SCOPE, columns, labels, sort_by="Share", descending=True)


def _money(name: str, title: str, expr: str) -> Column:
    return Column(name=name, title=title, expr=expr, unit=look.DOLLARS, width=116, is_money=True)


def _share(name: str, title: str, expr: str, steps: tuple[look.Step, ...] = ()) -> Column:
    return Column(name=name, title=title, expr=expr, unit=look.SHARE, width=84, steps=steps)


def _bars(title: str, description: str, per_day: str, legend: str, empty: str) -> PanelBuilder:
    frame = Frame(
        title=title,
        description=description,
        width=12,
        height=9,
        unit=look.DOLLARS,
        empty=empty,
    )
    asks = in_money(SCOPE, Query(expr=per_day, legend=legend), is_backfilled=True)
    panel = panels.daily(frame, *asks).draw_style(look_model.GraphDrawStyle.BARS).min(0)
    panel = panel.fill_opacity(60).show_points(look_model.VisibilityMode.NEVER)
    # A single day would be a bar as wide as a third of the graph.
    panel = panel.bar_max_width(_WIDEST_BAR)
    return panel.stacking(common.StackingConfig().mode(look_model.StackingMode.NORMAL).group("A"))


def _price(title: str, description: str, metric: str, units: int) -> PanelBuilder:
    spent, counted = _MODELS.per_day(), f"sum({_MODELS.per_day(metric)})"
    frame = Frame(
        title=title,
        description=description,
        width=8,
        height=7,
        unit=look.EXACT_DOLLARS,
        empty=_ABSENT,
    )
    asks = in_money(
        SCOPE,
        Query(expr=spent, legend="all models"),
        total=lambda expr: f"{units} * sum({expr}) / ({counted} > 0)",
        is_backfilled=True,
    )
    return panels.daily(frame, *asks)


def _raised() -> PanelBuilder:
    frame = Frame(
        title="Cost of raised price factors",
        description="Additional cost of groups in the time range, compared with their lowest price factor in it.",
        width=8,
        height=7,
        unit=look.DOLLARS,
        empty=_ABSENT,
    )
    ask = Query(expr=raised_price(SCOPE), legend="{{group}} · {{account}}")
    return panels.bars(frame, *in_money(SCOPE, ask))

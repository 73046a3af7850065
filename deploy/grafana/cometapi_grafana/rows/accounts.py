"""The table of accounts: what each can pay with, and how long that lasts.

Pure. Knows no dashboard.
"""

from cometapi_grafana import look
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import Scope, per_day
from cometapi_grafana.panels import Frame
from cometapi_grafana.tables import Column, RowLabels, row_table

_ACCOUNT = RowLabels(first={"account": "Account"})
_WIDTHS = {"Subscription": 115}


def accounts(scope: Scope) -> PanelBuilder:
    """Build the table."""
    subscription = "cometapi_account_subscription_{}"
    frame = Frame(
        title="Accounts",
        description="Spendable: wallet, subscriptions or both, as the account prefers; empty where nothing limits it. "
        "Request: the usual price of one. Subscription: what is left in all, and when the first resets and ends.",
        width=16,
        height=7,
        unit=look.COUNT,
    )
    columns = [
        _money("spendable", "Spendable", scope.spendable(), look.BALANCE),
        _until("lasts", "Lasts", scope.account_runway()),
        _money("rate", "Burn/day", per_day(scope.account_burn())),
        _money("request", "Request", scope.request_price()),
        _money("wallet", "Wallet", scope.of_account("cometapi_account_remaining_quota")),
        _money(
            "subscription", "Subscription", scope.of_account(subscription.format("remaining_quota"))
        ),
        _moment(scope, "reset", "Resets in", subscription.format("reset_timestamp_seconds")),
        _moment(scope, "end", "Ends in", subscription.format("end_timestamp_seconds")),
    ]
    return row_table(frame, scope, columns, _ACCOUNT, sort_by="Lasts")


def _money(name: str, title: str, expr: str, steps: tuple[look.Step, ...] = ()) -> Column:
    width = _WIDTHS.get(title, 104)
    return Column(
        name=name, title=title, expr=expr, unit=look.QUOTA, width=width, is_money=True, steps=steps
    )


def _until(
    name: str, title: str, seconds: str, steps: tuple[look.Step, ...] = look.MORE_TIME_IS_GOOD
) -> Column:
    endless = look.text_if_endless("no limit")
    return Column(
        name=name,
        title=title,
        expr=seconds,
        unit=look.SECONDS,
        width=88,
        steps=steps,
        mappings=endless,
    )


def _moment(scope: Scope, name: str, title: str, metric: str) -> Column:
    return _until(name, title, f"{scope.of_account(metric)} - time()", look.PLAIN)

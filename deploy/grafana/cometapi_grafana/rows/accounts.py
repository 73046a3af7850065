"""Tables of accounts: which are up, what each can pay with, which paths of the API fail.

Pure. Knows no dashboard.
"""

from dataclasses import replace

from cometapi_grafana import look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import Scope, per_day
from cometapi_grafana.panels import Frame
from cometapi_grafana.tables import Column, RowLabels, row_table

_ACCOUNT = RowLabels(first={"account": "Account"}, last={"where": "Installation"})
_ACCOUNT_AND_REASON = RowLabels(
    first={"account": "Account"},
    last={"reason": "Reason", "where": "Installation"},
    widths={"Reason": 125},
)
_PATH = RowLabels(
    first={"account": "Account", "path": "Path"},
    last={"where": "Installation"},
    widths={"Path": 160},
    min_widths={"Account": 80},
)
_WIDTHS = {"Subscription": 132, "Spendable": 118}


def accounts(scope: Scope) -> PanelBuilder:
    """Build the table that says which accounts fail."""
    frame = Frame(
        title="Accounts",
        description="All accounts, those that fail first. Failing: the last refresh failed, and the last values are "
        "shown. Stale: they are too old and no longer shown. No exporter: the account was monitored within the last "
        "day, and its exporter is missing. Reason: of most failures within the last hour.",
        width=16,
        height=7,
        unit=look.COUNT,
        empty="Unknown: no exporter responds",
    )
    columns = [
        Column(
            name="state",
            title="State",
            expr=scope.account_state(),
            unit=look.COUNT,
            width=110,
            mappings=look.ACCOUNT_STATES,
        ),
        Column(
            name="age",
            title="Data age",
            expr=scope.data_age(),
            unit=look.SECONDS,
            width=90,
            steps=look.DATA_AGE,
            mappings=look.text_if_null("none"),
        ),
        _spendable(scope),
        _until("lasts", "Lasts", scope.account_runway()),
    ]
    return row_table(
        frame,
        scope,
        columns,
        _ACCOUNT_AND_REASON,
        sort_by="State",
        more_rows=scope.failure_reason(),
        more_labels=scope.where(),
    )


def failing_paths(scope: Scope) -> PanelBuilder:
    """Build the table of the API's paths that fail."""
    frame = Frame(
        title="Paths that fail",
        description="Paths of the gateways' APIs whose last request failed, and the time since they were last up. "
        "Paths that a gateway does not offer are not listed.",
        width=8,
        height=7,
        unit=look.COUNT,
        empty=panels.NONE_FOUND,
    )
    age = Column(
        name="age",
        title="Last success",
        expr=scope.placed(scope.paths_failing()),
        unit=look.SECONDS,
        width=98,
        steps=look.PLAIN,
        mappings=look.text_if_endless("none in 24 h"),
    )
    return row_table(
        frame,
        scope,
        [age],
        _PATH,
        sort_by="Path",
        more_rows=scope.paths_unknown(),
    )


def balances(scope: Scope) -> PanelBuilder:
    """Build the table that says what each account can pay with."""
    subscription = "cometapi_account_subscription_{}"
    frame = Frame(
        title="Balances",
        description="Spendable: wallet, subscriptions or both, according to the account's billing preference. "
        "Request: the typical price of one. Subscription: quota left in all of them, and the next reset and end.",
        width=24,
        height=7,
        unit=look.COUNT,
    )
    columns = [
        _spendable(scope),
        _until("lasts", "Lasts", scope.placed(scope.account_runway())),
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


def _spendable(scope: Scope) -> Column:
    return replace(
        _money("spendable", "Spendable", scope.spendable_in_words(), look.BALANCE),
        mappings=look.balance_words(),
    )


def _money(name: str, title: str, expr: str, steps: tuple[look.Step, ...] = ()) -> Column:
    width = _WIDTHS.get(title, 114)
    return Column(
        name=name, title=title, expr=expr, unit=look.QUOTA, width=width, is_money=True, steps=steps
    )


def _until(
    name: str, title: str, seconds: str, steps: tuple[look.Step, ...] = look.MORE_TIME_IS_GOOD
) -> Column:
    endless = look.text_if_endless("nothing spent")
    return Column(
        name=name,
        title=title,
        expr=seconds,
        unit=look.SECONDS,
        width=104,
        steps=steps,
        mappings=endless,
    )


def _moment(scope: Scope, name: str, title: str, metric: str) -> Column:
    return _until(name, title, f"{scope.of_account(metric)} - time()", look.PLAIN)

"""Tables of keys: what names a row, and the columns to choose from.

Pure.
"""

from dataclasses import replace

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from cometapi_grafana import look
from cometapi_grafana.expressions import Scope, per_day
from cometapi_grafana.links import key_of_row
from cometapi_grafana.panels import Frame
from cometapi_grafana.tables import Column, RowLabels, field_setting, row_table

# The last ones are cut off first on a narrow screen.
KEY = RowLabels(
    first={"key_name": "Key"},
    last={"group": "Group", "account": "Account", "where": "Installation", "key_id": "ID"},
    widths={"Group": 75, "ID": 60},
    # Columns without a width share what is left: more than their share makes the table scroll.
    min_widths={"Key": 95, "Account": 80},
)


def key_table(
    frame: Frame,
    scope: Scope,
    columns: list[Column],
    *,
    only: str = "",
    sort_by: str,
    descending: bool = False,
    more_rows: str = "",
    account_width: int | None = None,
) -> table.Panel:
    """Build a table of the keys that the expression *only* gives, or of all keys.

    Where keys are unknown, the table has a row that says so. The first column, which is not about
    money, also brings the place of accounts whose name is not unique.
    """
    chosen = columns
    if only:
        chosen = [replace(column, expr=scope.among(f"({column.expr})", only)) for column in columns]
    labels = KEY
    if account_width is not None:
        labels = replace(KEY, widths={**KEY.widths, "Account": account_width})
    causes = [more_rows, scope.unknown_keys()] if more_rows else [scope.unknown_keys()]
    first, *others = chosen
    chosen = [replace(first, expr=scope.placed(first.expr)), *others]
    panel = row_table(
        frame,
        scope,
        chosen,
        labels,
        sort_by=sort_by,
        descending=descending,
        more_rows=" or ".join(causes),
    )
    return _with_names(panel)


def policy_table(frame: Frame, scope: Scope, last_use: Column) -> table.Panel:
    """Build a table with one row for each key and policy that *last_use* gives."""
    labels = replace(
        KEY, first={**KEY.first, "policy": "Policy"}, min_widths={"Account": 80, "Policy": 80}
    )
    panel = row_table(
        frame,
        scope,
        [replace(last_use, expr=scope.placed(last_use.expr))],
        labels,
        sort_by=last_use.title,
        descending=True,
        more_rows=f"{scope.unknown_keys()} or {scope.without_policies()}",
    )
    return _with_names(panel)


def state(scope: Scope) -> Column:
    """Show whether the key can serve requests, and otherwise the reason why not."""
    return Column(
        name="state",
        title="State",
        expr=scope.state(),
        unit=look.COUNT,
        width=140,
        mappings=look.STATES,
    )


def reason(scope: Scope) -> Column:
    """Show the reason why a key cannot serve requests."""
    return replace(state(scope), expr=scope.state_but_for_dryness())


def last_usable(scope: Scope) -> Column:
    """Show when the key could last serve requests; empty if that is more than a day ago."""
    moment = f"{scope.last_usable()} * 1000"
    return Column(name="stopped", title="Stopped", expr=moment, unit=look.AGO, width=112)


def remaining(scope: Scope) -> Column:
    """Show what is left on the key."""
    unlimited = f"{scope.key_series('unlimited_quota')} == 1"
    return Column(
        name="remaining",
        title="Left",
        expr=scope.key_or_endless(scope.key_series("remaining_quota"), unlimited),
        unit=look.QUOTA,
        width=92,
        is_money=True,
        steps=look.BALANCE,
        mappings=look.text_if_endless("unlimited"),
    )


def requests_left(scope: Scope) -> Column:
    """Show how many typical requests the rest pays for; empty if unlimited or unknown."""
    left = scope.requests_left()
    return Column(
        name="requests",
        title="Requests",
        expr=left,
        unit=look.QUOTA,
        width=84,
        steps=look.REQUESTS_LEFT,
    )


def rate(scope: Scope) -> Column:
    """Show what the key spends a day at its present rate."""
    burn = per_day(scope.burn())
    return Column(
        name="rate", title="Burn/day", expr=burn, unit=look.QUOTA, width=112, is_money=True
    )


def lasts(scope: Scope) -> Column:
    """Show how long the quota lasts at the present rate."""
    return replace(_duration("lasts", "Lasts", scope.lasts(), 104), mappings=look.lasts_words())


def lasts_or_dry(scope: Scope) -> Column:
    """Show the same for keys with a limit, and in words that a key probably or possibly ran dry."""
    return replace(
        lasts(scope), expr=scope.lasts_or_dry(), mappings=look.lasts_or_dry_words(), width=108
    )


def expiry(scope: Scope) -> Column:
    """Show how long the key is still valid; below zero, how long ago it expired."""
    return _duration("expires", "Expires in", scope.expires_in(), 96)


def expiry_date(scope: Scope) -> Column:
    """Show the moment at which the key expires."""
    moment = f"{scope.of_key('expiry_timestamp_seconds')} * 1000"
    return Column(name="expiry", title="Expires at", expr=moment, unit=look.MOMENT, width=165)


def last_use(scope: Scope) -> Column:
    """Show when the key was last used; empty for never."""
    moment = f"{scope.of_key('last_used_timestamp_seconds')} * 1000"
    return Column(name="last_use", title="Last used", expr=moment, unit=look.AGO, width=120)


def _with_names(panel: table.Panel) -> table.Panel:
    """Let the names of keys lead to their dashboard, and say what has no name and no group."""
    panel.override_by_name("Key", _named_key())
    return panel.override_by_name("Group", [field_setting("mappings", look.text_if_empty("none"))])


def _named_key() -> list[DynamicConfigValue]:
    return [
        field_setting("links", [key_of_row().build()]),
        field_setting("mappings", look.text_if_empty("(no name)")),
    ]


def _duration(name: str, title: str, expr: str, width: int) -> Column:
    return Column(
        name=name,
        title=title,
        expr=expr,
        unit=look.SECONDS,
        width=width,
        steps=look.MORE_TIME_IS_GOOD,
    )

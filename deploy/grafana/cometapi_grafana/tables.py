"""Tables of keys: one row a key, one query a column, merged on the key's labels.

Pure. May not know which keys a table is about: the caller brings the rows as an expression.
"""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMapping,
)

from . import look
from .expressions import Scope, among, per_day
from .links import key_of_row
from .panels import Frame
from .targets import IN_USD, SOURCE, Ask, money, rows

_LABEL_TITLES = {"account": "Account", "group": "Group", "key_name": "Key", "key_id": "ID"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: *name* is its query's refId and therefore unique in the table."""

    name: str
    title: str
    expr: str
    unit: str
    is_money: bool = False
    steps: tuple[look.Step, ...] = ()
    mappings: list[ValueMapping] = field(default_factory=list)


def key_table(
    frame: Frame, scope: Scope, columns: list[Column], *, only: str = "", sort_by: str, descending: bool = False
) -> table.Panel:
    """Build a table of the keys that the expression *only* gives, or of all keys."""
    shown = [part for column in columns for part in _split_money(scope, column, only)]
    panel = table.Panel().title(frame.title).description(frame.description).datasource(SOURCE)
    panel = panel.span(frame.width).height(frame.height).unit(frame.unit).no_value(frame.empty)
    panel = panel.cell_height(TableCellHeight.SM).footer(_pages())
    panel = panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(descending)])
    for part in shown:
        panel.with_target(rows(Ask(expr=part.expr, name=part.name)))
        panel.override_by_name(part.title, _style(part))
    panel.override_by_name(_LABEL_TITLES["key_name"], _named_key())
    for label in ("account", "group"):
        panel.override_by_name(_LABEL_TITLES[label], [_property("mappings", look.text_if_empty("none"))])
    return panel.with_transformation(DataTransformerConfig(id_val="merge", options={})).with_transformation(
        _organize(shown)
    )


def info_table(frame: Frame, expr: str, *, titles: dict[str, str]) -> table.Panel:
    """Build a table of an info metric's labels: *titles* maps those to show to their headings."""
    panel = table.Panel().title(frame.title).description(frame.description).datasource(SOURCE)
    panel = panel.span(frame.width).height(frame.height).unit(frame.unit).no_value(frame.empty)
    order = {label: position for position, label in enumerate(titles)}
    options = {"excludeByName": _hidden("Value"), "indexByName": order, "renameByName": titles}
    return panel.with_target(rows(Ask(expr=expr))).with_transformation(
        DataTransformerConfig(id_val="organize", options=options)
    )


def expiry(scope: Scope) -> Column:
    """Say how long the key is still valid; below zero, how long it has not been."""
    return Column(
        name="expires", title="Expires in", expr=scope.expires_in(), unit=look.SECONDS, steps=look.MORE_TIME_IS_GOOD
    )


def expiry_date(scope: Scope) -> Column:
    """Say the moment at which the key expires."""
    moment = f"{scope.of_key('expiry_timestamp_seconds')} * 1000"
    return Column(name="expiry", title="Expires at", expr=moment, unit=look.MOMENT)


def remaining(scope: Scope) -> Column:
    """Say what is left on the key; empty for an unlimited one."""
    left = scope.of_key("remaining_quota")
    return Column(name="remaining", title="Remaining", expr=left, unit=look.QUOTA, is_money=True, steps=look.BALANCE)


def used(scope: Scope) -> Column:
    """Say what the key spent in its life."""
    return Column(name="used", title="Used", expr=scope.of_key("used_quota"), unit=look.QUOTA, is_money=True)


def pace(scope: Scope) -> Column:
    """Say what the key spends a day at its present pace."""
    return Column(name="pace", title="Burn per day", expr=per_day(scope.burn()), unit=look.QUOTA, is_money=True)


def runway(scope: Scope) -> Column:
    """Say how long the quota lasts at the present pace; empty where nothing is spent or nothing limits."""
    return Column(name="lasts", title="Lasts", expr=scope.runway(), unit=look.SECONDS, steps=look.MORE_TIME_IS_GOOD)


def status(scope: Scope) -> Column:
    """Say what the API says of the key."""
    return Column(name="status", title="Status", expr=scope.of_key("status"), unit=look.COUNT, mappings=look.STATUS)


def usable(scope: Scope) -> Column:
    """Say whether the key would serve a request now, whatever its status says."""
    return Column(name="usable", title="Works", expr=scope.of_key("usable"), unit=look.COUNT, mappings=look.USABLE)


def limits(scope: Scope) -> Column:
    """Say whether the key has a quota of its own."""
    unlimited = scope.of_key("unlimited_quota")
    return Column(name="limits", title="Quota", expr=unlimited, unit=look.COUNT, mappings=look.UNLIMITED)


def last_use(scope: Scope) -> Column:
    """Say when the key was last used; empty for never."""
    moment = f"{scope.of_key('last_used_timestamp_seconds')} * 1000"
    return Column(name="last_use", title="Last used", expr=moment, unit=look.AGO)


def _split_money(scope: Scope, column: Column, only: str) -> list[Column]:
    """Turn a money column into two, of which the money switch leaves one; narrow all to the table's rows."""
    expr = among(f"({column.expr})", only) if only else column.expr
    if not column.is_money:
        return [_like(column, Ask(expr=expr, name=column.name), column.title, column.unit)]
    units, dollars = money(scope, Ask(expr=expr, name=column.name))
    return [
        _like(column, units, f"{column.title}, units", look.QUOTA),
        _like(column, dollars, f"{column.title}, {IN_USD.upper()}", look.DOLLARS),
    ]


def _like(column: Column, ask: Ask, title: str, unit: str) -> Column:
    return Column(name=ask.name, title=title, expr=ask.expr, unit=unit, steps=column.steps, mappings=column.mappings)


def _style(column: Column) -> list[DynamicConfigValue]:
    style = [_property("unit", column.unit)]
    if column.steps:
        style += [look.threshold_property(column.steps), _property("custom.cellOptions", {"type": "color-text"})]
    if column.mappings:
        style += [_property("mappings", column.mappings), _property("custom.cellOptions", {"type": "color-text"})]
    return style


def _named_key() -> list[DynamicConfigValue]:
    return [_property("links", [key_of_row().build()]), _property("mappings", look.text_if_empty("(no name)"))]


def _organize(columns: list[Column]) -> DataTransformerConfig:
    titles = _LABEL_TITLES | {f"Value #{column.name}": column.title for column in columns}
    order = {name: position for position, name in enumerate(titles)}
    options = {"excludeByName": _hidden(), "indexByName": order, "renameByName": titles}
    return DataTransformerConfig(id_val="organize", options=options)


def _hidden(*names: str) -> dict[str, bool]:
    return dict.fromkeys(("Time", *names), True)


def _pages() -> common.TableFooterOptions:
    return common.TableFooterOptions().show(show=False).reducer(["sum"]).enable_pagination(enable_pagination=True)


def _property(name: str, value: object) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)

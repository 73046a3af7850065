"""Tables of keys: one row a key, one query a column, merged on the key's labels.

Pure. May not know which keys a table is about: the caller brings the rows as an expression.
"""

from dataclasses import dataclass, field, replace

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
from .targets import SOURCE, Ask, money, rows

_KEY_TITLE = {"key_name": "Key"}
# Last, because a narrow screen cuts off the last columns first.
_WHERE_TITLES = {"group": "Group", "account": "Account", "key_id": "ID"}
_LABEL_WIDTHS = {"Group": 90, "Account": 80, "ID": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: *name* is its query's refId and therefore unique in the table."""

    name: str
    title: str
    expr: str
    unit: str
    width: int
    is_money: bool = False
    steps: tuple[look.Step, ...] = ()
    mappings: list[ValueMapping] = field(default_factory=list)


def key_table(
    frame: Frame, scope: Scope, columns: list[Column], *, only: str = "", sort_by: str, descending: bool = False
) -> table.Panel:
    """Build a table of the keys that the expression *only* gives, or of all keys."""
    shown = [part for column in columns for part in _split_money(scope, column, only)]
    panel = _framed(frame).footer(_pages())
    panel = panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(descending)])
    panel.override_by_field_type("number", [_property("noValue", "")])
    for part in shown:
        panel.with_target(rows(Ask(expr=part.expr, name=part.name)))
        panel.override_by_name(part.title, _style(part))
    panel.override_by_name(_KEY_TITLE["key_name"], _named_key())
    for title, width in _LABEL_WIDTHS.items():
        panel.override_by_name(title, [_property("custom.width", width)])
    panel.override_by_name(_WHERE_TITLES["group"], [_property("mappings", look.text_if_empty("none"))])
    return panel.with_transformation(DataTransformerConfig(id_val="merge", options={})).with_transformation(
        _organize(shown)
    )


def info_table(frame: Frame, expr: str, *, titles: dict[str, str]) -> table.Panel:
    """Build a table of an info metric's labels: *titles* maps those to show to their headings."""
    panel = _framed(frame)
    order = {label: position for position, label in enumerate(titles)}
    options = {"excludeByName": _hidden("Value"), "indexByName": order, "renameByName": titles}
    panel = panel.show_header(show_header=True)
    return panel.with_target(rows(Ask(expr=expr))).with_transformation(
        DataTransformerConfig(id_val="organize", options=options)
    )


def _framed(frame: Frame) -> table.Panel:
    panel = table.Panel().title(frame.title).description(frame.description).datasource(SOURCE)
    panel = panel.span(frame.width).height(frame.height).unit(frame.unit).no_value(frame.empty)
    return panel.cell_height(TableCellHeight.SM)


def expiry(scope: Scope) -> Column:
    """Show how long the key is still valid; below zero, how long ago it expired."""
    return Column(
        name="expires",
        title="Expires in",
        expr=scope.expires_in(),
        unit=look.SECONDS,
        width=100,
        steps=look.MORE_TIME_IS_GOOD,
    )


def expiry_date(scope: Scope) -> Column:
    """Show the moment at which the key expires."""
    moment = f"{scope.of_key('expiry_timestamp_seconds')} * 1000"
    return Column(name="expiry", title="Expires at", expr=moment, unit=look.MOMENT, width=165)


def remaining(scope: Scope) -> Column:
    """Show what is left on the key."""
    return Column(
        name="remaining",
        title="Left",
        expr=scope.of_key("remaining_quota"),
        unit=look.QUOTA,
        width=92,
        is_money=True,
        steps=look.BALANCE,
        mappings=look.text_if_null("unlimited"),
    )


def rate(scope: Scope) -> Column:
    """Show what the key spends a day at its present rate."""
    burn = per_day(scope.burn())
    return Column(name="rate", title="Burn/day", expr=burn, unit=look.QUOTA, width=112, is_money=True)


def runway(scope: Scope) -> Column:
    """Show how long the quota lasts at the present rate; empty where nothing is spent or nothing limits."""
    return Column(
        name="lasts", title="Lasts", expr=scope.runway(), unit=look.SECONDS, width=95, steps=look.MORE_TIME_IS_GOOD
    )


def state(scope: Scope) -> Column:
    """Show whether the key can serve requests, and otherwise its status as reported by the API."""
    return Column(name="state", title="State", expr=scope.state(), unit=look.COUNT, width=95, mappings=look.STATE)


def last_use(scope: Scope) -> Column:
    """Show when the key was last used; empty for never."""
    moment = f"{scope.of_key('last_used_timestamp_seconds')} * 1000"
    return Column(name="last_use", title="Last used", expr=moment, unit=look.AGO, width=125)


def _split_money(scope: Scope, column: Column, only: str) -> list[Column]:
    """Turn a money column into two, of which the money switch leaves one; narrow all to the table's rows."""
    expr = among(f"({column.expr})", only) if only else column.expr
    if not column.is_money:
        return [replace(column, expr=expr)]
    units, dollars = money(scope, Ask(expr=expr, name=column.name))
    return [
        replace(column, name=units.name, title=f"{column.title} units", expr=units.expr, unit=look.QUOTA),
        replace(column, name=dollars.name, title=f"{column.title} $", expr=dollars.expr, unit=look.DOLLARS),
    ]


def _style(column: Column) -> list[DynamicConfigValue]:
    style = [_property("unit", column.unit), _property("custom.width", column.width)]
    if column.steps:
        style.append(look.threshold_property(column.steps))
    if column.mappings:
        style.append(_property("mappings", column.mappings))
    if column.steps or column.mappings:
        style.append(_property("custom.cellOptions", {"type": "color-text"}))
    return style


def _named_key() -> list[DynamicConfigValue]:
    name = [_property("links", [key_of_row().build()]), _property("mappings", look.text_if_empty("(no name)"))]
    return [*name, _property("custom.minWidth", 120)]


def _organize(columns: list[Column]) -> DataTransformerConfig:
    titles = _KEY_TITLE | {f"Value #{column.name}": column.title for column in columns} | _WHERE_TITLES
    order = {name: position for position, name in enumerate(titles)}
    options = {"excludeByName": _hidden(), "indexByName": order, "renameByName": titles}
    return DataTransformerConfig(id_val="organize", options=options)


def _hidden(*names: str) -> dict[str, bool]:
    return dict.fromkeys(("Time", *names), True)


def _pages() -> common.TableFooterOptions:
    return common.TableFooterOptions().show(show=False).reducer(["sum"]).enable_pagination(enable_pagination=True)


def _property(name: str, value: object) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)

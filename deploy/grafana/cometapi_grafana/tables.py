"""Tables: one query a column, merged on the labels that name a row (a key, an account, a model).

Pure. Does not know which rows a table is about: the caller brings them as an expression.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMapping,
)

from . import look
from .expressions import Scope, among
from .links import key_of_row
from .panels import Frame
from .targets import SOURCE, Ask, money, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: *name* is its query's refId and therefore unique in the table; *total* is as in `targets.money`."""

    name: str
    title: str
    expr: str
    unit: str
    width: int
    is_money: bool = False
    total: Callable[[str], str] = str
    steps: tuple[look.Step, ...] = ()
    mappings: list[ValueMapping] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLabels:
    """What names a row: headings by label, those before the columns and those after, and widths by heading."""

    first: Mapping[str, str]
    last: Mapping[str, str] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)


# The last ones are cut off first on a narrow screen.
KEY = RowLabels(
    first={"key_name": "Key"},
    last={"group": "Group", "account": "Account", "key_id": "ID"},
    widths={"Group": 90, "Account": 80, "ID": 60},
)


def key_table(
    frame: Frame,
    scope: Scope,
    columns: list[Column],
    *,
    only: str = "",
    sort_by: str,
    descending: bool = False,
) -> table.Panel:
    """Build a table of the keys that the expression *only* gives, or of all keys."""
    chosen = (
        [replace(column, expr=among(f"({column.expr})", only)) for column in columns]
        if only
        else columns
    )
    panel = row_table(frame, scope, chosen, KEY, sort_by=sort_by, descending=descending)
    panel.override_by_name("Key", _named_key())
    return panel.override_by_name("Group", [_property("mappings", look.text_if_empty("none"))])


def row_table(
    frame: Frame,
    scope: Scope,
    columns: list[Column],
    labels: RowLabels,
    *,
    sort_by: str,
    descending: bool = False,
) -> table.Panel:
    """Build a table with one row for each combination of *labels*; *sort_by* is a column's title."""
    panel = _framed(frame).footer(_pages())
    shown = [part for column in columns for part in _split_money(scope, column)]
    sorting = [part.title for part in shown if part.title.partition(" ")[0] == sort_by] or [sort_by]
    panel = panel.sort_by(
        [common.TableSortByFieldState().display_name(title).desc(descending) for title in sorting]
    )
    panel.override_by_field_type("number", [_property("noValue", "")])
    for part in shown:
        panel.with_target(rows(Ask(expr=part.expr, name=part.name)))
        panel.override_by_name(part.title, _style(part))
    for title in labels.first.values():
        panel.override_by_name(title, [_property("custom.minWidth", 120)])
    for title, width in labels.widths.items():
        panel.override_by_name(title, [_property("custom.width", width)])
    return panel.with_transformation(
        DataTransformerConfig(id_val="merge", options={})
    ).with_transformation(_organize(shown, labels))


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


def _split_money(scope: Scope, column: Column) -> list[Column]:
    """Turn a money column into two, of which the money switch leaves one."""
    if not column.is_money:
        return [column]
    units, dollars = money(scope, Ask(expr=column.expr, name=column.name), column.total)
    return [
        replace(
            column, name=units.name, title=f"{column.title} units", expr=units.expr, unit=look.QUOTA
        ),
        replace(
            column,
            name=dollars.name,
            title=f"{column.title} $",
            expr=dollars.expr,
            unit=look.DOLLARS,
        ),
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
    return [
        _property("links", [key_of_row().build()]),
        _property("mappings", look.text_if_empty("(no name)")),
    ]


def _organize(columns: list[Column], labels: RowLabels) -> DataTransformerConfig:
    titles = {
        **labels.first,
        **{f"Value #{column.name}": column.title for column in columns},
        **labels.last,
    }
    order = {name: position for position, name in enumerate(titles)}
    options = {"excludeByName": _hidden(), "indexByName": order, "renameByName": titles}
    return DataTransformerConfig(id_val="organize", options=options)


def _hidden(*names: str) -> dict[str, bool]:
    return dict.fromkeys(("Time", *names), True)


def _pages() -> common.TableFooterOptions:
    return (
        common.TableFooterOptions()
        .show(show=False)
        .reducer(["sum"])
        .enable_pagination(enable_pagination=True)
    )


def _property(name: str, value: object) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)

"""Tables: one query a column, merged on the labels that name a row (a key, an account, a model).

Pure. Does not know which rows a table is about: the caller brings them as an expression.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMapping,
)

from cometapi_grafana import look
from cometapi_grafana.dashboard import SOURCE
from cometapi_grafana.expressions import INSTALLATION_LABELS, Scope
from cometapi_grafana.panels import Frame, Query, in_money, rows

_MORE_ROWS, _MORE_LABELS = "more_rows", "more_rows_labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; *name* is the refId of its query, *total* is as in `panels.in_money`."""

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
    """What names a row: headings by label, before and after the columns, and their widths."""

    first: Mapping[str, str]
    last: Mapping[str, str] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)
    min_widths: Mapping[str, int] = field(default_factory=dict)


def row_table(
    frame: Frame,
    scope: Scope,
    columns: list[Column],
    labels: RowLabels,
    *,
    sort_by: str,
    descending: bool = False,
    more_rows: str = "",
    more_labels: str = "",
) -> table.Panel:
    """Build a table with one row for each combination of *labels*; *sort_by* is a column's title.

    The series of the expression *more_rows*, of which only the labels are shown, become rows too.
    Those of *more_labels* add their labels to the rows that they are about.
    """
    panel = _framed(frame).footer(_pages())
    shown = [part for column in columns for part in _split_money(scope, column)]
    sorting = [part.title for part in shown if part.title.partition(" ")[0] == sort_by] or [sort_by]
    panel = panel.sort_by(
        [common.TableSortByFieldState().display_name(title).desc(descending) for title in sorting]
    )
    panel.override_by_field_type("number", [field_setting("noValue", "")])
    for part in shown:
        panel.with_target(rows(Query(expr=part.expr, name=part.name)))
        panel.override_by_name(part.title, _values_of(part))
    for column in columns:
        # One for both halves of a column of money: every setting counts, see `dashboard.as_json`.
        panel.override_by_regexp(f"/^{column.title}( |$)/", _style(column))
    more = {_MORE_ROWS: more_rows, _MORE_LABELS: more_labels}
    for name, expr in more.items():
        if expr:
            panel.with_target(rows(Query(expr=expr, name=name)))
    _set_widths(panel, labels)
    return panel.with_transformation(
        DataTransformerConfig(id_val="merge", options={})
    ).with_transformation(_organize(shown, labels, more))


def _set_widths(panel: table.Panel, labels: RowLabels) -> None:
    for title in labels.first.values():
        panel.override_by_name(title, [field_setting("custom.minWidth", 120)])
    for title in labels.last.values():
        panel.override_by_name(title, [field_setting("noValue", "")])
    for title, width in labels.min_widths.items():
        panel.override_by_name(title, [field_setting("custom.minWidth", width)])
    for title, width in labels.widths.items():
        panel.override_by_name(title, [field_setting("custom.width", width)])


def info_table(frame: Frame, expr: str, *, titles: dict[str, str]) -> table.Panel:
    """Build a table of an info metric's labels: *titles* maps those to show to their headings."""
    panel = _framed(frame)
    order = {label: position for position, label in enumerate(titles)}
    options = {"excludeByName": _hidden("Value"), "indexByName": order, "renameByName": titles}
    panel = panel.show_header(show_header=True)
    return panel.with_target(rows(Query(expr=expr))).with_transformation(
        DataTransformerConfig(id_val="organize", options=options)
    )


def field_setting(name: str, value: object) -> DynamicConfigValue:
    """Build one setting of a field: its unit, width, mappings and so on."""
    return DynamicConfigValue(id_val=name, value=value)


def _framed(frame: Frame) -> table.Panel:
    panel = table.Panel().title(frame.title).description(frame.description).datasource(SOURCE)
    panel = panel.span(frame.width).height(frame.height).unit(frame.unit).no_value(frame.empty)
    return panel.cell_height(TableCellHeight.SM)


def _split_money(scope: Scope, column: Column) -> list[Column]:
    """Turn a money column into two, of which the money switch leaves one."""
    if not column.is_money:
        return [column]
    units, dollars = in_money(scope, Query(expr=column.expr, name=column.name), column.total)
    return [
        replace(
            column,
            name=units.name,
            title=f"{column.title} units",
            expr=units.expr,
            unit=look.QUOTA,
            steps=look.steps_in_units(column.steps),
        ),
        replace(
            column,
            name=dollars.name,
            title=f"{column.title} $",
            expr=dollars.expr,
            unit=look.DOLLARS,
        ),
    ]


def _values_of(column: Column) -> list[DynamicConfigValue]:
    """Build the settings of the values of one column."""
    settings = [field_setting("unit", column.unit)]
    if column.steps:
        settings.append(look.threshold_setting(column.steps))
    return settings


def _style(column: Column) -> list[DynamicConfigValue]:
    """Build the settings that both halves of a column of money share."""
    style = [field_setting("custom.width", column.width)]
    if column.mappings:
        style.append(field_setting("mappings", column.mappings))
    if column.steps or column.mappings:
        style.append(field_setting("custom.cellOptions", {"type": "color-text"}))
    return style


def _organize(
    columns: list[Column], labels: RowLabels, more: Iterable[str]
) -> DataTransformerConfig:
    titles = {
        **labels.first,
        **{f"Value #{column.name}": column.title for column in columns},
        **labels.last,
    }
    order = {name: position for position, name in enumerate(titles)}
    # They keep accounts of the same name apart, and the label `where` tells them, if need be.
    unnamed = [label for label in INSTALLATION_LABELS.split(", ") if label not in titles]
    options = {
        "excludeByName": _hidden(*(f"Value #{name}" for name in more), *unnamed),
        "indexByName": order,
        "renameByName": titles,
    }
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

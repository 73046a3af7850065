"""Panels: stats, graphs, bars and timelines that differ only in the queries they show.

Pure. Knows looks and the data source's queries; may not know which dashboard a panel is on. Every
panel must say what it shows (title, description) and in which unit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as look_model
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    ValueMapping,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from cometapi_grafana import look
from cometapi_grafana.dashboard import MIN_STEP, SOURCE
from cometapi_grafana.expressions import Scope, shown_if_units, shown_if_usd
from cometapi_grafana.links import key_of_series

IN_UNITS, IN_USD = "units", "usd"
LAST = "lastNotNull"
# Enough for half a screen's width; every point of a graph costs Prometheus a pass over all keys.
MOST_POINTS = 300
ONE_DAY = "1d"

P = TypeVar("P", stat.Panel, timeseries.Panel, bargauge.Panel, statetimeline.Panel)


NONE_FOUND = "None found"
"""What an empty list says; where keys are unknown, the list has a row that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every panel has: its words, its place (of 24 columns) and its unit."""

    title: str
    description: str
    width: int
    height: int
    unit: str
    empty: str = look.UNKNOWN
    decimals: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question of a panel; *name* becomes Grafana's refId, so it is unique within the panel."""

    expr: str
    legend: str = ""
    name: str = "A"


def now(ask: Query) -> Dataquery:
    """Query for the present value alone."""
    return _query(ask).instant().format(PromQueryFormat.TIME_SERIES)


def history(ask: Query) -> Dataquery:
    """Query for the course over the shown time range."""
    return _query(ask).range().interval(MIN_STEP).format(PromQueryFormat.TIME_SERIES)


def rows(ask: Query) -> Dataquery:
    """Query for the present values as the rows of a table."""
    return _query(ask).instant().format(PromQueryFormat.TABLE)


def in_money(
    scope: Scope, ask: Query, total: Callable[[str], str] = str, *, is_backfilled: bool = False
) -> tuple[Query, Query]:
    """Query twice, in quota units and in USD: the money switch empties one of the two.

    Grafana does not expand variables in a unit, so each answer has its own unit by the query's
    name. *total*, such as `summed()`, is applied after accounts were converted at their own rates.
    *is_backfilled* is for graphs of what a backfill brings, from times without a rate.
    """
    in_usd = scope.in_usd_by_newest_rate if is_backfilled else scope.in_usd
    units, dollars = total(ask.expr), total(in_usd(ask.expr))
    return (
        Query(expr=shown_if_units(units), legend=ask.legend, name=f"{ask.name}_{IN_UNITS}"),
        Query(expr=shown_if_usd(dollars), legend=ask.legend, name=f"{ask.name}_{IN_USD}"),
    )


def summed(by: str = "") -> Callable[[str], str]:
    """Add up, over everything or for each value of the labels *by*."""
    return lambda expr: f"sum by ({by}) ({expr})"


def number(
    frame: Frame,
    *asks: Query,
    steps: Sequence[look.Step] = look.PLAIN,
    mappings: Sequence[ValueMapping] = (),
) -> stat.Panel:
    """Show one present value in large letters, coloured by thresholds or by its name."""
    shown = [*mappings, *look.text_if_null(frame.empty, after=len(mappings))]
    panel = (
        _framed(stat.Panel(), frame, asks).mappings(shown).thresholds(look.thresholds(tuple(steps)))
    )
    panel = panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel = panel.color_mode(look_model.BigValueColorMode.VALUE).graph_mode(
        look_model.BigValueGraphMode.NONE
    )
    panel = panel.reduce_options(_last_value()).text_mode(look_model.BigValueTextMode.VALUE)
    in_units = look.steps_in_units(tuple(steps))
    for query in asks:
        if query.name.endswith(IN_UNITS) and in_units != tuple(steps):
            panel.override_by_query(query.name, [look.threshold_setting(in_units)])
    return _ask(panel, [now(ask) for ask in asks])


def fraction(frame: Frame, query: Query) -> stat.Panel:
    """Show how many of how many, red below zero, by `expressions.difference_as_text()`."""
    named = Query(expr=query.expr, legend="{{here}} of {{wanted}}")
    panel = number(frame, named, steps=look.ALL_THERE)
    return panel.text_mode(look_model.BigValueTextMode.NAME)


def graph(frame: Frame, *asks: Query, key_links: bool = False) -> timeseries.Panel:
    """Draw lines over time; the legend has the last and the largest value of each."""
    panel = _framed(timeseries.Panel(), frame, asks).draw_style(look_model.GraphDrawStyle.LINE)
    panel = panel.fill_opacity(0).line_width(1).show_points(look_model.VisibilityMode.AUTO)
    panel = panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    panel = panel.legend(_legend()).tooltip(_tooltip()).max_data_points(MOST_POINTS)
    if frame.decimals is not None:
        panel = panel.decimals(frame.decimals)
    if key_links:
        panel = panel.data_links([key_of_series()])
    return _ask(panel, [history(ask) for ask in asks])


def daily(frame: Frame, *asks: Query) -> timeseries.Panel:
    """Draw one value a day, which Grafana asks for at the beginning of each."""
    panel = graph(frame).show_points(look_model.VisibilityMode.ALWAYS)
    for ask in asks:
        panel.with_target(history(ask).interval(ONE_DAY))
        if ask.name.endswith(IN_UNITS):
            panel.override_by_query(ask.name, [_unit_of_quota(frame)])
    return panel


def stacked(frame: Frame, *asks: Query) -> timeseries.Panel:
    """Draw parts of a whole as areas."""
    panel = graph(frame, *asks).fill_opacity(60).min(0)
    return panel.stacking(common.StackingConfig().mode(look_model.StackingMode.NORMAL).group("A"))


def bars(frame: Frame, *asks: Query, key_links: bool = False) -> bargauge.Panel:
    """Compare present values as horizontal bars."""
    panel = _framed(bargauge.Panel(), frame, asks).thresholds(
        look.thresholds((look.Step(None, "blue"),))
    )
    panel = panel.mappings(look.text_if_null(frame.empty))
    panel = (
        panel.orientation(look_model.VizOrientation.HORIZONTAL).reduce_options(_last_value()).min(0)
    )
    panel = panel.display_mode(look_model.BarGaugeDisplayMode.BASIC)
    # Grafana sizes the text of bars by the height of the panel: a single bar would have giant
    # letters, of which the name shows one.
    panel = panel.text(common.VizTextDisplayOptions().title_size(12).value_size(16))
    if key_links:
        panel = panel.data_links([key_of_series()])
    return _ask(panel, [now(ask) for ask in asks])


def timeline(
    frame: Frame, *asks: Query, mappings: Sequence[ValueMapping], key_links: bool = False
) -> statetimeline.Panel:
    """Show states over time, one lane a series."""
    panel = _framed(statetimeline.Panel(), frame, asks).mappings(list(mappings)).row_height(0.8)
    panel = (
        panel.max_data_points(MOST_POINTS)
        .merge_values(merge_values=True)
        .show_value(look_model.VisibilityMode.AUTO)
    )
    panel = panel.legend(common.VizLegendOptions().show_legend(show_legend=False))
    panel = panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS)).tooltip(_tooltip())
    if key_links:
        panel = panel.data_links([key_of_series()])
    return _ask(panel, [history(ask) for ask in asks])


def colored_by_name(panel: timeseries.Panel, colors: dict[str, str]) -> timeseries.Panel:
    """Give series their fixed colours, by legend."""
    for name, color in colors.items():
        fixed = {"mode": FieldColorModeId.FIXED, "fixedColor": color}
        panel = panel.override_by_name(name, [DynamicConfigValue(id_val="color", value=fixed)])
    return panel


def _framed(panel: P, frame: Frame, asks: Iterable[Query]) -> P:
    panel.title(frame.title).description(frame.description).datasource(SOURCE)
    panel.span(frame.width).height(frame.height).unit(frame.unit).no_value(frame.empty)
    for ask in asks:
        if ask.name.endswith(IN_UNITS):
            panel.override_by_query(ask.name, [_unit_of_quota(frame)])
    return panel


def _unit_of_quota(frame: Frame) -> DynamicConfigValue:
    unit = look.EXACT_QUOTA if frame.unit == look.EXACT_DOLLARS else look.QUOTA
    return DynamicConfigValue(id_val="unit", value=unit)


def _ask(panel: P, queries: list[Dataquery]) -> P:
    for query in queries:
        panel.with_target(query)
    return panel


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs([LAST]).fields("").values(values=False)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(show_legend=True).calcs([LAST, "max"])
    legend = legend.display_mode(look_model.LegendDisplayMode.TABLE)
    return (
        legend.placement(look_model.LegendPlacement.BOTTOM)
        .sort_by("Last *")
        .sort_desc(sort_desc=True)
    )


def _tooltip() -> common.VizTooltipOptions:
    tooltip = common.VizTooltipOptions().mode(look_model.TooltipDisplayMode.MULTI)
    return tooltip.sort(look_model.SortOrder.DESCENDING)


def _query(ask: Query) -> Dataquery:
    query = Dataquery().expr(ask.expr).ref_id(ask.name).datasource(SOURCE)
    return query.legend_format(ask.legend) if ask.legend else query

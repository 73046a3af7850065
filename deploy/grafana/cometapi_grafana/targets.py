"""Queries as Grafana's Prometheus data source expects them.

Pure. Knows the data source variable and the money switch; may not know panels.
"""

from collections.abc import Callable
from dataclasses import dataclass

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .expressions import Scope, shown_if_units, shown_if_usd

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
# Wide enough for $__rate_interval to hold four samples at the usual scrape intervals up to a
# minute.
MIN_STEP = "1m"
IN_UNITS, IN_USD = "units", "usd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question of a panel; *name* becomes Grafana's refId, so it is unique within the panel."""

    expr: str
    legend: str = ""
    name: str = "A"


def now(ask: Ask) -> Dataquery:
    """Ask for the present value alone."""
    return _query(ask).instant().format(PromQueryFormat.TIME_SERIES)


def history(ask: Ask) -> Dataquery:
    """Ask for the course over the shown time range."""
    return _query(ask).range().interval(MIN_STEP).format(PromQueryFormat.TIME_SERIES)


def rows(ask: Ask) -> Dataquery:
    """Ask for the present values as the rows of a table."""
    return _query(ask).instant().format(PromQueryFormat.TABLE)


def money(scope: Scope, ask: Ask, total: Callable[[str], str] = str) -> tuple[Ask, Ask]:
    """Ask twice, in quota units and in USD: the money switch empties one of the two.

    Grafana does not expand variables in a unit, so each answer has its own unit by the query's
    name. *total*, such as `summed()`, is applied after accounts were converted at their own rates.
    """
    units, dollars = total(ask.expr), total(scope.in_usd(ask.expr))
    return (
        Ask(expr=shown_if_units(units), legend=ask.legend, name=f"{ask.name}_{IN_UNITS}"),
        Ask(expr=shown_if_usd(dollars), legend=ask.legend, name=f"{ask.name}_{IN_USD}"),
    )


def summed(by: str = "") -> Callable[[str], str]:
    """Add up, over everything or for each value of the labels *by*."""
    return lambda expr: f"sum by ({by}) ({expr})"


def _query(ask: Ask) -> Dataquery:
    query = Dataquery().expr(ask.expr).ref_id(ask.name).datasource(SOURCE)
    return query.legend_format(ask.legend) if ask.legend else query

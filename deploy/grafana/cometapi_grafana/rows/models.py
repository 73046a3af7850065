"""The row about what models cost, of all chosen keys or of one.

Pure. Knows no dashboard.
"""

from collections.abc import Callable

from cometapi_grafana import look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import Scope
from cometapi_grafana.panels import Frame, Query, in_money, summed
from cometapi_grafana.tables import Column, RowLabels, row_table

_DRAWN = 10
_MODEL = RowLabels(first={"model": "Model"})
_ABSENT = "Unknown: see --collect.usage"
_NOTE = "If the gateway reports it; of single keys only with --collect.usage=key-model."


def models(scope: Scope) -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_over_time(scope), _table(scope)]


def _over_time(scope: Scope) -> PanelBuilder:
    spent = f"sum by (model, {scope.account_labels}) ({scope.model_rate('quota')})"
    most = f"topk({_DRAWN}, sum by (model) ({scope.model_growth('quota', at_end=True)}))"
    frame = Frame(
        title="Spent per hour, by model",
        description=f"In the hour before each moment, by the {_DRAWN} models that cost most in the time range. {_NOTE}",
        width=12,
        height=9,
        unit=look.DOLLARS,
        empty=_ABSENT,
    )
    asks = in_money(
        scope,
        Query(expr=f"{spent} and on (model) {most}", legend="{{model}}"),
        summed("model"),
        is_backfilled=True,
    )
    return panels.graph(frame, *asks)


def _table(scope: Scope) -> PanelBuilder:
    spent = f"sum by (model, {scope.account_labels}) ({scope.model_growth('quota')})"
    requests, tokens = (
        f"sum by (model) ({scope.model_growth(of)})" for of in ("requests", "tokens")
    )
    frame = Frame(
        title="Models",
        description=f"The cost of each model in the time range, and its mean price of 1,000 tokens. {_NOTE}",
        width=12,
        height=9,
        unit=look.COUNT,
        empty=_ABSENT,
    )
    columns = [
        _money("spent", "Spent", spent, summed("model")),
        Column(name="requests", title="Requests", expr=requests, unit=look.QUOTA, width=85),
        Column(name="tokens", title="Tokens", expr=tokens, unit=look.QUOTA, width=85),
        _money(
            "price",
            "1K tokens",
            spent,
            lambda units: f"1000 * sum by (model) ({units}) / ({tokens} > 0)",
        ),
    ]
    return row_table(frame, scope, columns, _MODEL, sort_by="Spent", descending=True)


def _money(name: str, title: str, expr: str, total: Callable[[str], str]) -> Column:
    return Column(
        name=name, title=title, expr=expr, unit=look.QUOTA, width=112, is_money=True, total=total
    )

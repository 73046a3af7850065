"""The overview's row about the past: which keys changed, and which spent most.

Pure.
"""

from cometapi_grafana import look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.expressions import per_day, top_spenders
from cometapi_grafana.panels import Frame, Query, in_money

_DRAWN, _CHANGED = 10, 20


def history() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_state_history(), _rate_history(), _remaining_history(), _changes()]


def _state_history() -> PanelBuilder:
    frame = Frame(
        title="Keys by state",
        description="Usable keys, and the others by the first reason why they cannot serve requests.",
        width=24,
        height=8,
        unit=look.COUNT,
        decimals=0,
    )
    usable = Query(expr=f"sum({SCOPE.usable_count()})", legend="usable", name="usable")
    others = Query(
        expr=f"sum by (reason) ({SCOPE.unusable_count()}) > 0", legend="{{reason}}", name="others"
    )
    return panels.colored_by_name(panels.stacked(frame, usable, others), look.STATE_COLORS)


def _rate_history() -> PanelBuilder:
    return _top_spenders_graph(
        "Burn per day, top keys",
        f"The rate of the {_DRAWN} keys that spent most in the time range above.",
        per_day(SCOPE.burn(only=top_spenders(SCOPE, _DRAWN))),
        look.DOLLARS,
    )


def _remaining_history() -> PanelBuilder:
    return _top_spenders_graph(
        "Remaining, top keys",
        f"Remaining quota of the {_DRAWN} keys that spent most in the time range above; unlimited ones have no line.",
        SCOPE.of_key("remaining_quota", only=top_spenders(SCOPE, _DRAWN)),
        look.EXACT_DOLLARS,
    )


def _top_spenders_graph(title: str, description: str, expr: str, unit: str) -> PanelBuilder:
    frame = Frame(title=title, description=description, width=12, height=9, unit=unit, decimals=2)
    ask = Query(expr=expr, legend="{{key_name}} · {{key_id}}")
    return panels.graph(frame, *in_money(SCOPE, ask), key_links=True)


def _changes() -> PanelBuilder:
    changed = f"max by ({SCOPE.key_id}) ({SCOPE.changed('status', '$__range', at=' @ end()')})"
    frame = Frame(
        title="Status of keys that changed it",
        description=f"At most {_CHANGED} keys whose status changed in the time range above.",
        width=24,
        height=8,
        unit=look.COUNT,
        empty=panels.NONE_FOUND,
    )
    ask = Query(
        expr=SCOPE.of_key("status", only=f"topk({_CHANGED}, {changed})"),
        legend="{{key_name}} · {{key_id}}",
    )
    return panels.timeline(frame, ask, mappings=look.STATUS, key_links=True)

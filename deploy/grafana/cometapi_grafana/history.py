"""The overview's row about the past: which keys changed, and which spent most.

Pure.
"""

from . import look, panels
from .expressions import OVERVIEW as SCOPE
from .expressions import per_day, top_spenders
from .page import PanelBuilder
from .panels import Frame
from .targets import Ask, money

_DRAWN, _CHANGED = 10, 20


def history() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_status_history(), _usable_history(), _rate_history(), _remaining_history(), _changes()]


def _status_history() -> PanelBuilder:
    frame = Frame(
        title="Keys by status",
        description="How many keys the API reports as enabled, disabled, expired, exhausted or something unknown.",
        width=12,
        height=8,
        unit=look.COUNT,
        decimals=0,
    )
    by_status = f"sum by (status) ({SCOPE.of_status('.+')})"
    return panels.colored_by_name(panels.stacked(frame, Ask(expr=by_status, legend="{{status}}")), look.STATUS_COLORS)


def _usable_history() -> PanelBuilder:
    frame = Frame(
        title="Enabled and usable keys",
        description="Keys between the two lines are reported as enabled but cannot serve requests.",
        width=12,
        height=8,
        unit=look.COUNT,
        decimals=0,
    )
    enabled = Ask(expr=f"sum({SCOPE.of_status('enabled')})", legend="enabled", name="enabled")
    return panels.graph(frame, enabled, Ask(expr=f"sum({SCOPE.usable_count()})", legend="usable", name="usable"))


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
        f"What is left on the {_DRAWN} keys that spent most in the time range above; unlimited ones have no line.",
        SCOPE.of_key("remaining_quota", only=top_spenders(SCOPE, _DRAWN)),
        look.EXACT_DOLLARS,
    )


def _top_spenders_graph(title: str, description: str, expr: str, unit: str) -> PanelBuilder:
    frame = Frame(title=title, description=description, width=12, height=9, unit=unit, decimals=2)
    ask = Ask(expr=expr, legend="{{key_name}} · {{key_id}}")
    return panels.graph(frame, *money(SCOPE, ask), key_links=True)


def _changes() -> PanelBuilder:
    changed = f"max by (account, key_id) ({SCOPE.changed('status', '$__range', at=' @ end()')})"
    frame = Frame(
        title="Status of keys that changed it",
        description=f"At most {_CHANGED} keys whose status changed in the time range above.",
        width=24,
        height=8,
        unit=look.COUNT,
        empty=panels.NONE_FOUND,
    )
    ask = Ask(expr=SCOPE.of_key("status", only=f"topk({_CHANGED}, {changed})"), legend="{{key_name}} · {{key_id}}")
    return panels.timeline(frame, ask, mappings=look.STATUS, key_links=True)

"""The row of one key about its past: what was left, what was spent, in which state it was.

Pure.
"""

from dataclasses import replace

from cometapi_grafana import look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import ONE_KEY as SCOPE
from cometapi_grafana.expressions import per_day
from cometapi_grafana.panels import Frame, Query, in_money


def key_history() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_quota_history(), _rate_history(), _spending_history(), _runway_history(), *_states()]


def _quota_history() -> PanelBuilder:
    asks = [
        *in_money(
            SCOPE, Query(expr=SCOPE.of_key("remaining_quota"), legend="remaining", name="remaining")
        ),
        *in_money(SCOPE, Query(expr=SCOPE.of_key("used_quota"), legend="used", name="used")),
    ]
    frame = _graph(
        "Remaining and used", "Steps up in remaining are top-ups; steps down in used are refunds."
    )
    return panels.graph(replace(frame, unit=look.EXACT_DOLLARS, decimals=2), *asks)


def _rate_history() -> PanelBuilder:
    asks = [
        ask
        for window in ("1h", "6h", "1d")
        for ask in in_money(
            SCOPE,
            Query(expr=per_day(SCOPE.burn(window)), legend=f"over {window}", name=f"rate{window}"),
        )
    ]
    budget = Query(expr=SCOPE.of_key("daily_budget_quota"), legend="budget", name="budget")
    frame = _graph(
        "Burn per day over time",
        "Spending is unusual while the short window is far above the long ones. Budget: the configured daily budget.",
    )
    return panels.graph(frame, *asks, *in_money(SCOPE, budget))


def _spending_history() -> PanelBuilder:
    frame = _graph(
        "Spent per hour", "Spending of the key in the hour before each moment, less refunds."
    )
    return panels.graph(
        frame, *in_money(SCOPE, Query(expr=SCOPE.spent("1h"), legend="spent"))
    ).fill_opacity(30)


def _runway_history() -> PanelBuilder:
    frame = Frame(
        title="Time left",
        description="Time until the quota is spent, and time until expiry. The key stops working when the lower line is at zero.",
        width=12,
        height=8,
        unit=look.SECONDS,
        empty="No end: nothing is spent, and the key never expires",
    )
    spent = f"0 * ({SCOPE.of_key('remaining_quota')} <= 0)"
    quota = Query(expr=f"{spent} or {SCOPE.runway()}", legend="until quota is spent", name="quota")
    return panels.graph(
        frame,
        quota,
        Query(expr=SCOPE.of_key("expires_in_seconds"), legend="until expiry", name="expiry"),
    )


def _states() -> list[PanelBuilder]:
    status = Frame(
        title="Status over time",
        description="The status reported by the API.",
        width=12,
        height=5,
        unit=look.COUNT,
    )
    works = Frame(
        title="Works over time",
        description="Whether the key could serve requests.",
        width=12,
        height=5,
        unit=look.COUNT,
    )
    return [
        panels.timeline(
            status, Query(expr=SCOPE.of_key("status"), legend="status"), mappings=look.STATUS
        ),
        panels.timeline(
            works, Query(expr=SCOPE.of_key("usable"), legend="works"), mappings=look.USABLE
        ),
    ]


def _graph(title: str, description: str) -> Frame:
    return Frame(title=title, description=description, width=12, height=8, unit=look.DOLLARS)

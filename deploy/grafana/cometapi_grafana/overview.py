"""The overview: every key of the chosen accounts, from what needs attention to what may be interesting.

Pure. One function a row; widths add up to 24 columns a line.
"""

from collections.abc import Callable

from grafana_foundation_sdk.builders.dashboard import Row

from . import columns, look, tables
from .annotations import any_status_change, failing_refreshes
from .attention import attention
from .expiries import expiries
from .expressions import OVERVIEW as SCOPE
from .health import health_panels
from .history import history
from .links import OVERVIEW_UID, to_key
from .models import models
from .page import Page, PanelBuilder, new_page
from .panels import Frame
from .spending import spending
from .variables import overview_variables


def overview() -> Page:
    """Build the dashboard."""
    page = new_page(
        "CometAPI / Keys overview",
        OVERVIEW_UID,
        "All API keys: what needs attention, money, expiry.",
    )
    for variable in overview_variables():
        page.with_variable(variable)
    for annotation in (any_status_change(SCOPE), failing_refreshes(SCOPE)):
        page.annotation(annotation)
    page.link(to_key())
    for title, row_panels in _ROWS.items():
        page.with_row(Row(title))
        for panel in row_panels():
            page.with_panel(panel)
    health = Row("Exporter health").collapsed(collapsed=True)
    for panel in health_panels(SCOPE):
        health.with_panel(panel)
    return page.with_row(health)


def _every_key() -> list[PanelBuilder]:
    shown = (
        columns.state,
        columns.remaining,
        columns.requests_left,
        columns.rate,
        columns.lasts,
        columns.expiry,
        columns.last_use,
    )
    frame = Frame(
        title="All keys",
        description="Every chosen key, in pages. An empty cell means: spends nothing, never expires, never used. "
        "Without a Group column, no shown key has a group.",
        width=24,
        height=14,
        unit=look.COUNT,
    )
    ordered = [column(SCOPE) for column in shown]
    return [tables.key_table(frame, SCOPE, ordered, sort_by="Last used", descending=True)]


_ROWS: dict[str, Callable[[], list[PanelBuilder]]] = {
    "What needs attention now": attention,
    "Money and quota": spending,
    "Expiry calendar": expiries,
    "Spending by model": lambda: models(SCOPE),
    "Every key": _every_key,
    "History": history,
}

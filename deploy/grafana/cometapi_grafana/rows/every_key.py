"""The overview's table of every key.

Pure.
"""

from cometapi_grafana import key_tables, look
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.panels import Frame


def every_key() -> list[PanelBuilder]:
    """Build the row's panel."""
    shown = (
        key_tables.state,
        key_tables.remaining,
        key_tables.requests_left,
        key_tables.rate,
        key_tables.lasts,
        key_tables.expiry,
        key_tables.last_use,
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
    return [key_tables.key_table(frame, SCOPE, ordered, sort_by="Last used", descending=True)]

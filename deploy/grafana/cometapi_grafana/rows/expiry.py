"""The overview's row about expiry.

Pure.
"""

from cometapi_grafana import key_tables, look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import OVERVIEW as SCOPE
from cometapi_grafana.panels import Frame, Query

_LISTED = 50
_WEEK, _MONTH, _QUARTER = 7 * look.DAY, 30 * look.DAY, 90 * look.DAY


def expiry() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_expiry_buckets(), _expiry_list()]


def _expiry_buckets() -> PanelBuilder:
    enabled = f"{SCOPE.of_key('status')} == 1"
    soonness = {
        "past expiry": f"{SCOPE.expires_in()} <= 0",
        "within 24 h": _within(SCOPE.expires_in(), look.DAY),
        "1 to 7 days": _between(look.DAY, _WEEK),
        "7 to 30 days": _between(_WEEK, _MONTH),
        "30 to 90 days": _between(_MONTH, _QUARTER),
        "later": f"{SCOPE.expires_in()} > {_QUARTER}",
    }
    counts = {name: f"count({expr} and {enabled})" for name, expr in soonness.items()}
    counts["never"] = f"count({enabled} unless {SCOPE.of_key('expiry_timestamp_seconds')})"
    asks = [
        Query(expr=SCOPE.zero_if_none(count), legend=name, name=f"bucket{number}")
        for number, (name, count) in enumerate(counts.items())
    ]
    frame = Frame(
        title="When enabled keys expire",
        description="When the keys that are reported as enabled expire.",
        width=8,
        height=10,
        unit=look.COUNT,
    )
    return panels.bars(frame, *asks)


def _expiry_list() -> PanelBuilder:
    only = f"bottomk({_LISTED}, {SCOPE.expires_in()} > 0 and {SCOPE.usable()})"
    return key_tables.key_table(
        Frame(
            title="Next to expire",
            description=f"The next {_LISTED} usable keys by expiry, however far away.",
            width=16,
            height=10,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [key_tables.expiry_date(SCOPE), key_tables.expiry(SCOPE), key_tables.remaining(SCOPE)],
        only=only,
        sort_by="Expires in",
    )


def _within(seconds: str, limit: int) -> str:
    return f"({seconds} > 0 <= {limit})"


def _between(low: int, high: int) -> str:
    return f"({SCOPE.expires_in()} > {low} <= {high})"

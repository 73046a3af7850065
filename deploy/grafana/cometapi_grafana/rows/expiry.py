"""The overview's row about expiry.

Pure.
"""

from cometapi_grafana import key_tables, look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.panels import Frame, Query

_LISTED = 50
_WEEK, _MONTH, _QUARTER = 7 * look.DAY, 30 * look.DAY, 90 * look.DAY


def expiry() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_expiry_buckets(), _expiry_list()]


def _expiry_buckets() -> PanelBuilder:
    seconds, enabled = SCOPE.seconds_to_expiry(), SCOPE.is_enabled()
    buckets = {
        "past expiry": f"{seconds} <= 0 and {enabled}",
        "within 24 h": f"{seconds} > 0 <= {look.DAY} and {enabled}",
        "1 to 7 days": f"{seconds} > {look.DAY} <= {_WEEK} and {enabled}",
        "7 to 30 days": f"{seconds} > {_WEEK} <= {_MONTH} and {enabled}",
        "30 to 90 days": f"{seconds} > {_MONTH} <= {_QUARTER} and {enabled}",
        "later": f"{seconds} > {_QUARTER} and {enabled}",
        "never": f"{enabled} unless {SCOPE.key_series('expiry_timestamp_seconds')}",
    }
    asks = [
        Query(
            expr=SCOPE.zero_if_none(f"count({SCOPE.by_key(keys)})"),
            legend=name,
            name=f"bucket{number}",
        )
        for number, (name, keys) in enumerate(buckets.items())
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
    to_come = f"{SCOPE.seconds_to_expiry()} > 0 and {SCOPE.is_usable()}"
    only = f"bottomk({_LISTED}, {SCOPE.by_key(to_come)})"
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

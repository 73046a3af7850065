"""The overview's first row: what needs attention now.

Pure.
"""

from . import look, panels, tables
from .expressions import KEY_LABELS
from .expressions import OVERVIEW as SCOPE
from .page import PanelBuilder
from .panels import Frame
from .targets import Ask

_LISTED = 25
_WEEK = 7 * look.DAY


def attention() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [*_is_known(), *_counts(), _broken_keys(), _expiring_keys(), _dry_keys()]


def _is_known() -> list[PanelBuilder]:
    """Say first whether anything below can be relied on."""
    age = f"time() - min({SCOPE.of_account('cometapi_exporter_last_success_timestamp_seconds')})"
    return [
        panels.number(
            _small("Exporter", "Down: no exporter answers, or no account matches the choices above."),
            Ask(expr=SCOPE.exporter()),
            mappings=look.EXPORTER,
        ),
        panels.number(
            _small("Data age", "Age of the oldest account's data, which every refresh renews.", unit=look.SECONDS),
            Ask(expr=age),
            steps=look.DATA_AGE,
        ),
    ]


def _counts() -> list[PanelBuilder]:
    enabled, usable = f"sum({SCOPE.of_status('enabled')})", f"sum({SCOPE.usable_count()})"
    expiring = f"count({_within(SCOPE.expires_in(), _WEEK)} and {SCOPE.usable()})"
    dry = f"count({SCOPE.runway()} < {look.DAY} and {SCOPE.usable()})"
    return [
        panels.number(
            _small("Usable keys", "Keys that can serve requests now. Counts ignore the choice of single keys."),
            Ask(expr=usable),
            steps=look.ONE_IS_GOOD,
        ),
        panels.number(
            _small("Not usable", "Keys that are reported as enabled but cannot serve requests."),
            Ask(expr=f"{enabled} - {usable}"),
            steps=look.NONE_IS_GOOD,
        ),
        panels.number(
            _small("Dry in 24 h", "Usable keys whose quota is spent within 24 hours at the present rate."),
            Ask(expr=SCOPE.zero_if_none(dry)),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small("Expire in 7 days", "Usable keys whose expiry is less than 7 days away."),
            Ask(expr=SCOPE.zero_if_none(expiring)),
            steps=look.NONE_IS_GOOD,
        ),
    ]


def _broken_keys() -> PanelBuilder:
    dead, alive = f"{SCOPE.of_key('usable')} == 0", f"{SCOPE.of_key('status')} == 1"
    was_usable = f"max by ({KEY_LABELS}) (max_over_time({SCOPE.key_series('usable')}[1d])) == 1"
    broken = f"{dead} and ({was_usable} or {alive})"
    only = f"topk({_LISTED}, {SCOPE.of_key('used_quota')} and {broken})"
    columns = [tables.state, tables.expiry, tables.remaining, tables.last_use]
    return tables.key_table(
        Frame(
            title="Keys that stopped working",
            description="Keys that worked within the last day and do not now, or that are reported as enabled but are "
            f"not usable. At most {_LISTED}; keys dead for longer are in the table of all keys.",
            width=24,
            height=7,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [column(SCOPE) for column in columns],
        only=only,
        sort_by="Last used",
        descending=True,
    )


def _expiring_keys() -> PanelBuilder:
    only = f"bottomk({_LISTED}, {_within(SCOPE.expires_in(), 2 * _WEEK)} and {SCOPE.usable()})"
    return tables.key_table(
        Frame(
            title="Keys to renew",
            description=f"The first {_LISTED} usable keys that expire within 14 days.",
            width=12,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [tables.expiry(SCOPE), tables.remaining(SCOPE)],
        only=only,
        sort_by="Expires in",
    )


def _dry_keys() -> PanelBuilder:
    only = f"bottomk({_LISTED}, {SCOPE.runway()} < {_WEEK} and {SCOPE.usable()})"
    return tables.key_table(
        Frame(
            title="Keys running dry",
            description=f"The first {_LISTED} usable keys whose quota is spent within 7 days at the present rate, "
            "which is computed from used quota, so top-ups do not affect it.",
            width=12,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [tables.runway(SCOPE), tables.remaining(SCOPE), tables.rate(SCOPE)],
        only=only,
        sort_by="Lasts",
    )


def _within(seconds: str, limit: int) -> str:
    return f"({seconds} > 0 <= {limit})"


def _small(title: str, description: str, unit: str = look.COUNT) -> Frame:
    return Frame(title=title, description=description, width=4, height=4, unit=unit)

"""The overview's first row: what needs attention now.

Pure.
"""

from cometapi_grafana import key_tables, look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import KEY_LABELS
from cometapi_grafana.expressions import OVERVIEW as SCOPE
from cometapi_grafana.panels import Frame, Query

_LISTED = 25
_WEEK = 7 * look.DAY


def attention() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [*_is_known(), *_counts(), _reasons(), _broken_keys(), _expiring_keys(), _dry_keys()]


def _is_known() -> list[PanelBuilder]:
    """Say first whether anything below can be relied on."""
    age = f"time() - min({SCOPE.of_account('cometapi_exporter_last_success_timestamp_seconds')})"
    return [
        panels.number(
            _small(
                "Exporter", "Down: no exporter answers, or no account matches the choices above."
            ),
            Query(expr=SCOPE.exporter()),
            mappings=look.EXPORTER,
        ),
        panels.number(
            _small(
                "Data age",
                "Age of the oldest account's data, which every refresh renews.",
                unit=look.SECONDS,
            ),
            Query(expr=age),
            steps=look.DATA_AGE,
        ),
    ]


def _counts() -> list[PanelBuilder]:
    expiring = f"count({_within(SCOPE.expires_in(), _WEEK)} and {SCOPE.usable()})"
    running_dry = f"count({SCOPE.runway()} < {look.DAY} and {SCOPE.usable()})"
    return [
        panels.number(
            _small(
                "Usable keys",
                "Keys that can serve requests now. Counts ignore the choice of single keys.",
            ),
            Query(expr=f"sum({SCOPE.usable_count()})"),
            steps=look.ONE_IS_GOOD,
        ),
        panels.number(
            _small(
                "Probably dry",
                "Usable keys with less left than a usual request costs, and unused for 25 minutes: the gateway "
                "refuses requests that the rest does not pay for.",
            ),
            Query(expr=SCOPE.zero_if_none(f"count({SCOPE.dry()})")),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small(
                "Dry in 24 h",
                "Usable keys whose quota is spent within 24 hours at the present rate.",
            ),
            Query(expr=SCOPE.zero_if_none(running_dry)),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small("Expire in 7 days", "Usable keys whose expiry is less than 7 days away."),
            Query(expr=SCOPE.zero_if_none(expiring)),
            steps=look.NONE_IS_GOOD,
        ),
    ]


def _reasons() -> PanelBuilder:
    frame = Frame(
        title="Why keys are not usable",
        description="Keys that cannot serve requests, by the first reason that applies.",
        width=8,
        height=8,
        unit=look.COUNT,
    )
    return panels.bars(
        frame, Query(expr=f"sum by (reason) ({SCOPE.unusable_count()})", legend="{{reason}}")
    )


def _broken_keys() -> PanelBuilder:
    unusable = f"{SCOPE.of_key('usable')} == 0"
    is_enabled = f"{SCOPE.of_key('status')} == 1"
    was_usable = f"max by ({KEY_LABELS}) (max_over_time({SCOPE.key_series('usable')}[1d])) == 1"
    broken = f"{unusable} and ({was_usable} or {is_enabled})"
    only = f"topk({_LISTED}, {SCOPE.of_key('used_quota')} and {broken})"
    shown = [key_tables.state, key_tables.expiry, key_tables.remaining, key_tables.last_use]
    return key_tables.key_table(
        Frame(
            title="Keys that stopped working",
            description="Keys that worked within the last day and do not now, or that are reported as enabled but are "
            f"not usable. At most {_LISTED}; keys that stopped earlier are in the table of all keys.",
            width=16,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [column(SCOPE) for column in shown],
        only=only,
        sort_by="Last used",
        descending=True,
    )


def _expiring_keys() -> PanelBuilder:
    soon = f"{_within(SCOPE.expires_in(), 2 * _WEEK)} or {SCOPE.within_expiry_warning()}"
    only = f"bottomk({_LISTED}, ({soon}) and {SCOPE.usable()})"
    return key_tables.key_table(
        Frame(
            title="Keys to renew",
            description=f"The first {_LISTED} usable keys that expire within 14 days, or within their expiry_warning.",
            width=12,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [key_tables.expiry(SCOPE), key_tables.remaining(SCOPE), key_tables.requests_left(SCOPE)],
        only=only,
        sort_by="Expires in",
    )


def _dry_keys() -> PanelBuilder:
    soon = f"{SCOPE.runway()} < {_WEEK} or 0 * ({SCOPE.below_low_quota()}) + {_WEEK}"
    only = f"bottomk({_LISTED}, 0 * {SCOPE.dry()} or ({soon}) and {SCOPE.usable()})"
    return key_tables.key_table(
        Frame(
            title="Keys running dry",
            description=f"The first {_LISTED} usable keys that probably ran dry, whose quota is spent within 7 days "
            "at the present rate, or that have less than their low_quota_usd. Requests: how many the rest pays for, "
            "at the account's usual price.",
            width=12,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [
            key_tables.lasts_or_dry(SCOPE),
            key_tables.remaining(SCOPE),
            key_tables.requests_left(SCOPE),
        ],
        only=only,
        sort_by="Lasts",
    )


def _within(seconds: str, limit: int) -> str:
    return f"({seconds} > 0 <= {limit})"


def _small(title: str, description: str, unit: str = look.COUNT) -> Frame:
    return Frame(title=title, description=description, width=4, height=4, unit=unit)

"""The overview's first row: what is burning.

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
    return [*_attention_numbers(), _broken_keys(), _expiring_keys(), _dry_keys()]


def _attention_numbers() -> list[PanelBuilder]:
    enabled, usable = f"sum({SCOPE.of_status('enabled')})", f"sum({SCOPE.usable_count()})"
    expiring = f"count({_within(SCOPE.expires_in(), 7 * look.DAY)} and {SCOPE.usable()})"
    dry = f"count({SCOPE.runway()} < {look.DAY} and {SCOPE.usable()})"
    age = f"time() - min({SCOPE.of_account('cometapi_exporter_last_success_timestamp_seconds')})"
    return [
        panels.number(
            _small("Usable keys", "Keys that would serve a request now. Counts ignore the choice of single keys."),
            Ask(expr=usable),
            steps=look.ONE_IS_GOOD,
        ),
        panels.number(
            _small("Only look alive", "Keys that the API calls enabled although they are past expiry or out of quota."),
            Ask(expr=f"{enabled} - {usable}"),
            steps=look.NONE_IS_GOOD,
        ),
        panels.number(
            _small("Expired or spent", "Keys that the API itself calls expired or exhausted."),
            Ask(expr=f"sum({SCOPE.of_status('expired|exhausted')})"),
        ),
        panels.number(
            _small("Expire in 7 days", "Usable keys whose expiry is less than 7 days away."),
            Ask(expr=SCOPE.zero_if_none(expiring)),
            steps=look.NONE_IS_GOOD,
        ),
        panels.number(
            _small("Run dry in 24 h", "Usable keys whose quota is spent within 24 hours at the present pace."),
            Ask(expr=SCOPE.zero_if_none(dry)),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small("Skipped keys", "Keys of the last round that could not be read and are missing everywhere here."),
            Ask(expr=f"sum({SCOPE.of_account('cometapi_exporter_skipped_keys')})"),
            steps=look.NONE_IS_GOOD,
        ),
        panels.number(
            _small("Data age", "Age of the oldest account's figures. They are read once a round.", unit=look.SECONDS),
            Ask(expr=age),
            steps=look.DATA_AGE,
        ),
        panels.number(
            _small("API", "Whether the last round succeeded for every chosen account."),
            Ask(expr=f"min({SCOPE.of_account('cometapi_up')})"),
            steps=look.ONE_IS_GOOD,
            mappings=look.ANSWERS,
        ),
    ]


def _broken_keys() -> PanelBuilder:
    dead, alive = f"{SCOPE.of_key('usable')} == 0", f"{SCOPE.of_key('status')} == 1"
    was_usable = f"max by ({KEY_LABELS}) (max_over_time({SCOPE.key_series('usable')}[1d])) == 1"
    broken = f"{dead} and ({was_usable} or {alive})"
    only = f"topk({_LISTED}, {SCOPE.of_key('used_quota')} and {broken})"
    columns = [
        tables.status(SCOPE),
        tables.usable(SCOPE),
        tables.remaining(SCOPE),
        tables.expiry(SCOPE),
        tables.last_use(SCOPE),
    ]
    return tables.key_table(
        Frame(
            title="Keys that stopped working",
            description=f"Keys that worked within the last day and do not now, or that the API calls enabled although "
            f"they are dead. At most {_LISTED}; keys dead for longer are in the table of all keys.",
            width=24,
            height=7,
            unit=look.COUNT,
            empty="Every key that should work does",
        ),
        SCOPE,
        columns,
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
            empty="No usable key expires within 14 days",
        ),
        SCOPE,
        [tables.expiry(SCOPE), tables.remaining(SCOPE), tables.last_use(SCOPE)],
        only=only,
        sort_by="Expires in",
    )


def _dry_keys() -> PanelBuilder:
    only = f"bottomk({_LISTED}, {SCOPE.runway()} < {_WEEK} and {SCOPE.usable()})"
    return tables.key_table(
        Frame(
            title="Keys running dry",
            description=f"The first {_LISTED} usable keys whose quota is spent within 7 days at the present pace, "
            "which is read from used quota and therefore blind to top-ups.",
            width=12,
            height=8,
            unit=look.COUNT,
            empty="No usable key runs dry within 7 days",
        ),
        SCOPE,
        [tables.runway(SCOPE), tables.remaining(SCOPE), tables.pace(SCOPE)],
        only=only,
        sort_by="Lasts",
    )


def _within(seconds: str, limit: int) -> str:
    return f"({seconds} > 0 <= {limit})"


def _small(title: str, description: str, unit: str = look.COUNT) -> Frame:
    return Frame(title=title, description=description, width=3, height=4, unit=unit)

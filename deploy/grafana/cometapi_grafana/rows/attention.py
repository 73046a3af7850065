"""The overview's first row: what needs attention now.

Pure.
"""

from cometapi_grafana import key_tables, look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.panels import Frame, Query, in_money
from cometapi_grafana.rows.accounts import accounts, failing_paths

_LISTED = 25
# Larger than any time in seconds.
_FIRST = "1e11"
_WEEK = 7 * look.DAY


def attention() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [
        *_accounts_in_figures(),
        *_keys_in_figures(),
        _broken_keys(),
        _reasons(),
        accounts(SCOPE),
        failing_paths(SCOPE),
        _dry_keys(),
        _expiring_keys(),
    ]


def _accounts_in_figures() -> list[PanelBuilder]:
    """Say first whether anything below can be relied on, and whether the accounts can pay."""
    paths = SCOPE.account_series("cometapi_exporter_api_up")
    failing = f"count({SCOPE.path_up()} == 0) or 0 * count({paths})"
    return [
        panels.fraction(
            _small(
                "Exporters",
                "Exporters that respond, and the number expected: the usual number of the last day, the number of "
                "shards, or the number of Prometheus targets.",
            ),
            Query(expr=SCOPE.exporters()),
        ),
        panels.fraction(
            _small(
                "Accounts up",
                "Accounts whose last refresh succeeded, of all, including those whose exporter is missing.",
            ),
            Query(expr=SCOPE.accounts_up()),
        ),
        panels.number(
            _small(
                "Data age",
                "Age of the oldest account's data. An account that was never read has none: see Accounts up.",
                unit=look.SECONDS,
            ),
            Query(expr=f"max({SCOPE.data_age()})"),
            steps=look.DATA_AGE,
        ),
        panels.number(
            _small(
                "Paths failing",
                "Endpoints of the gateways' APIs whose last request failed. Their values are old or unknown.",
            ),
            Query(expr=failing),
            steps=look.NONE_IS_GOOD,
        ),
        panels.number(
            _small(
                "Spendable",
                "The sum that the accounts can pay with, subscriptions too; at zero every key stops.",
                unit=look.DOLLARS,
            ),
            *in_money(SCOPE, Query(expr=SCOPE.spendable()), total=_sum_or_words),
            steps=look.BALANCE,
            mappings=look.balance_words(),
        ),
        panels.number(
            _small(
                "Account lasts",
                "Time until the first account can pay no more, at the current spending rate of its keys.",
                unit=look.SECONDS,
            ),
            Query(expr=f"min({SCOPE.account_runway()}) or max({SCOPE.balance_not_offered()})"),
            steps=look.MORE_TIME_IS_GOOD,
            mappings=[*look.text_if_endless("nothing spent"), *look.not_offered()],
        ),
    ]


def _sum_or_words(spendable: str) -> str:
    return f"sum({spendable}) or max({SCOPE.spendable_in_words()})"


def _keys_in_figures() -> list[PanelBuilder]:
    within_a_week = f"{SCOPE.seconds_to_expiry()} > 0 <= {_WEEK} and {SCOPE.is_usable()}"
    only_enabled = f"{SCOPE.is_unusable()} and {SCOPE.is_enabled()}"
    has_price = f"on ({SCOPE.account_labels}) {SCOPE.request_price()}"
    judged = f"{SCOPE.key_series('status')} and {has_price}"
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
                "Stopped today",
                "Keys that could serve requests at some time of the last 24 hours, and cannot now.",
            ),
            Query(expr=SCOPE.zero_if_none(f"count({SCOPE.by_key(SCOPE.stopped_today())})")),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small(
                "Probably dry",
                "Usable keys that spend nothing and have too little left for a request, which the gateway rejects. "
                "With the bundled rules: too little for the key's own requests. Without: too little for a typical "
                "request of the account (possibly dry); unknown if the account has no typical price.",
            ),
            Query(expr=SCOPE.zero_if_none(f"count({SCOPE.dry()})", judged)),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small(
                "Dry in 24 h",
                "Usable keys whose quota, or whose account's, is spent within 24 hours at the current rate.",
            ),
            Query(expr=SCOPE.zero_if_none(f"count({SCOPE.runs_dry_within(look.DAY)})")),
            steps=look.NONE_IS_VITAL,
        ),
        panels.number(
            _small("Expire in 7 days", "Usable keys whose expiry is less than 7 days away."),
            Query(expr=SCOPE.zero_if_none(f"count({SCOPE.by_key(within_a_week)})")),
            steps=look.NONE_IS_GOOD,
        ),
        panels.number(
            _small(
                "Still enabled",
                "Keys that cannot serve requests although the gateway still reports them as enabled.",
            ),
            Query(expr=SCOPE.zero_if_none(f"count({SCOPE.by_key(only_enabled)})")),
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
    last_used, status = SCOPE.key_series("last_used_timestamp_seconds"), SCOPE.key_series("status")
    listed = f"({SCOPE.is_unusable()} and {SCOPE.is_enabled()} or {SCOPE.stopped_today()})"
    last_use = SCOPE.by_key(f"({last_used} or 0 * {status}) and {listed}")
    # Those that stopped today come first.
    only = (
        f"topk({_LISTED}, {last_use} + on ({SCOPE.key_id}) group_left () "
        f"{_FIRST} * {SCOPE.was_usable()})"
    )
    shown = [
        key_tables.reason,
        key_tables.last_usable,
        key_tables.last_use,
    ]
    return key_tables.key_table(
        Frame(
            title="Keys that stopped working",
            description="Keys that worked within the last day and do not now, then those that are reported as enabled "
            f"but are not usable, by last use. At most {_LISTED}; keys that stopped earlier are in the table of all "
            "keys. Stopped: the last time the key could serve requests, accurate to ten minutes; empty if more than a day ago.",
            width=16,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [column(SCOPE) for column in shown],
        only=only,
        sort_by="Stopped",
        descending=True,
        # With five other columns, so that names of keys get what is left.
        account_width=85,
    )


def _expiring_keys() -> PanelBuilder:
    soon = f"{SCOPE.seconds_to_expiry()} > 0 <= {2 * _WEEK} or {SCOPE.within_expiry_warning()}"
    only = f"bottomk({_LISTED}, {SCOPE.by_key(f'({soon}) and {SCOPE.is_usable()}')})"
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
        [key_tables.expiry(SCOPE), key_tables.remaining(SCOPE)],
        only=only,
        sort_by="Expires in",
    )


def _dry_keys() -> PanelBuilder:
    spent_soon = f"{SCOPE.runway(only_usable=True)} < {_WEEK}"
    low = f"0 * ({SCOPE.below_low_quota()} and {SCOPE.is_usable()}) + {_WEEK}"
    dry_or_low = SCOPE.by_key(f"0 * ({SCOPE.looks_dry()}) or {low}")
    dry = f"0 * {SCOPE.probably_dry()}"
    only = f"bottomk({_LISTED}, {dry} or {spent_soon} or {dry_or_low})"
    # Where the list would be empty although keys are about to stop with their account.
    of_accounts = SCOPE.cause(
        "All keys, as their account runs out (accounts: $1)",
        f"{SCOPE.account_runway()} < {_WEEK}",
    )
    return key_tables.key_table(
        Frame(
            title="Keys running dry",
            description=f"The first {_LISTED} usable keys that probably or possibly ran dry, whose quota is spent "
            "within 7 days at the current rate, or that have less than their low_quota_usd. If there are none, a row tells of "
            "accounts that are spent within 7 days, and all of their keys with them.",
            width=12,
            height=8,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        [key_tables.lasts_or_dry(SCOPE), key_tables.remaining(SCOPE)],
        only=only,
        sort_by="Lasts",
        more_rows=f"{of_accounts} unless on () {only}",
    )


def _small(title: str, description: str, unit: str = look.COUNT) -> Frame:
    return Frame(title=title, description=description, width=4, height=3, unit=unit)

"""The rows of one key about the present: can it work, what is left, how is its account.

Pure.
"""

from cometapi_grafana import look, panels, tables
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BALANCE_PATH, ENDLESS, GROUPS_PATH, KEY_LABELS, per_day
from cometapi_grafana.expressions import ONE_KEY as SCOPE
from cometapi_grafana.panels import Frame, Query, in_money


def key_state() -> list[PanelBuilder]:
    """Build the panels that say whether the key works."""
    never = look.text_if_endless("never")
    expires_at = f"{SCOPE.key_series('expiry_timestamp_seconds')} * 1000"
    last_use = f"{SCOPE.key_series('last_used_timestamp_seconds')} * 1000"
    return [
        panels.number(
            _number(
                "Account",
                "Whether the account of the key is up. If it is not, the values below are old or unknown. Same name "
                "twice: several clusters, namespaces or jobs have an account of this name; choose one at the top.",
            ),
            Query(expr=f"{SCOPE.shared_name()} or {SCOPE.account_state()}"),
            mappings=look.ACCOUNT_STATES,
        ),
        panels.number(
            _number(
                "State",
                "Whether the key can serve requests now and, if not, why. Probably dry: the key spends nothing, and "
                "less is left than its own requests cost. Possibly dry: less is left than a typical request of the "
                "account costs.",
            ),
            Query(expr=SCOPE.state()),
            mappings=look.STATES,
        ),
        panels.number(
            _number(
                "Status", "As reported by the API, which updates it only when the key is used."
            ),
            Query(expr=SCOPE.of_key("status")),
            mappings=look.STATUS,
        ),
        panels.number(
            _number("Expires in", "Time until expiry; below zero, time since.", look.SECONDS),
            Query(expr=SCOPE.key_or_endless(SCOPE.seconds_to_expiry())),
            steps=look.MORE_TIME_IS_GOOD,
            mappings=never,
        ),
        panels.number(
            _number("Expires at", "The moment of expiry.", look.MOMENT),
            Query(expr=SCOPE.key_or_endless(expires_at)),
            mappings=never,
        ),
        panels.number(
            _number("Last used", "When the key was last used.", look.AGO),
            Query(expr=SCOPE.key_or_endless(last_use)),
            mappings=never,
        ),
        _identity(),
    ]


def _identity() -> PanelBuilder:
    frame = Frame(
        title="Key details",
        description="The key's labels and restrictions. Without a Group column, the key has no group.",
        width=24,
        height=4,
        unit=look.COUNT,
    )
    titles = {
        "account": "Account",
        "group": "Group",
        "key_name": "Name",
        "key_id": "ID",
        "model_limits": "Limited to models",
        "ip_allowlist": "Limited to addresses",
        "cross_group_retry": "Other groups",
    }
    info = f"max by ({', '.join(titles)}) {SCOPE.newest(SCOPE.key_series('info'))}"
    return tables.info_table(frame, info, titles=titles)


def key_money() -> list[PanelBuilder]:
    """Build the panels about the key's quota."""
    left = SCOPE.key_series("remaining_quota")
    is_unlimited = f"{SCOPE.key_series('unlimited_quota')} == 1"
    # As in the bundled alert: of all that was ever given, a key that is topped up each month would
    # soon have little left for ever.
    highest = f"max by ({SCOPE.key_labels}) (max_over_time({left}[30d]))"
    share = f"clamp_min({SCOPE.of_key('remaining_quota')}, 0) / clamp_min({highest}, 1)"
    unlimited = look.text_if_endless("unlimited")
    return [
        panels.number(
            _money_number("Remaining", "Remaining quota of the key."),
            *in_money(SCOPE, Query(expr=SCOPE.key_or_endless(left, is_unlimited))),
            steps=look.BALANCE,
            mappings=unlimited,
        ),
        panels.number(
            _number(
                "Share left",
                "Remaining quota as a share of the highest of the last 30 days.",
                look.SHARE,
            ),
            Query(expr=SCOPE.or_endless(share, SCOPE.by_key(is_unlimited))),
            steps=look.SHARE_LEFT,
            mappings=unlimited,
        ),
        panels.number(
            _number(
                "Requests left",
                "Number of requests that the remaining quota pays for, at the account's typical price.",
                look.QUOTA,
            ),
            Query(expr=SCOPE.or_endless(SCOPE.requests_left(), SCOPE.by_key(is_unlimited))),
            steps=look.REQUESTS_LEFT,
            mappings=unlimited,
        ),
        panels.number(
            _money_number(
                "Spent in range", "Spending of the key in the time range above, less refunds."
            ),
            *in_money(SCOPE, Query(expr=SCOPE.spent())),
        ),
        panels.number(
            _money_number("Burn per day", "Spending of the key per day, at its current rate."),
            *in_money(SCOPE, Query(expr=per_day(SCOPE.burn()))),
        ),
        _lasts(),
    ]


def _lasts() -> PanelBuilder:
    frame = _number(
        "Lasts",
        "Time until the quota is spent at the current spending rate. No limit: the key is unlimited.",
        look.SECONDS,
    )
    return panels.number(
        frame,
        Query(expr=SCOPE.lasts()),
        steps=look.MORE_TIME_IS_GOOD,
        mappings=look.lasts_words(),
    )


def key_account() -> list[PanelBuilder]:
    """Build the panels about the account of the key."""
    created = f"{SCOPE.of_key('created_timestamp_seconds')} * 1000"
    return [
        panels.number(
            _money_number(
                "Spendable", "The amount that the account can pay with; at zero every key stops."
            ),
            *in_money(SCOPE, Query(expr=SCOPE.spendable_in_words())),
            steps=look.BALANCE,
            mappings=look.balance_words(),
        ),
        panels.number(
            _number(
                "Account lasts",
                "Time until the account's balance is spent, at the current spending rate of its keys.",
                look.SECONDS,
            ),
            Query(expr=SCOPE.account_runway()),
            steps=look.MORE_TIME_IS_GOOD,
            mappings=look.text_if_endless("nothing spent"),
        ),
        panels.number(
            _money_number(
                "Typical request",
                "The mean price of the account's requests: of all time, or of the last day if higher.",
            ),
            *in_money(SCOPE, Query(expr=SCOPE.or_not_offered(SCOPE.request_price(), BALANCE_PATH))),
            mappings=look.not_offered(),
        ),
        panels.number(
            _number(
                "Price factor",
                "The factor by which the gateway multiplies prices for the key's group.",
            ),
            Query(expr=_price_factor()),
            mappings=[*look.text_if_endless("no group"), *look.not_offered()],
        ),
        panels.number(
            _number("Data age", "Age of the data on this page.", look.SECONDS),
            Query(expr=SCOPE.data_age()),
            steps=look.DATA_AGE,
        ),
        panels.number(
            _number("Key created", "When the key was created.", look.MOMENT), Query(expr=created)
        ),
    ]


def _price_factor() -> str:
    """Give the price factor of the key's group, ENDLESS for a key without a group."""
    status = f"max by ({KEY_LABELS}) {SCOPE.newest(SCOPE.key_series('status'))}"
    factor = (
        f"max by (account, group) {SCOPE.newest(f'cometapi_group_price_factor{{{SCOPE.group}}}')}"
    )
    of_key = f"max by (account) ({factor} and on (account, group) {status})"
    without_group = f"max by (account) ({SCOPE.key_series('status')} and on (group) vector(0))"
    known = f"{of_key} or on (account) (0 * {without_group} + {ENDLESS})"
    return SCOPE.or_not_offered(known, GROUPS_PATH)


def _number(title: str, description: str, unit: str = look.COUNT) -> Frame:
    return Frame(title=title, description=description, width=4, height=4, unit=unit)


def _money_number(title: str, description: str) -> Frame:
    return _number(title, description, look.DOLLARS)

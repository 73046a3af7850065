"""The rows of one key about the present: can it work, what is left, how is its account.

Pure.
"""

from cometapi_grafana import look, panels, tables
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import ONE_KEY as SCOPE
from cometapi_grafana.expressions import per_day
from cometapi_grafana.panels import Frame, Query, in_money


def key_state() -> list[PanelBuilder]:
    """Build the panels that say whether the key works."""
    never = look.text_if_endless("never")
    expires_at = f"{SCOPE.of_key('expiry_timestamp_seconds')} * 1000"
    last_use = f"{SCOPE.of_key('last_used_timestamp_seconds')} * 1000"
    return [
        panels.number(
            _number(
                "Exporter", "Down: no exporter answers. What is shown below is then unknown or old."
            ),
            Query(expr=SCOPE.exporter()),
            mappings=look.EXPORTER,
        ),
        panels.number(
            _number("Works", "Whether the key can serve requests now, whatever its status is."),
            Query(expr=SCOPE.of_key("usable")),
            steps=look.ONE_IS_GOOD,
            mappings=look.USABLE,
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
            Query(expr=SCOPE.or_endless(SCOPE.expires_in())),
            steps=look.MORE_TIME_IS_GOOD,
            mappings=never,
        ),
        panels.number(
            _number("Expires at", "The moment of expiry.", look.MOMENT),
            Query(expr=SCOPE.or_endless(expires_at)),
            mappings=never,
        ),
        panels.number(
            _number("Last used", "When the key was last used.", look.AGO),
            Query(expr=SCOPE.or_endless(last_use)),
            mappings=never,
        ),
        _identity(),
    ]


def _identity() -> PanelBuilder:
    frame = Frame(
        title="Who it is",
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
    info = f"max by ({', '.join(titles)}) (cometapi_key_info{{{SCOPE.key}}})"
    return tables.info_table(frame, info, titles=titles)


def key_money() -> list[PanelBuilder]:
    """Build the panels about the key's quota."""
    left, used = SCOPE.of_key("remaining_quota"), SCOPE.of_key("used_quota")
    share = f"clamp_min({left}, 0) / (({left} + {used}) > 0)"
    unlimited, is_unlimited = (
        look.text_if_endless("unlimited"),
        f"{SCOPE.of_key('unlimited_quota')} == 1",
    )
    return [
        panels.number(
            _money_number("Remaining", "What is left on the key."),
            *in_money(SCOPE, Query(expr=SCOPE.or_endless(left, is_unlimited))),
            steps=look.BALANCE,
            mappings=unlimited,
        ),
        panels.number(
            _number("Share left", "What is left of all that the key was ever given.", look.SHARE),
            Query(expr=SCOPE.or_endless(share, is_unlimited)),
            steps=look.SHARE_LEFT,
            mappings=unlimited,
        ),
        panels.number(
            _number(
                "Requests left",
                "How many the rest pays for, at the account's usual price.",
                look.QUOTA,
            ),
            Query(expr=SCOPE.or_endless(SCOPE.requests_left(), is_unlimited)),
            steps=look.REQUESTS_LEFT,
            mappings=unlimited,
        ),
        panels.number(
            _money_number(
                "Spent in range", "What the key spent in the time range above, less refunds."
            ),
            *in_money(SCOPE, Query(expr=SCOPE.spent())),
        ),
        panels.number(
            _money_number("Burn per day", "What the key spends a day at its present rate."),
            *in_money(SCOPE, Query(expr=per_day(SCOPE.burn()))),
        ),
        _lasts(),
    ]


def _lasts() -> PanelBuilder:
    frame = _number(
        "Lasts",
        "Until the quota is spent at the present rate. No limit: nothing is spent, or the key is unlimited.",
        look.SECONDS,
    )
    lasts = Query(expr=SCOPE.or_endless(SCOPE.runway()))
    return panels.number(
        frame, lasts, steps=look.MORE_TIME_IS_GOOD, mappings=look.text_if_endless("no limit")
    )


def key_account() -> list[PanelBuilder]:
    """Build the panels about the account of the key."""
    age = f"time() - {SCOPE.of_account('cometapi_exporter_last_success_timestamp_seconds')}"
    created = f"{SCOPE.of_key('created_timestamp_seconds')} * 1000"
    factor = f"max by (account, group) (cometapi_group_price_factor{{{SCOPE.group}}})"
    return [
        panels.number(
            _money_number("Spendable", "What the account can pay with; at zero every key stops."),
            *in_money(SCOPE, Query(expr=SCOPE.spendable())),
            steps=look.BALANCE,
        ),
        panels.number(
            _number("Account lasts", "At the present rate of all its keys.", look.SECONDS),
            Query(expr=SCOPE.account_runway()),
            steps=look.MORE_TIME_IS_GOOD,
            mappings=look.text_if_endless("nothing spent"),
        ),
        panels.number(
            _money_number(
                "Usual request",
                "The mean price of the account's requests: of all time, or of the last day if higher.",
            ),
            *in_money(SCOPE, Query(expr=SCOPE.request_price())),
        ),
        panels.number(
            _number("Price factor", "What the gateway multiplies prices by for the key's group."),
            Query(expr=f"{factor} and on (account, group) {SCOPE.of_key('status')}"),
        ),
        panels.number(
            _number("Data age", "Age of the data on this page.", look.SECONDS),
            Query(expr=age),
            steps=look.DATA_AGE,
        ),
        panels.number(
            _number("Key created", "When the key was created.", look.MOMENT), Query(expr=created)
        ),
    ]


def _number(
    title: str, description: str, unit: str = look.COUNT, *, empty: str = "No data"
) -> Frame:
    return Frame(title=title, description=description, width=4, height=4, unit=unit, empty=empty)


def _money_number(title: str, description: str, *, empty: str = "No data") -> Frame:
    return _number(title, description, look.DOLLARS, empty=empty)

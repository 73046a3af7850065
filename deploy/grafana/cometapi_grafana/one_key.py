"""The dashboard of one key: can it work, what does it cost, how long will it last.

Pure. One function a row; widths add up to 24 columns a line.
"""

from collections.abc import Callable

from grafana_foundation_sdk.builders.dashboard import Row

from . import look, panels, tables
from .annotations import failing_rounds, raised_quota, status_changes
from .expressions import ONE_KEY as SCOPE
from .expressions import per_day
from .links import KEY_UID, to_overview
from .page import Page, PanelBuilder, new_page
from .panels import Frame
from .targets import Ask, money
from .variables import key_variables


def one_key() -> Page:
    """Build the dashboard."""
    page = new_page(
        "CometAPI / One key", KEY_UID, "One API key: does it work, what does it cost, how long will it last."
    )
    for variable in key_variables():
        page.with_variable(variable)
    for annotation in [*status_changes(SCOPE), raised_quota(SCOPE), failing_rounds(SCOPE)]:
        page.annotation(annotation)
    page.link(to_overview())
    for title, row_panels in _ROWS.items():
        page.with_row(Row(title))
        for panel in row_panels():
            page.with_panel(panel)
    return page


def _state() -> list[PanelBuilder]:
    expires_at = f"{SCOPE.of_key('expiry_timestamp_seconds')} * 1000"
    last_use = f"{SCOPE.of_key('last_used_timestamp_seconds')} * 1000"
    return [
        panels.number(
            _number("Works", "Whether the key would serve a request now, whatever its status says."),
            Ask(expr=SCOPE.of_key("usable")),
            steps=look.ONE_IS_GOOD,
            mappings=look.USABLE,
        ),
        panels.number(
            _number("Status", "What the API says. It notices expiry and empty quota only when the key is used."),
            Ask(expr=SCOPE.of_key("status")),
            mappings=look.STATUS,
        ),
        panels.number(
            _number("Expires in", "Time until expiry; below zero, time since.", look.SECONDS, empty="never"),
            Ask(expr=SCOPE.expires_in()),
            steps=look.MORE_TIME_IS_GOOD,
        ),
        panels.number(_number("Expires at", "The moment of expiry.", look.MOMENT, empty="never"), Ask(expr=expires_at)),
        panels.number(_number("Last used", "When the key was last used.", look.AGO, empty="never"), Ask(expr=last_use)),
        panels.number(
            _number("Quota", "Whether the key has a quota of its own or spends from the account alone."),
            Ask(expr=SCOPE.of_key("unlimited_quota")),
            mappings=look.UNLIMITED,
        ),
        _identity(),
    ]


def _identity() -> PanelBuilder:
    frame = Frame(
        title="Who it is",
        description="The key's labels and restrictions. An empty group means that none is chosen.",
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
        "cross_group_retry": "Retries in other groups",
    }
    info = f"max by ({', '.join(titles)}) (cometapi_key_info{{{SCOPE.key}}})"
    return tables.info_table(frame, info, titles=titles)


def _money() -> list[PanelBuilder]:
    left, used = SCOPE.of_key("remaining_quota"), SCOPE.of_key("used_quota")
    return [
        panels.number(
            _money_number("Remaining", "What is left on the key.", empty="unlimited"),
            *money(SCOPE, Ask(expr=left)),
            steps=look.BALANCE,
        ),
        panels.number(
            _number("Share left", "What is left of all that the key was ever given.", look.SHARE, empty="unlimited"),
            Ask(expr=f"clamp_min({left}, 0) / (({left} + {used}) > 0)"),
            steps=look.SHARE_LEFT,
        ),
        panels.number(_money_number("Used", "What the key spent in its life."), *money(SCOPE, Ask(expr=used))),
        panels.number(
            _money_number("Spent in time range", "What the key spent in the time range above, less refunds."),
            *money(SCOPE, Ask(expr=SCOPE.spent())),
        ),
        panels.number(
            _money_number("Burn per day", "What the key spends a day at its present pace."),
            *money(SCOPE, Ask(expr=per_day(SCOPE.burn()))),
        ),
        panels.number(
            _number(
                "Lasts",
                "Until the quota is spent at the present pace.",
                look.SECONDS,
                empty="nothing spent or unlimited",
            ),
            Ask(expr=SCOPE.runway()),
            steps=look.MORE_TIME_IS_GOOD,
        ),
    ]


def _course() -> list[PanelBuilder]:
    return [_quota_history(), _pace_history(), _spending_history(), _runway_history()]


def _quota_history() -> PanelBuilder:
    asks = [
        *money(SCOPE, Ask(expr=SCOPE.of_key("remaining_quota"), legend="remaining", name="remaining")),
        *money(SCOPE, Ask(expr=SCOPE.of_key("used_quota"), legend="used", name="used")),
    ]
    frame = _graph("Remaining and used", "Steps up in remaining are top-ups; steps down in used are refunds.")
    return panels.graph(frame, *asks)


def _pace_history() -> PanelBuilder:
    asks = [
        ask
        for window in ("1h", "6h", "1d")
        for ask in money(SCOPE, Ask(expr=per_day(SCOPE.burn(window)), legend=f"over {window}", name=f"pace{window}"))
    ]
    frame = _graph("Burn per day", "The pace over three windows: a short one far above the long ones is unusual.")
    return panels.graph(frame, *asks)


def _spending_history() -> PanelBuilder:
    frame = _graph("Spent per hour", "What the key spent in the hour before each moment, less refunds.")
    return panels.graph(frame, *money(SCOPE, Ask(expr=SCOPE.spent("1h"), legend="spent"))).fill_opacity(30)


def _runway_history() -> PanelBuilder:
    frame = Frame(
        title="Time left",
        description="Until the quota is spent at the pace of each moment, and until expiry. The lower line ends it.",
        width=12,
        height=8,
        unit=look.SECONDS,
    )
    quota = Ask(expr=SCOPE.runway(), legend="until quota is spent", name="quota")
    return panels.graph(
        frame, quota, Ask(expr=SCOPE.of_key("expires_in_seconds"), legend="until expiry", name="expiry")
    )


def _life() -> list[PanelBuilder]:
    status = Frame(
        title="Status over time",
        description="What the API said of the key.",
        width=12,
        height=5,
        unit=look.COUNT,
    )
    works = Frame(
        title="Works over time",
        description="Whether the key would have served a request.",
        width=12,
        height=5,
        unit=look.COUNT,
    )
    return [
        panels.timeline(status, Ask(expr=SCOPE.of_key("status"), legend="status"), mappings=look.STATUS),
        panels.timeline(works, Ask(expr=SCOPE.of_key("usable"), legend="works"), mappings=look.USABLE),
    ]


def _account() -> list[PanelBuilder]:
    age = f"time() - {SCOPE.of_account('cometapi_exporter_last_success_timestamp_seconds')}"
    balance = SCOPE.of_account("cometapi_account_remaining_quota")
    created = f"{SCOPE.of_key('created_timestamp_seconds')} * 1000"
    return [
        panels.number(
            _money_number("Account balance", "What the account still has; every key stops when it is gone."),
            *money(SCOPE, Ask(expr=balance)),
            steps=look.BALANCE,
        ),
        panels.number(
            _number("Balance lasts", "At the present pace of all its keys.", look.SECONDS, empty="nothing spent"),
            Ask(expr=SCOPE.account_runway()),
            steps=look.MORE_TIME_IS_GOOD,
        ),
        panels.number(
            _number("Requests", "Requests that the account has served in its life.", look.QUOTA),
            Ask(expr=SCOPE.of_account("cometapi_account_requests")),
        ),
        panels.number(
            _number("API", "Whether the last round of the account succeeded."),
            Ask(expr=SCOPE.of_account("cometapi_up")),
            steps=look.ONE_IS_GOOD,
            mappings=look.ANSWERS,
        ),
        panels.number(
            _number("Data age", "Age of the figures on this page.", look.SECONDS), Ask(expr=age), steps=look.DATA_AGE
        ),
        panels.number(_number("Key created", "When the key was created.", look.MOMENT), Ask(expr=created)),
    ]


_ROWS: dict[str, Callable[[], list[PanelBuilder]]] = {
    "Can it work": _state,
    "Money and quota": _money,
    "Course": _course,
    "Life": _life,
    "The account behind it": _account,
}


def _number(title: str, description: str, unit: str = look.COUNT, *, empty: str = "No data") -> Frame:
    return Frame(title=title, description=description, width=4, height=4, unit=unit, empty=empty)


def _money_number(title: str, description: str, *, empty: str = "No data") -> Frame:
    return _number(title, description, look.DOLLARS, empty=empty)


def _graph(title: str, description: str) -> Frame:
    return Frame(title=title, description=description, width=12, height=8, unit=look.DOLLARS)

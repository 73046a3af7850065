"""The columns that tables of keys choose from.

Pure.
"""

from . import look
from .expressions import Scope, per_day
from .tables import Column


def state(scope: Scope) -> Column:
    """Show whether the key can serve requests, and otherwise its status as reported by the API."""
    return Column(
        name="state",
        title="State",
        expr=scope.state(),
        unit=look.COUNT,
        width=95,
        mappings=look.STATE,
    )


def remaining(scope: Scope) -> Column:
    """Show what is left on the key."""
    return Column(
        name="remaining",
        title="Left",
        expr=scope.of_key("remaining_quota"),
        unit=look.QUOTA,
        width=92,
        is_money=True,
        steps=look.BALANCE,
        mappings=look.text_if_null("unlimited"),
    )


def requests_left(scope: Scope) -> Column:
    """Show how many usual requests the rest pays for; empty if unlimited, or if requests are not reported."""
    left = scope.requests_left()
    return Column(
        name="requests",
        title="Requests",
        expr=left,
        unit=look.QUOTA,
        width=95,
        steps=look.REQUESTS_LEFT,
    )


def rate(scope: Scope) -> Column:
    """Show what the key spends a day at its present rate."""
    burn = per_day(scope.burn())
    return Column(
        name="rate", title="Burn/day", expr=burn, unit=look.QUOTA, width=112, is_money=True
    )


def lasts(scope: Scope) -> Column:
    """Show how long the quota lasts at the present rate; empty where nothing is spent or nothing limits."""
    return _duration("lasts", "Lasts", scope.runway(), 88)


def lasts_or_dry(scope: Scope) -> Column:
    """Show the same, and nothing for a key that probably ran dry."""
    return _duration("lasts", "Lasts", f"0 * {scope.dry()} or {scope.runway()}", 88)


def expiry(scope: Scope) -> Column:
    """Show how long the key is still valid; below zero, how long ago it expired."""
    return _duration("expires", "Expires in", scope.expires_in(), 96)


def expiry_date(scope: Scope) -> Column:
    """Show the moment at which the key expires."""
    moment = f"{scope.of_key('expiry_timestamp_seconds')} * 1000"
    return Column(name="expiry", title="Expires at", expr=moment, unit=look.MOMENT, width=165)


def last_use(scope: Scope) -> Column:
    """Show when the key was last used; empty for never."""
    moment = f"{scope.of_key('last_used_timestamp_seconds')} * 1000"
    return Column(name="last_use", title="Last used", expr=moment, unit=look.AGO, width=140)


def _duration(name: str, title: str, expr: str, width: int) -> Column:
    return Column(
        name=name,
        title=title,
        expr=expr,
        unit=look.SECONDS,
        width=width,
        steps=look.MORE_TIME_IS_GOOD,
    )

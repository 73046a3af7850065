"""Name the state of an account, and describe what is odd about it although its refreshes succeed.

Pure: an account's state in, words out. The status page and `--check` both show them.
"""

from exporter.formatting import duration
from exporter.snapshot import AccountState

# Clocks that NTP keeps differ by less than a second; a minute is noticeable in expiries.
LARGEST_SKEW_SECONDS = 60


def state_word(state: AccountState) -> str:
    """Name the state of an account in one of the words of docs/architecture.md (Glossary)."""
    if not state.first_refresh_ended:
        return "not read yet"
    if state.is_withdrawn:
        return "stale"
    if state.failing is not None:
        return "failing"
    if state.is_exhausted:
        return "empty"
    return "up"


def units_note(state: AccountState) -> str:
    """Say that the gateway reports other quota units per dollar than are configured, or ""."""
    configured = state.quota_units_per_usd
    reported = None if state.status is None else state.status.quota_units_per_usd
    if reported is None or reported == configured:
        return ""
    return (
        f"{configured:,.9g} quota units per USD are configured, the gateway reports {reported:,.9g}"
    )


def skew_note(state: AccountState) -> str:
    """Say by how much this machine's clock is off; "" if it is not, or if that is not known."""
    skew = state.clock_skew or 0.0
    if abs(skew) <= LARGEST_SKEW_SECONDS:
        return ""
    direction = "ahead of" if skew > 0 else "behind"
    return f"this machine's clock is {duration(abs(skew))} {direction} the gateway's"

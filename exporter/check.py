"""Write the table of `--check`: what was found at each account, or why nothing was and what to do.

Pure: outcomes in, text out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.errors import Reason
from exporter.model import STATUS_LABELS
from exporter.refresher import Outcome

MENDS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.UNAUTHORIZED: "make a new access token in the console under Personal Settings; a self-hosted gateway "
        "also wants --cometapi.user-id (COMETAPI_USER_ID)",
        Reason.RATE_LIMITED: "wait, then lower --collect.max-requests-per-minute or lengthen --collect.interval",
        Reason.SERVER_ERROR: "wait and try again; if it stays, ask the gateway's operator",
        Reason.TIMEOUT: "look at the network, or lengthen --collect.timeout",
        Reason.UNREACHABLE: "look at --cometapi.base-url, the network, a proxy; --cometapi.ca-file trusts a private CA",
        Reason.REJECTED: "look at the access token (older gateways answer a wrong one like this) and the user id",
        Reason.INVALID_RESPONSE: "look at --cometapi.base-url: the address of the API, not of a web page",
        Reason.INCONSISTENT: "keys are made and deleted while they are listed; nothing to do",
        Reason.INTERNAL: "a mistake of the exporter: please report it with the log line",
    }
)

_HEADERS = ("account", "keys", *STATUS_LABELS, "usable", "skipped", "balance", "result")


def report(outcomes: Sequence[Outcome], now: float) -> str:
    """Return the table for people, as of unix time *now*."""
    rows = [_HEADERS, *(_row(outcome, now) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADERS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for outcome in outcomes:
        if outcome.failure is not None:
            lines += [
                "",
                f"{outcome.state.name}: {outcome.failure}",
                f"  what to do: {MENDS[outcome.failure.reason]}",
            ]
    return "\n".join(lines)


def _row(outcome: Outcome, now: float) -> tuple[str, ...]:
    state = outcome.state
    if outcome.failure is not None:
        return (state.name, *("-" for _ in _HEADERS[1:-1]), outcome.label)
    counts = Counter(key.status_word for key in state.keys)
    usable = sum(key.is_usable(now) for key in state.keys)
    balance = "not told"
    if state.balance is not None:
        balance = f"{state.balance.remaining_quota / state.quota_units_per_usd:,.2f} USD"
    numbers = (len(state.keys), *(counts[word] for word in STATUS_LABELS), usable, state.skipped)
    return (state.name, *map(str, numbers), balance, "ok" if outcome.label == "success" else outcome.label)

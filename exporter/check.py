"""Write the table of `--check`: what was found at each account, or why nothing was and what to do.

Pure: outcomes in, text out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from exporter.errors import FIXES, SUCCESS
from exporter.model import STATUS_LABELS
from exporter.refresher import Outcome

TOLERATED_SKEW_SECONDS = 60
NO_SKEWS: Mapping[str, float] = MappingProxyType({})

_HEADERS = ("account", "keys", *STATUS_LABELS, "usable", "skipped", "balance", "result")

Paint = Callable[[str, str], str]


def plain(text: str, _colour: str) -> str:
    """Leave *text* without colour."""
    return text


def report(
    outcomes: Sequence[Outcome], now: float, *, skews: Mapping[str, float] = NO_SKEWS, paint: Paint = plain
) -> str:
    """Return the table for people, as of unix time *now*.

    *skews* tells by account how many seconds this machine's clock is ahead; *paint* colours a text by a colour's name.
    """
    rows = [_HEADERS, *(_row(outcome, now) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADERS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines[0] = paint(lines[0], "bright_black")
    for place, row in enumerate(rows[1:], start=1):
        lines[place] = lines[place].removesuffix(row[-1]) + paint(row[-1], "green" if row[-1] == "ok" else "red")
    for outcome in outcomes:
        lines += _remarks(outcome, skews.get(outcome.state.name, 0.0), paint)
    return "\n".join(lines)


def _remarks(outcome: Outcome, skew: float, paint: Paint) -> list[str]:
    remarks = []
    if outcome.failure is not None:
        fix = FIXES[outcome.failure.reason]
        remarks += ["", f"{outcome.state.name}: {paint(str(outcome.failure), 'red')}", f"  what to do: {fix}"]
    if abs(skew) > TOLERATED_SKEW_SECONDS:
        side = "ahead of" if skew > 0 else "behind"
        remarks += [
            "",
            f"{outcome.state.name}: {paint(f'this clock is {abs(skew):.0f} s {side} the gateway', 'yellow')}",
            "  what to do: set this machine's clock (NTP); expiry is judged by it",
        ]
    return remarks


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
    return (state.name, *map(str, numbers), balance, "ok" if outcome.label == SUCCESS else outcome.label)

"""Write money, times and counts as people read them.

Pure: numbers in, words out. Knows no key, no page, no clock.
"""

import math
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MONTH, YEAR = 30.44 * DAY, 365.25 * DAY
# A unit is used from twice its length on, so that no more than half of it is rounded away.
UNITS = (
    ("year", YEAR),
    ("month", MONTH),
    ("day", DAY),
    ("hour", HOUR),
    ("minute", MINUTE),
    ("second", 1),
)
SHORT_UNITS = (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1))
LARGE = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
LAST_MOMENT = 253_402_300_799  # the end of the year 9999
MINUS = "\N{MINUS SIGN}"


def money(usd: float) -> str:
    """Write an amount of US dollars: `$1,234.50`, `$0.0025`, `$1.23M`."""
    size = abs(usd)
    sign = MINUS if usd < 0 else ""
    for step, letter in LARGE:
        if size >= step:
            return f"{sign}${size / step:,.2f}{letter}"
    if 0 < size < 0.0001:  # noqa: PLR2004 - the smallest amount with four decimals
        return f"{sign}<$0.0001"
    if 0 < size < 0.01:  # noqa: PLR2004 - two decimals would hide what is left
        return f"{sign}${size:.4f}"
    return f"{sign}${size:,.2f}"


def percent(share: float) -> str:
    """Write a share from 0 to 1, rounded down: `94%`, `2.6%`, `<0.1%`."""
    tenths = math.floor(share * 1000 + 1e-9)
    if tenths >= 100:  # noqa: PLR2004 - from ten percent on
        return f"{tenths // 10}%"
    return "<0.1%" if share > 0 and not tenths else f"{tenths / 10:g}%"


def duration(seconds: float) -> str:
    """Write a length of time in one unit, rounded down: 5 hours, 90 minutes, 3 months."""
    number, unit = _in_one_unit(seconds, UNITS)
    return count(number, unit)


def short(seconds: float) -> str:
    """Write a length of time for a badge: 35 min, 4 h, 40 d."""
    number, unit = _in_one_unit(seconds, SHORT_UNITS)
    return f"{number:,} {unit}"


def _in_one_unit(seconds: float, units: tuple[tuple[str, float], ...]) -> tuple[int, str]:
    size = max(0.0, seconds)
    unit, length = next(((unit, length) for unit, length in units if size >= 2 * length), units[-1])
    return int(size / length), unit


def moment(at: float, now: float) -> str:
    """Say when *at* is, seen from *now*: in 5 hours, 2 days ago."""
    return f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"


def count(number: int, noun: str) -> str:
    """Say how many: 1 key, 1,200 keys."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def one_line(text: str) -> str:
    """Write *text* for a log: characters that move the cursor or are invisible become escapes."""
    shown = [char if char.isprintable() else ascii(char)[1:-1] for char in text]
    return "".join(shown)


def utc(at: float) -> str:
    """Write a unix time as `2025-06-15 14:00:00 UTC`, or as a number beyond the year 9999."""
    if not 0 <= at <= LAST_MOMENT:
        return f"{at:.0f}"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

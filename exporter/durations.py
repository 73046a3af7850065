"""Read and write durations as Prometheus does: `90s`, `15m`, `1h30m`.

Pure. Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (the type `<duration>`).
"""

import re

_SECONDS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
LONGEST_TEXT = 30
_PATTERN = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _SECONDS))


def parse_duration(text: str) -> float:
    """Return the seconds that *text* says; raise ValueError with the mend where it is no Prometheus duration."""
    match = _PATTERN.fullmatch(text)
    if match is None or not text or len(text) > LONGEST_TEXT:
        raise ValueError(f"expected a duration such as 90s, 15m or 1h30m, got {text[:40]!r}")
    return sum(int(number) * _SECONDS[unit] for unit, number in match.groupdict(default="0").items())


def format_duration(seconds: float) -> str:
    """Write *seconds* as the shortest Prometheus duration: 5400 becomes `1h30m`."""
    rest = round(seconds * 1000)
    parts = []
    for unit, size in _SECONDS.items():
        if unit in {"y", "w"}:
            continue
        count, rest = divmod(rest, round(size * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"

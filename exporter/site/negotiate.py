"""Choose the format and the compression of a response from what the client says it accepts.

Pure: headers in, a choice out. Source: RFC 9110 section 12.5, as far as scrapers use it: the
highest weight wins, OpenMetrics where both weigh the same, and the text format where neither is
named.
"""

from collections.abc import Iterator

from exporter.exposition.rendering import Format


def choose_format(accept: str) -> Format:
    """Return the format to answer with, given the `Accept` header."""
    text = 0.0
    openmetrics = 0.0
    for kind, parameters, weight in _accepted(accept):
        if kind == "application/openmetrics-text" and parameters.get("version", "1.0.0").startswith(
            "1."
        ):
            openmetrics = max(openmetrics, weight)
        elif kind == "text/plain":
            text = max(text, weight)
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= text else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip, given the `Accept-Encoding` header."""
    weights = {kind: weight for kind, _, weight in _accepted(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _accepted(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for choice in header.split(","):
        kind, *rest = (part.strip() for part in choice.lower().split(";"))
        parameters = dict(part.replace('"', "").split("=", 1) for part in rest if "=" in part)
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        yield kind, parameters, weight

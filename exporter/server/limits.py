"""Bound how long and how much clients may ask of the server; docs/web-config.md lists the defaults.

Talks to: nothing but `descriptors`, for the limit on connections.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from exporter import descriptors
from exporter.server.phase import Phase

DEADLINES: Mapping[Phase, float] = MappingProxyType(
    {
        Phase.HANDSHAKE: 10.0,
        Phase.HEAD: 10.0,
        # A request waits for the exporter, not for its client.
        Phase.REQUEST: math.inf,
        Phase.DISCARD: 2.0,
        # Longer than the usual scrape interval of 60 s, so that Prometheus reuses its connection.
        Phase.IDLE: 75.0,
        Phase.CLOSE: 25.0,
    }
)
"""How many seconds a connection may stay in each phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a connection may be in each phase, and how much clients may ask of the server."""

    deadlines: Mapping[Phase, float] = field(default_factory=lambda: DEADLINES)
    response_seconds: float = 25.0
    """From the first byte of a response until the client's machine has acknowledged the last."""
    grace_seconds: float = 4.5
    """For requests under way when the server stops."""
    reload_seconds: float = 5.0
    """Between two checks whether the web config or its certificates changed."""
    head_bytes: int = 16 * 1024
    connections: int = field(default_factory=descriptors.for_clients)
    handshakes: int = 32
    """TLS handshakes at a time: each takes a quarter of a megabyte."""
    unread_bytes: int = 64 * 1024 * 1024
    """What clients have not read yet of all responses together."""

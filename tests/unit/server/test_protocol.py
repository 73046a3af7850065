"""What a connection knows of its own limits."""

import socket

from exporter.server.lobby import Limits
from exporter.server.protocol import _date_header, _unacknowledged_bytes


def test_the_default_limits_cut_every_slow_visitor_within_thirty_seconds_and_keep_minutely_scrapers() -> None:
    limits = Limits()

    assert max(limits.handshake_seconds, limits.head_seconds, limits.answer_seconds, limits.linger_seconds) < 30
    assert limits.idle_seconds > 60
    assert limits.grace_seconds < 5


def test_the_date_is_written_as_http_wants_it() -> None:
    """Source: RFC 9110 section 5.6.7."""
    assert _date_header(784111777) == [(b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")]


def test_a_socket_that_is_gone_owes_nothing() -> None:
    with socket.socket() as sock:
        pass
    assert _unacknowledged_bytes(sock) == 0

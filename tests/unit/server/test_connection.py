"""What a connection knows of its own limits."""

import socket

from exporter.server.connection import Limits, _unacknowledged_bytes


def test_the_default_limits_cut_every_slow_client_within_thirty_seconds_and_keep_minutely_scrapers() -> None:
    limits = Limits()

    assert max(limits.handshake_seconds, limits.head_seconds, limits.response_seconds, limits.discard_seconds) < 30
    assert limits.idle_seconds > 60
    assert limits.grace_seconds < 5


def test_a_socket_that_is_gone_owes_nothing() -> None:
    with socket.socket() as sock:
        pass
    assert _unacknowledged_bytes(sock) == 0

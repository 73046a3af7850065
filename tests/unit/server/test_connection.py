"""What a connection knows of its own limits."""

from exporter.server.connection import Limits


def test_the_default_limits_cut_every_slow_client_within_thirty_seconds_and_keep_minutely_scrapers() -> None:
    limits = Limits()

    assert max(limits.handshake_seconds, limits.head_seconds, limits.response_seconds, limits.discard_seconds) < 30
    assert limits.idle_seconds > 60
    assert limits.grace_seconds < 5

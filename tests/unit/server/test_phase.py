"""What a connection is doing, by h11's two states."""

import h11
import pytest

from exporter.server.phase import Phase, PhaseClock, phase_of

WAITING = b"GET /"


@pytest.mark.parametrize(
    ("ours", "theirs", "answered", "waiting", "phase"),
    [
        # before and between requests
        (h11.IDLE, h11.IDLE, False, b"", Phase.HEAD),
        (h11.IDLE, h11.IDLE, False, WAITING, Phase.HEAD),
        (h11.IDLE, h11.IDLE, True, b"", Phase.IDLE),
        (h11.IDLE, h11.IDLE, True, WAITING, Phase.HEAD),
        # a request is complete, or its body is still being sent
        (h11.SEND_RESPONSE, h11.DONE, False, b"", Phase.REQUEST),
        (h11.SEND_RESPONSE, h11.SEND_BODY, True, WAITING, Phase.REQUEST),
        (h11.SEND_RESPONSE, h11.MUST_CLOSE, False, b"", Phase.REQUEST),
        (h11.SEND_RESPONSE, h11.ERROR, False, b"", Phase.REQUEST),
        (h11.SEND_BODY, h11.DONE, True, b"", Phase.REQUEST),
        (h11.SEND_BODY, h11.CLOSED, False, b"", Phase.REQUEST),
        # the response is complete
        (h11.DONE, h11.SEND_BODY, True, b"", Phase.DISCARD),
        (h11.DONE, h11.DONE, True, b"", Phase.CLOSE),
        # nothing more can be exchanged
        (h11.MUST_CLOSE, h11.SEND_BODY, True, b"", Phase.CLOSE),
        (h11.MUST_CLOSE, h11.DONE, True, b"", Phase.CLOSE),
        (h11.CLOSED, h11.DONE, True, b"", Phase.CLOSE),
        (h11.ERROR, h11.IDLE, False, b"", Phase.CLOSE),
        (h11.SWITCHED_PROTOCOL, h11.SWITCHED_PROTOCOL, True, b"", Phase.CLOSE),
    ],
)
def test_the_phase_follows_from_the_states(ours, theirs, answered, waiting, phase):
    assert phase_of(ours, theirs, closing=False, answered=answered, waiting=waiting) is phase


@pytest.mark.parametrize("ours", [h11.IDLE, h11.SEND_RESPONSE, h11.SEND_BODY, h11.DONE])
def test_a_closing_transport_is_in_no_other_phase(ours):
    phase = phase_of(ours, h11.SEND_BODY, closing=True, answered=True, waiting=WAITING)

    assert phase is Phase.CLOSE


def test_the_same_phase_again_does_not_extend_the_deadline():
    clock = PhaseClock(100.0)
    clock.observe(Phase.HEAD, 101.0)
    clock.observe(Phase.HEAD, 109.0)

    assert clock.since == 101.0


def test_a_new_phase_starts_its_deadline():
    clock = PhaseClock(100.0)
    clock.observe(Phase.HEAD, 101.0)
    clock.observe(Phase.REQUEST, 102.0)

    assert clock.since == 102.0


def test_the_next_of_two_pipelined_requests_starts_its_deadline():
    clock = PhaseClock(100.0)
    clock.observe(Phase.REQUEST, 101.0)
    clock.restart(Phase.REQUEST, 105.0)

    assert clock.since == 105.0

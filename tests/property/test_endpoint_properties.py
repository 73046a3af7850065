"""Over any history of responses and errors: what is shown was read, recently, and nothing else is said.

The model beside it knows nothing of the transitions: it keeps the whole history.
"""

from domain import NOW, a_moment, failure, not_offered
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.endpoint import (
    Known,
    NotOffered,
    Unknown,
    aged,
    failed,
    failure_of,
    value_of,
    with_keys_listed,
)
from exporter.errors import Reason

STALE_AFTER = 100.0


class Histories(RuleBasedStateMachine):
    """One endpoint of one gateway, while the keys are listed or not."""

    def __init__(self):
        super().__init__()
        self.state = Unknown()
        self.now = NOW
        self.answered_at: float | None = None
        self.failing_since: float | None = None
        self.was_believed = False

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds):
        self.now += seconds
        self.state = aged(self.state, a_moment(self.now), STALE_AFTER)

    @rule()
    def answer(self):
        self.state = Known(self.now, a_moment(self.now))
        self.answered_at, self.failing_since, self.was_believed = self.now, None, False

    @rule(reason=st.sampled_from(sorted({*Reason} - {Reason.REJECTED, Reason.INCONSISTENT})))
    def fail(self, reason):
        self.state = failed(self.state, failure(reason), self.now)
        self._failed()

    @rule(are_keys_listed=st.booleans())
    def deny(self, *, are_keys_listed):
        self.state = failed(self.state, not_offered(), self.now)
        self._failed()
        if are_keys_listed:
            self.state = with_keys_listed(self.state)
            self.was_believed = self.was_believed or self.answered_at is None

    def _failed(self):
        if self.failing_since is None:
            self.failing_since = self.now

    @invariant()
    def a_value_is_shown_exactly_as_long_as_it_is_fresh(self):
        is_fresh = self.answered_at is not None and self.now - self.answered_at < STALE_AFTER
        assert value_of(self.state) == (self.answered_at if is_fresh else None)

    @invariant()
    def what_ever_answered_is_never_said_not_to_exist(self):
        assert isinstance(self.state, NotOffered) is self.was_believed

    @invariant()
    def a_failure_began_with_the_first_error_since_the_last_answer(self):
        if not self.was_believed:
            failure_now = failure_of(self.state)
            assert (failure_now and failure_now.since) == self.failing_since


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)

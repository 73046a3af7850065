"""Over any history of listings: who is shown, who leaves, and by what proof.

The model beside it knows nothing of `merge`: it keeps, for every key ever shown, what the listings
have said of it.
"""

from domain import NOW, a_listing, a_reading, a_state, an_api_key, failure
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.endpoint import last_known
from exporter.errors import Reason

IDS = st.integers(1, 6)


class Histories(RuleBasedStateMachine):
    """One account, listed again and again by a gateway that loses and finds keys."""

    def __init__(self):
        super().__init__()
        self.state = a_state()
        self.misses: dict[int, int] = {}
        """For each key that must be shown: how often running it was missed without proof."""
        self.last_read: dict[int, int] = {}
        self.refresh = 0

    @rule(
        listed=st.sets(IDS),
        unreadable=st.sets(IDS),
        is_complete=st.booleans(),
        changed_while_read=st.none() | st.booleans(),
        nameless=st.integers(0, 2),
    )
    def list_keys(self, *, listed, unreadable, is_complete, changed_while_read, nameless):
        self.refresh += 1
        unreadable = unreadable - listed
        listing = a_listing(
            *(an_api_key(id=id_, used_quota=self.refresh, group=f"g{id_}") for id_ in listed),
            unreadable=unreadable,
            is_complete=is_complete,
            changed_while_read=changed_while_read,
            nameless=nameless,
        )
        self.state = self.state.succeeded(a_reading(listing, at=NOW + self.refresh))
        is_proof = is_complete and changed_while_read is False
        for id_ in set(self.misses) - listed:
            self._absent(id_, there=id_ in unreadable, is_proof=is_proof)
        for id_ in listed:
            self.misses[id_], self.last_read[id_] = 0, self.refresh

    def _absent(self, id_, *, there, is_proof):
        if there:
            self.misses[id_] = 0
        elif is_proof or self.misses[id_] == 1:
            del self.misses[id_]
        else:
            self.misses[id_] = 1

    @rule(reason=st.sampled_from(Reason))
    def fail(self, reason):
        before = self.state
        self.state = self.state.failed(failure(reason), NOW + self.refresh)
        assert (self.state.keys, self.state.read_at, self.state.key_groups) == (
            before.keys,
            before.read_at,
            before.key_groups,
        )

    @invariant()
    def exactly_the_keys_without_proof_of_absence_are_shown_newest_first(self):
        assert [key.id for key in self.state.keys] == sorted(self.misses, reverse=True)

    @invariant()
    def every_key_is_shown_as_it_was_last_read(self):
        assert all(key.used_quota == self.last_read[key.id] for key in self.state.keys)

    @invariant()
    def every_group_ever_shown_stays_known(self):
        assert self.state.key_groups.keys() == {f"g{id_}" for id_ in self.last_read}

    @invariant()
    def the_missing_are_shown_keys(self):
        known = last_known(self.state.endpoints.keys)
        missing = known.value.missing.keys() if known else set()
        assert missing <= {key.id for key in self.state.keys}


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)

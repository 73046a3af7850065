"""How a refresh's end changes what is known of an account."""

import pytest
from domain import NOW, a_balance, a_listing, a_read_state, a_state, an_api_key, keys

from exporter.errors import Reason
from exporter.snapshot import Snapshot


def ids(state):
    return [key.id for key in state.keys]


def after(state, *listings, at=NOW + 60):
    for listing in listings:
        state = state.succeeded(listing, None, at)
    return state


def test_a_success_replaces_keys_balance_and_time():
    state = a_read_state(*keys(1, 2), balance=a_balance())
    state = state.succeeded(a_listing(*keys(3, 2)), a_balance(requests=7), NOW + 60)

    assert ids(state) == [3, 2]
    assert (state.balance.requests, state.read_at, state.first_refresh_ended) == (7, NOW + 60, True)


def test_keys_are_shown_newest_first_whatever_the_order_of_listing():
    assert ids(a_read_state(*keys(2, 9, 5))) == [9, 5, 2]


def test_a_failed_refresh_keeps_the_last_keys_and_their_time():
    state = a_read_state(*keys(7), balance=a_balance()).failed(Reason.TIMEOUT, NOW + 60)

    assert ids(state) == [7]
    assert (state.read_at, state.failing, state.failing_since) == (NOW, Reason.TIMEOUT, NOW + 60)
    assert state.balance == a_balance()


def test_trouble_that_changes_its_reason_goes_on_since_it_began():
    state = a_state().failed(Reason.TIMEOUT, NOW).failed(Reason.UNAUTHORIZED, NOW + 60)

    assert (state.failing, state.failing_since) == (Reason.UNAUTHORIZED, NOW)


def test_a_success_ends_the_trouble():
    state = after(a_state().failed(Reason.TIMEOUT, NOW), a_listing())

    assert (state.failing, state.failing_since) == (None, None)


def test_trouble_after_a_success_begins_anew():
    state = after(a_state().failed(Reason.TIMEOUT, NOW), a_listing()).failed(Reason.TIMEOUT, NOW + 120)

    assert state.failing_since == NOW + 120


def test_a_refused_balance_is_forgotten_and_not_kept_stale():
    assert after(a_read_state(*keys(1), balance=a_balance()), a_listing(*keys(1))).balance is None


def test_groups_once_seen_stay_known():
    state = after(a_read_state(an_api_key(group="vip")), a_listing(an_api_key(group="")))

    assert state.groups == {"vip", ""}


@pytest.mark.parametrize(("seconds", "serves"), [(0, True), (3599.9, True), (3600, False), (3600.1, False), (-5, True)])
def test_data_is_served_until_stale_after(seconds, serves):
    assert a_read_state(*keys(1)).serves_data(NOW + seconds) is serves


def test_data_ends_at_the_very_moment_that_is_announced():
    """In floating point `now - read_at < limit` and `now < read_at + limit` differ; one of them must rule."""
    state = a_read_state(at=1_750_000_000.1, stale_after_seconds=0.3)

    assert not state.serves_data(state.stale_at)


def test_before_the_first_success_nothing_is_served_or_goes_stale():
    state = a_state().failed(Reason.TIMEOUT, NOW)

    assert not state.serves_data(NOW)
    assert state.stale_at is None


BEFORE = keys(3, 2, 1)


@pytest.mark.parametrize(
    ("listing", "shown"),
    [
        pytest.param(a_listing(*keys(3, 1)), [3, 1], id="settled: proof that 2 is gone"),
        pytest.param(a_listing(), [], id="settled and empty: all are gone"),
        pytest.param(a_listing(*keys(3, 1), settled=False), [3, 2, 1], id="unsettled: nobody leaves"),
        pytest.param(a_listing(*keys(4), settled=False), [4, 3, 2, 1], id="unsettled: newcomers come"),
        pytest.param(a_listing(*keys(3, 1), verified=False), [3, 2, 1], id="unverified: once is no proof"),
        pytest.param(a_listing(*keys(3, 1), unreadable=[2]), [3, 2, 1], id="unreadable: as last read"),
        pytest.param(a_listing(*keys(3, 1), unreadable=[2], verified=False), [3, 2, 1], id="unreadable, unverified"),
        pytest.param(a_listing(*keys(3, 2, 1), unreadable=[9]), [3, 2, 1], id="unreadable and never seen"),
        pytest.param(a_listing(*keys(3, 1), nameless=1), [3, 1], id="nameless: nobody can be kept for it"),
    ],
)
def test_a_key_leaves_only_by_proof(listing, shown):
    assert ids(after(a_read_state(*BEFORE), listing)) == shown


def test_a_kept_key_shows_what_was_last_read_of_it():
    state = a_read_state(an_api_key(id=1, used_quota=11), an_api_key(id=2, used_quota=22))
    state = after(state, a_listing(an_api_key(id=1, used_quota=12), unreadable=[2]))

    assert [(key.id, key.used_quota) for key in state.keys] == [(2, 22), (1, 12)]
    assert state.skipped == 1


UNVERIFIED_WITHOUT_2 = a_listing(*keys(3, 1), verified=False)


@pytest.mark.parametrize(
    ("listings", "shown"),
    [
        pytest.param([UNVERIFIED_WITHOUT_2] * 2, [3, 1], id="missed twice running"),
        pytest.param(
            [UNVERIFIED_WITHOUT_2, a_listing(*BEFORE, verified=False), UNVERIFIED_WITHOUT_2],
            [3, 2, 1],
            id="seen in between",
        ),
        pytest.param(
            [UNVERIFIED_WITHOUT_2, a_listing(*BEFORE, settled=False), UNVERIFIED_WITHOUT_2],
            [3, 2, 1],
            id="seen in between by an unsettled listing",
        ),
        pytest.param(
            [UNVERIFIED_WITHOUT_2, a_listing(*keys(3, 1), settled=False), UNVERIFIED_WITHOUT_2],
            [3, 1],
            id="an unsettled listing in between says nothing",
        ),
        pytest.param(
            [UNVERIFIED_WITHOUT_2, a_listing(*keys(3, 1), unreadable=[2], verified=False), UNVERIFIED_WITHOUT_2],
            [3, 2, 1],
            id="unreadable in between, so it is there",
        ),
        pytest.param(
            [a_listing(*keys(3, 1), settled=False)] * 5 + [a_listing(*keys(3, 1))],
            [3, 1],
            id="dropped by the first settled one",
        ),
        pytest.param([a_listing(*keys(3, 1), unreadable=[2])] * 5, [3, 2, 1], id="kept while it stays unreadable"),
    ],
)
def test_where_no_total_is_named_a_key_leaves_when_it_is_missed_twice(listings, shown):
    assert ids(after(a_read_state(*BEFORE), *listings)) == shown


def test_a_snapshot_is_ready_when_every_first_refresh_has_ended_well_or_badly():
    snapshot = Snapshot.of([a_state(name="a"), a_state(name="b")])
    one = snapshot.with_account(a_read_state(name="a"))
    both = one.with_account(a_state(name="b").failed(Reason.TIMEOUT, NOW))

    assert [each.is_ready for each in (snapshot, one, both)] == [False, False, True]


def test_a_changed_account_leaves_the_old_snapshot_and_the_order_as_they_were():
    before = Snapshot.of([a_state(name="b"), a_state(name="a")])
    later = before.with_account(a_read_state(*keys(1), name="b"))

    assert list(later.accounts) == ["b", "a"]
    assert before.accounts["b"].keys == ()
    with pytest.raises(TypeError):
        later.accounts["b"] = a_state(name="b")

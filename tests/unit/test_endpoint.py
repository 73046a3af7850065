"""What is known of an endpoint, after whatever its gateway returned."""

import pytest
from domain import NOW, a_moment, failure, not_offered

from exporter.endpoint import (
    Failing,
    Failure,
    Known,
    NotOffered,
    Unknown,
    aged,
    failed,
    failure_of,
    is_unknown,
    value_of,
    with_keys_listed,
)
from exporter.errors import Reason

KNOWN = Known("value", a_moment(NOW))


def test_an_endpoint_that_never_answered_and_fails_stays_unknown_and_says_why():
    state = failed(Unknown(), failure(Reason.TIMEOUT, "no answer"), NOW)

    assert state == Unknown(Failure(Reason.TIMEOUT, "no answer", NOW))
    assert (value_of(state), is_unknown(state)) == (None, True)


def test_an_endpoint_that_answered_and_fails_keeps_its_value():
    state = failed(KNOWN, failure(Reason.TIMEOUT, "no answer"), NOW + 60)

    assert state == Failing(Failure(Reason.TIMEOUT, "no answer", NOW + 60), KNOWN)
    assert value_of(state) == "value"


def test_a_failure_begins_with_its_first_error_whatever_its_reason():
    state = failed(KNOWN, failure(Reason.TIMEOUT), NOW + 60)
    state = failed(state, failure(Reason.SERVER_ERROR), NOW + 120)

    assert (failure_of(state).reason, failure_of(state).since) == (Reason.SERVER_ERROR, NOW + 60)


def test_a_denial_of_an_endpoint_that_answered_is_a_failure_like_any_other():
    state = with_keys_listed(failed(KNOWN, not_offered(), NOW))

    assert isinstance(state, Failing)
    assert value_of(state) == "value"


def test_a_denial_of_an_endpoint_that_never_answered_is_believed_once_the_keys_are_listed():
    state = failed(Unknown(), not_offered(), NOW)

    assert is_unknown(state)
    assert with_keys_listed(state) == NotOffered()
    assert not is_unknown(NotOffered())


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.UNAUTHORIZED])
def test_what_is_not_offered_stays_so_through_trouble(reason):
    assert failed(NotOffered(), failure(reason), NOW) == NotOffered()


@pytest.mark.parametrize("reason", Reason)
def test_an_error_of_any_reason_that_denies_no_endpoint_says_nothing_about_what_is_offered(reason):
    state = with_keys_listed(failed(Unknown(), failure(reason), NOW))

    assert is_unknown(state)


@pytest.mark.parametrize("state", [KNOWN, failed(KNOWN, failure(Reason.TIMEOUT), NOW)])
@pytest.mark.parametrize(("age", "value"), [(3_599, "value"), (3_600, None)])
def test_a_value_is_absent_from_stale_after_on(state, age, value):
    older = aged(state, a_moment(NOW + age), 3_600)

    assert (value_of(older), is_unknown(older)) == (value, value is None)
    assert failure_of(older) == failure_of(state)


def test_none_is_a_value():
    state = Known(None, a_moment(NOW))

    assert not is_unknown(state)
    assert is_unknown(aged(state, a_moment(NOW + 3_600), 3_600))

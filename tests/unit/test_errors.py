"""Everything that can go wrong has one name."""

import pytest
from promises import REASONS

from exporter.errors import (
    FIXES,
    AccountDisabled,
    ApiError,
    ExporterError,
    InvalidResponse,
    RateLimited,
    Reason,
    Rejected,
    ServerFault,
    SettingsError,
    StartError,
    TimedOut,
    TooManyKeys,
    Unauthorized,
    Unreachable,
    fix,
)


def test_the_reasons_are_the_closed_set_that_users_were_promised():
    assert tuple(reason.value for reason in Reason) == REASONS


@pytest.mark.parametrize(
    ("kind", "reason", "transient"),
    [
        (ApiError, "internal", False),
        (Unauthorized, "unauthorized", False),
        (RateLimited, "rate_limited", False),
        (ServerFault, "server_error", True),
        (TimedOut, "timeout", True),
        (Unreachable, "unreachable", True),
        (Rejected, "rejected", False),
        (InvalidResponse, "invalid_response", False),
        (AccountDisabled, "account_disabled", False),
        (TooManyKeys, "too_many_keys", False),
    ],
)
def test_an_api_error_carries_its_reason_and_whether_another_try_is_worth_it(kind, reason, transient):
    error = kind("page 3: no answer")

    assert (error.reason, error.transient, str(error)) == (reason, transient, "page 3: no answer")


def test_no_kind_of_api_error_is_without_a_line_above():
    assert len(ApiError.__subclasses__()) == 9


def test_a_rate_limit_without_a_named_pause_has_none():
    assert RateLimited("slow down").retry_after is None
    assert RateLimited("slow down", retry_after=7.0).retry_after == 7.0


def test_a_settings_error_shows_every_problem_on_a_line():
    error = SettingsError(["a: wrong", "b: missing"])

    assert str(error) == "a: wrong\nb: missing"
    assert error.problems == ("a: wrong", "b: missing")


def test_all_errors_on_purpose_are_of_one_family():
    assert all(issubclass(kind, ExporterError) for kind in (SettingsError, StartError, ApiError))


def test_advice_names_flags_or_the_keys_of_the_accounts_file():
    assert fix(Reason.UNAUTHORIZED, in_file=False).endswith("also requires --cometapi.user-id (COMETAPI_USER_ID)")
    assert fix(Reason.UNAUTHORIZED, in_file=True).endswith("also requires user_id")
    assert fix(Reason.TIMEOUT, in_file=True) == "check the network, or lengthen collect.timeout"
    assert "raise keys.max," in fix(Reason.TOO_MANY_KEYS, in_file=True)


@pytest.mark.parametrize("reason", Reason)
def test_there_is_a_fix_for_every_reason_that_names_no_flag_where_the_accounts_file_is_used(reason):
    assert FIXES[reason]
    assert "--" not in fix(reason, in_file=True)
    assert "COMETAPI_" not in fix(reason, in_file=True)

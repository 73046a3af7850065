"""Everything that can go wrong has one name."""

import pytest
from promises import REASONS

from exporter.errors import ApiError, Reason, SettingsError, fix


def test_the_reasons_are_the_closed_set_that_users_were_promised():
    assert tuple(reason.value for reason in Reason) == REASONS


def test_each_reason_but_that_of_a_listing_has_one_kind_of_error_and_three_are_worth_another_try():
    kinds = [ApiError, *ApiError.__subclasses__()]

    assert sorted(kind.reason for kind in kinds) == sorted(set(REASONS) - {"inconsistent"})
    assert {kind.reason for kind in kinds if kind.transient} == {
        "server_error",
        "timeout",
        "unreachable",
    }


def test_a_settings_error_shows_every_problem_on_a_line():
    error = SettingsError(["a: wrong", "b: missing"])

    assert str(error) == "a: wrong\nb: missing"
    assert error.problems == ("a: wrong", "b: missing")


def test_advice_names_flags_or_the_keys_of_the_accounts_file():
    assert fix(Reason.UNAUTHORIZED, in_file=False).startswith(
        "check the user ID (--cometapi.user-id; "
    )
    assert fix(Reason.UNAUTHORIZED, in_file=True).startswith("check the user ID (user_id; ")
    assert fix(Reason.TIMEOUT, in_file=True) == "check the network, or increase collect.timeout"
    assert fix(Reason.TOO_MANY_KEYS, in_file=True) == (
        "raise the exporter's memory limit, then keys.max"
    )


def test_the_advice_for_a_rejected_token_ends_with_what_cannot_be_undone_and_its_condition():
    assert Reason.UNAUTHORIZED.advice.endswith(
        "; only if both are right, generate a new token in the console: "
        "this revokes the old one, for everyone who uses it"
    )


def test_the_advice_for_a_blocked_request_leaves_the_token_alone():
    assert Reason.BLOCKED.advice == (
        "check --cometapi.base-url; if it is right, a firewall, CDN or proxy probably responds in "
        "the gateway's place: have it let the exporter's address or user agent through, or set "
        "--cometapi.headers-file; leave the access token as it is"
    )


@pytest.mark.parametrize("reason", Reason)
def test_the_fix_of_no_reason_names_a_flag_where_the_accounts_file_is_used(reason):
    assert fix(reason, in_file=True)
    assert "--" not in fix(reason, in_file=True)
    assert "COMETAPI_" not in fix(reason, in_file=True)

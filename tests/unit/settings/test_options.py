"""The table of options: what users were promised, flag by flag."""

import re

import pytest
from promises import FLAGS, VARIABLES

from exporter.settings import options
from exporter.settings.options import (
    BY_KEY,
    FILE_ACCOUNT_OPTIONS,
    OPTIONS,
    POLICY_OPTIONS,
    THRESHOLD_OPTIONS,
    TOKEN_VARIABLE,
    Option,
)

EVERY_OPTION = [*OPTIONS, *THRESHOLD_OPTIONS, *POLICY_OPTIONS, *FILE_ACCOUNT_OPTIONS]


def test_the_options_are_the_promised_ones_with_their_variables_and_defaults():
    assert {option.flag: (option.variable, option.default) for option in OPTIONS} == FLAGS


def test_no_flag_takes_the_token_itself():
    assert set(VARIABLES) - {option.variable for option in OPTIONS} == {TOKEN_VARIABLE}


def test_no_two_options_share_a_key_a_flag_or_a_variable():
    for name in ("key", "flag", "variable"):
        assert len({getattr(option, name) for option in OPTIONS}) == len(OPTIONS) == len(BY_KEY)


@pytest.mark.parametrize("option", EVERY_OPTION, ids=lambda option: option.name)
def test_an_option_explains_itself_and_its_default_can_be_parsed(option):
    assert re.fullmatch(r"[A-Z].*[^.]\.", option.help)
    assert option.default is None or option.parse(option.default) is not None


def test_every_option_that_is_defined_is_listed():
    """An option that is not in the table would have no flag, and nobody would notice."""
    defined = [value for value in vars(options).values() if isinstance(value, Option)]

    assert defined == EVERY_OPTION

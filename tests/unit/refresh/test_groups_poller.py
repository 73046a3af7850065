"""The groups of an account: how a loss that concerns keys is believed, and when they are read."""

from domain import a_balance, a_listing, an_api_key
from stage import VirtualRuntime, asked, stage

from exporter.endpoint import ApiPath
from exporter.model import UnusableReason

USED = a_listing(an_api_key(id=1, group="vip"), an_api_key(id=2, group="trial, gold"))
OPEN = {"vip": 2.0, "gold": 3.0, "unused": 1.0}


def played_with(groups):
    played = stage(USED, values={ApiPath.BALANCE: a_balance(), ApiPath.GROUPS: groups})
    played.refreshes(1)
    played.poll(ApiPath.GROUPS)
    return played


def then(played, groups):
    """Let the gateway return *groups*; return what is open then, and the pause."""
    played.client.values[ApiPath.GROUPS] = groups
    pause = played.poll(ApiPath.GROUPS)
    return dict(played.state.open_groups), pause


def test_a_group_that_keys_use_is_kept_where_one_response_lacks_it():
    played = played_with(OPEN)

    assert then(played, {}) == ({"vip": 2.0, "gold": 3.0}, 60)
    assert then(played, OPEN) == (OPEN, 180)


def test_a_loss_that_the_next_response_confirms_is_believed():
    played = played_with(OPEN)
    then(played, {"gold": 4.0})

    assert then(played, {"gold": 4.0}) == ({"gold": 4.0}, 180)
    reasons = [played.state.unusable_reason(key, 0) for key in played.state.keys]
    assert UnusableReason.GROUP_UNAVAILABLE in reasons


def test_a_group_that_no_key_uses_leaves_at_once():
    played = played_with(OPEN)

    assert then(played, {"vip": 2.0, "gold": 3.0}) == ({"vip": 2.0, "gold": 3.0}, 180)


def test_two_groups_that_are_lost_in_turn_are_each_confirmed():
    played = played_with(OPEN)
    then(played, {"gold": 3.0})

    assert then(played, {"vip": 2.0})[0] == {"vip": 2.0, "gold": 3.0}
    assert then(played, {"vip": 2.0})[0] == {"vip": 2.0}


def test_a_reload_keeps_the_doubt():
    played, after = played_with(OPEN), stage(USED, values={ApiPath.GROUPS: {}})
    then(played, {})
    after.refresher.take_over(played.refresher)

    assert then(after, {})[0] == {}


def test_what_is_read_first_is_believed():
    assert dict(played_with({}).state.open_groups) == {}


def test_a_closed_group_is_known_within_four_minutes():
    runtime = VirtualRuntime()
    played = stage(USED, values={ApiPath.GROUPS: OPEN}, runtime=runtime)
    closed = {"unused": 1.0}

    def close(at):
        if at > 1_010:
            played.client.values[ApiPath.GROUPS] = closed

    runtime.on_wake = close
    played.run_for(255)

    assert dict(played.state.open_groups) == closed
    assert asked(played, ApiPath.GROUPS) == 3

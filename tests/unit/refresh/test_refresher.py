"""One account from its settings: what a reload hands over, and which endpoints are read."""

import pytest
from domain import FakeClient, a_balance, a_listing, an_api_key, failure, keys
from stage import Stage, stage

from exporter.credentials import TokenFile
from exporter.endpoint import ApiPath, NotOffered
from exporter.errors import Reason
from exporter.model import GatewayStatus, Usage, UsageRow
from exporter.patterns import Pattern

GOOD = a_listing(*keys(2, 1))


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"usage": "off"}, set()),
        ({"usage": "model"}, {False}),
        ({"usage": "key-model"}, {True}),
        ({"usage": "key-model", "keys_counts_only": True}, {False}),
    ],
)
def test_usage_is_asked_for_as_the_settings_say(settings, asked):
    client = FakeClient(
        listings=[GOOD],
        values={ApiPath.STATUS: GatewayStatus(has_usage=True)},
        usage={True: {}, False: {}},
    )
    played = Stage(client=client, account=settings)
    played.run(played.refresher.read_once())

    assert {by_key for _, _, by_key in played.client.usage_asked} == asked


def a_changed(played, **change):
    """Build the same account with changed settings, which takes over what *played* remembers."""
    changed = Stage(client=played.client, account=played.account | change, runtime=played.runtime)
    changed.refresher.take_over(played.refresher)
    return changed


@pytest.mark.parametrize(
    ("change", "shown"),
    [({"interval": 30.0}, 2), ({"base_url": "https://other"}, 0), ({"user_id": 7}, 0)],
)
def test_a_changed_account_shows_its_last_keys_unless_it_is_another_one(change, shown):
    played = stage(GOOD)
    played.refreshes(1)
    changed = a_changed(played, **change)

    assert len(changed.state.keys) == shown
    assert changed.state.interval_seconds == change.get("interval", 60.0)


def test_a_changed_account_remembers_its_balance_its_failures_and_what_is_not_offered():
    played = stage(GOOD, failure(Reason.TIMEOUT))
    played.refreshes(1)
    played.poll_all()
    played.refreshes(3)
    changed = a_changed(played, interval=50.0)
    pauses, logs = changed.refreshes(1)

    assert changed.state.balance == a_balance()
    assert changed.state.endpoints.groups == NotOffered()
    assert pauses == [400]
    assert [entry["log_level"] for entry in logs] == ["debug"]


def test_a_changed_account_remembers_the_dialect_of_its_gateway():
    played = stage(GOOD)
    played.client.dialect.first_page = 0
    other = stage(GOOD)
    other.refresher.take_over(played.refresher)

    assert other.client.dialect.first_page == 0


def test_keys_that_a_reload_excludes_go_at_once_and_are_not_taken_for_lost():
    listing = a_listing(
        *(an_api_key(id=id_, group="test" if id_ > 20 else "") for id_ in range(1, 41))
    )
    played = stage(listing)
    played.refreshes(3)
    rows = tuple(UsageRow(model="m", key_id=id_) for id_ in (20, 21))
    moment = played.runtime.moment()
    played.refresher.access.store.state = played.state.answered(
        ApiPath.USAGE, Usage(rows=rows), moment
    )
    played.client.tokens.clear()
    changed = a_changed(played, keys_exclude=Pattern("test/.*"))
    shown = changed.state
    changed.refreshes(1)

    assert sorted(key.id for key in shown.keys) == list(range(1, 21))
    assert (shown.excluded, [row.key_id for row in shown.usage.rows]) == (20, [20])
    assert (changed.outcomes, len(changed.client.tokens)) == (["success"], 1)


def test_another_token_is_asked_for_its_account_before_its_keys_are_listed(tmp_path):
    token = tmp_path / "token"
    token.write_text("first")
    listings = [a_listing(*keys(1, 2)), a_listing(*keys(9), is_complete=False)]
    played = stage(*listings, token=TokenFile(token))
    played.client.values[ApiPath.BALANCE] = a_balance(account_id=7)
    played.refreshes(1)
    played.poll(ApiPath.BALANCE)
    token.write_text("second")
    played.client.values[ApiPath.BALANCE] = a_balance(account_id=8)
    played.refreshes(1)

    assert [key.id for key in played.state.keys] == [9]


@pytest.mark.parametrize(
    "settings", [{"interval": 50.0}, {"base_url": "https://elsewhere.example.org"}]
)
def test_a_reload_goes_on_counting_the_changes_of_keys(settings):
    played = stage(a_listing(*keys(1)), a_listing(*keys(2, 1)))
    played.refreshes(2)
    changed = a_changed(played, **settings)

    assert changed.state.changes.counts["created"] == 1


@pytest.mark.parametrize(
    ("change", "times"), [({"keys_exclude": Pattern(".*")}, 2), ({"interval": 30.0}, 1)]
)
def test_other_filters_that_leave_no_key_are_logged_again(change, times):
    played = stage(GOOD, GOOD, keys_exclude=Pattern("/key.*"))
    _, before = played.refreshes(1)
    _, after = a_changed(played, **change).refreshes(1)

    told = [line for line in before + after if line["event"] == "every key is excluded"]
    assert len(told) == times

"""What is rendered of one account, until when it holds, and that no row of the catalogue is ever stale."""

import pytest
from domain import NOW, a_balance, a_read_state, a_state, an_api_key
from msgspec.structs import replace as replace_key
from scraped import Scraped

from exporter.exposition import rendering, scrape
from exporter.exposition.catalogue import HEAD_FAMILIES, KEY_LABELS, Family
from exporter.exposition.rendering import render
from exporter.model import Usage, UsageRow
from exporter.patterns import Pattern
from exporter.snapshot import Snapshot
from exporter.thresholds import Threshold


def rendered(state, now=NOW):
    """Render an account at once."""
    *_, found = render(state, now)
    return found


def text(found):
    return b"".join(part for family in HEAD_FAMILIES for part in found.text(family)).decode()


def test_with_counts_only_the_text_of_no_key_is_rendered_or_kept():
    found = rendered(a_read_state(an_api_key(expires_at=NOW + 9), counts_only=True))

    assert "key_id" not in text(found)
    assert 'cometapi_keys_usable{account="main",group=""} 1.0\n' in text(found)
    assert found.expiries == {}


def test_accounts_take_turns_after_two_thousand_keys_each():
    keys = [an_api_key(id=number) for number in range(4_001)]

    assert len(list(render(a_read_state(*keys), NOW))) == 3 + 1


# Until when a rendering holds.


@pytest.mark.parametrize(
    ("expiries", "until"),
    [
        pytest.param([None], NOW + 120, id="no expiry: two minutes"),
        pytest.param([NOW + 50, NOW + 9, None], NOW + 10, id="through the second of an expiry"),
        pytest.param([NOW - 9, NOW + 50], NOW + 51, id="past expiries change nothing"),
        pytest.param([NOW + 5000], NOW + 120, id="far expiry: two minutes"),
    ],
)
def test_a_rendering_holds_until_the_next_expiry_and_two_minutes_at_most(expiries, until):
    keys = [an_api_key(id=number, expires_at=each) for number, each in enumerate(expiries)]

    assert rendered(a_read_state(*keys)).until == until


def test_a_large_account_rests_some_seconds_between_two_expiries(monkeypatch):
    """At 100,000 keys five seconds, so that one expiry a second does not keep a core busy."""
    monkeypatch.setattr(rendering, "KEYS_PER_SECOND_OF_REST", 2)
    keys = [an_api_key(id=number, expires_at=NOW + 1) for number in range(7)]

    assert rendered(a_read_state(*keys)).until == NOW + 3


def test_a_rendering_does_not_hold_before_its_own_time():
    found = rendered(a_read_state(an_api_key()))

    assert [found.is_current(NOW + seconds) for seconds in (-1, 0, 119, 120)] == [
        False,
        True,
        True,
        False,
    ]


# No row is ever stale.

ROW = "cometapi_key_of_a_new_row"
KEY = an_api_key(id=1, remaining_quota=10, used_quota=90, expires_at=NOW + 1000)


def usage(quota):
    return Usage(rows=(UsageRow(model="m", quota=quota),))


@pytest.fixture
def new_row(monkeypatch):
    """Add a row to the catalogue, as docs/development.md says; return how to say what it reads."""

    def add(of_key):
        row = Family(name=ROW, help="A new row.", labels=KEY_LABELS, of_key=of_key)
        monkeypatch.setattr(rendering, "KEY_FAMILIES", (*rendering.KEY_FAMILIES, row))
        monkeypatch.setattr(scrape, "HEAD_FAMILIES", (row, *scrape.HEAD_FAMILIES))

    return add


def only_value(scraped, name):
    (value,) = [sample.value for sample in scraped.samples(name)]
    return value


@pytest.mark.parametrize(
    ("of_key", "before", "after", "values"),
    [
        pytest.param(
            lambda state, _key, _now: state.balance.used_quota,
            {"balance": a_balance(used_quota=1)},
            {"balance": a_balance(used_quota=2)},
            (1, 2),
            id="balance",
        ),
        pytest.param(
            lambda state, key, now: state.unusable_reason(key, now) is not None,
            {"balance": a_balance(remaining_quota=1)},
            {"balance": a_balance(remaining_quota=0)},
            (0, 1),
            id="a judgement that needs the balance",
        ),
        pytest.param(
            lambda state, _key, _now: state.subscriptions is None and len(state.open_groups),
            {"groups": {"": 1.0}},
            {"groups": {"": 1.0, "vip": 2.0}},
            (1, 2),
            id="groups",
        ),
        pytest.param(
            lambda state, _key, _now: state.quota_units_per_usd,
            {"configured_units_per_usd": 10.0},
            {"configured_units_per_usd": 20.0},
            (10, 20),
            id="dollars",
        ),
    ],
)
def test_a_new_row_shows_what_it_reads_of_the_account_after_each_refresh(
    new_row, of_key, before, after, values
):
    """The keys themselves are the same before and after."""
    new_row(of_key)
    scraped = Scraped(Snapshot.of([a_read_state(KEY, **before)]))
    found = [only_value(scraped, ROW)]
    scraped.show(a_read_state(KEY, **after))

    assert (*found, only_value(scraped, ROW)) == values


def test_a_new_row_that_reads_the_time_is_two_minutes_old_at_most(new_row):
    new_row(lambda _state, _key, now: now)
    scraped = Scraped(Snapshot.of([a_read_state(KEY)]))
    found = []
    for seconds in (0, 119, 1):
        scraped.world.pass_by(seconds)
        scraped.catch_up()
        found.append(only_value(scraped, ROW) - NOW)

    assert found == [0, 0, 120]


def test_the_countdown_of_a_renewed_key_is_the_new_one():
    scraped = Scraped(Snapshot.of([a_read_state(an_api_key(expires_at=NOW + 100))]))
    scraped.show(a_read_state(an_api_key(expires_at=NOW + 1000)))

    assert only_value(scraped, "cometapi_key_expires_in_seconds") == 1000
    assert only_value(scraped, "cometapi_key_expiry_timestamp_seconds") == NOW + 1000


def test_a_key_that_no_longer_expires_has_no_countdown():
    key = an_api_key(expires_at=NOW + 100)
    scraped = Scraped(Snapshot.of([a_read_state(key)]))
    scraped.show(a_read_state(replace_key(key, expires_at=None)))

    assert scraped.samples("cometapi_key_expires_in_seconds") == []


def test_a_threshold_in_dollars_follows_the_quota_units_of_a_dollar():
    thresholds = (Threshold(keys=Pattern(".*"), low_quota_usd=2.0),)
    found = []
    scraped = Scraped(Snapshot.of([a_state()]))
    for units in (1000.0, 5000.0):
        scraped.show(a_read_state(KEY, thresholds=thresholds, configured_units_per_usd=units))
        found.append(only_value(scraped, "cometapi_key_low_quota_threshold"))

    assert found == [2000, 10_000]


def test_an_account_that_cannot_pay_any_more_makes_its_keys_unusable():
    scraped = Scraped(Snapshot.of([a_read_state(KEY, balance=a_balance())]))
    before = only_value(scraped, "cometapi_key_usable")
    scraped.show(a_read_state(KEY, balance=a_balance(remaining_quota=0)))

    assert (before, only_value(scraped, "cometapi_key_usable")) == (1, 0)


def test_usage_that_grew_is_shown():
    found = []
    scraped = Scraped(Snapshot.of([a_state()]))
    for quota in (1, 2):
        scraped.show(a_read_state(KEY, usage=usage(quota)))
        found.append(only_value(scraped, "cometapi_usage_quota_total"))

    assert found == [1, 2]

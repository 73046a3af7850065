"""Which series a snapshot has in the exposition, with which values, and which are absent."""

from dataclasses import replace

import pytest
from domain import (
    A_LIST,
    DAY,
    NOW,
    a_balance,
    a_listing,
    a_read_state,
    a_reading,
    a_snapshot,
    a_state,
    a_subscription,
    an_account,
    an_api_key,
    failure,
    withdrawn,
)
from prometheus_client.parser import text_string_to_metric_families
from scraped import Scraped

from exporter.changes import NO_CHANGES, Change, KeyChange
from exporter.endpoint import ApiPath, Unknown
from exporter.errors import Reason
from exporter.exposition.catalogue import SNAPSHOT_FAMILIES
from exporter.model import GatewayStatus, MonthRow, Usage, UsageRow
from exporter.patterns import Pattern
from exporter.policies import Policies, Policy
from exporter.refresh.refresher import configured
from exporter.snapshot import Snapshot
from exporter.thresholds import Threshold

ALWAYS = {
    "cometapi_key_changes_total",
    "cometapi_quota_units_per_usd",
    "cometapi_exporter_refresh_interval_seconds",
    "cometapi_exporter_skipped_keys",
    "cometapi_exporter_excluded_keys",
}
SUBSCRIPTIONS = a_subscription(70, ends_at=NOW + 80, resets_at=NOW + 90)


def a_full_state(name="main"):
    """Build an account of which everything is known."""
    thresholds = (
        Threshold(
            low_quota_usd=2.5, expiry_warning=3600.0, daily_budget_usd=1.0, monthly_budget_usd=9.0
        ),
    )
    key = an_api_key(expires_at=NOW + 9)
    usage = Usage(
        rows=(
            UsageRow(model="m", key_id=1, key_name="n", group="g", quota=5, tokens=6, requests=7),
        ),
        month=(MonthRow(model="m", key_id=1, key_name="n", group="g", quota=9),),
    )
    return a_read_state(
        key,
        balance=a_balance(),
        status=GatewayStatus(version="v0.9.2"),
        groups={"": 1.0, "vip": 0.5, "auto": None},
        subscriptions=SUBSCRIPTIONS,
        usage=usage,
        excluded=3,
        clock_skew=-1.5,
        name=name,
        thresholds=thresholds,
        monthly_budget_usd=50.0,
        policies=Policies([Policy(ip_allowlist=True)]),
    )


def samples(snapshot, name, now=NOW):
    """List the samples called *name*."""
    return Scraped(snapshot, now=now).samples(name)


def value(snapshot, name, now=NOW, **labels):
    """Return the value of the one sample with these labels, or None."""
    chosen = [s.value for s in samples(snapshot, name, now) if labels.items() <= s.labels.items()]
    assert len(chosen) <= 1
    return chosen[0] if chosen else None


@pytest.mark.parametrize(
    ("fact", "restriction"),
    [
        ("model_limits", {"model_limits": A_LIST}),
        ("ip_allowlist", {"ip_allowlist": A_LIST}),
        ("cross_group_retry", {"has_cross_group_retry": True}),
    ],
)
def test_the_info_series_says_what_restricts_a_key(fact, restriction):
    snapshot = a_snapshot(an_api_key(id=1, **restriction), an_api_key(id=2))

    words = [sample.labels[fact] for sample in samples(snapshot, "cometapi_key_info")]

    assert words == ["false", "true"]


def test_a_group_whose_last_key_is_gone_falls_to_zero():
    state = a_read_state(an_api_key(group="vip")).succeeded(a_reading(a_listing(), at=NOW))
    snapshot = Snapshot.of([state])

    assert value(snapshot, "cometapi_keys", group="vip", status="enabled") == 0
    assert value(snapshot, "cometapi_keys_usable", group="vip") == 0


def test_what_an_account_can_still_spend_and_the_facts_of_its_gateway_are_exposed():
    snapshot = Snapshot.of([a_full_state()])
    names = (
        "account_spendable_quota",
        "account_largest_purse_quota",
        "account_subscription_remaining_quota",
        "account_subscription_end_timestamp_seconds",
        "account_subscription_reset_timestamp_seconds",
        "gateway_clock_skew_seconds",
        "exporter_excluded_keys",
    )

    assert [value(snapshot, f"cometapi_{name}") for name in names] == [
        24_997_979,
        24_997_909,
        70,
        NOW + 80,
        NOW + 90,
        -1.5,
        3,
    ]
    assert value(snapshot, "cometapi_gateway_info", version="v0.9.2") == 1


def test_the_first_threshold_that_matches_a_key_applies_and_leaves_out_what_it_does_not_say():
    thresholds = (
        Threshold(
            keys=Pattern("vip/.*"),
            low_quota_usd=2.5,
            daily_budget_usd=0.0,
            monthly_budget_usd=30.0,
        ),
        Threshold(keys=Pattern(".*/key 2"), low_quota_usd=9.0, expiry_warning=3600.0),
    )
    keys = (an_api_key(id=1), an_api_key(id=2), an_api_key(id=3, name="key 2", group="vip"))
    snapshot = a_snapshot(*keys, thresholds=thresholds, configured_units_per_usd=1_000.0)

    def found(name):
        return {int(s.labels["key_id"]): s.value for s in samples(snapshot, f"cometapi_key_{name}")}

    assert found("low_quota_threshold") == {2: 9_000, 3: 2_500}
    assert found("expiry_warning_threshold_seconds") == {2: 3600}
    assert found("daily_budget_quota") == {3: 0}
    assert found("monthly_budget_quota") == {3: 30_000}


@pytest.mark.parametrize(("usd", "units"), [(12.5, 12_500), (0.0, 0), (None, None)])
def test_the_budget_of_an_account_is_exposed_in_quota_units_where_one_is_set(usd, units):
    state = a_state(monthly_budget_usd=usd, configured_units_per_usd=1_000.0)

    assert value(Snapshot.of([state]), "cometapi_account_monthly_budget_quota") == units


@pytest.mark.parametrize(("month", "values"), [(None, []), ((), [0])])
def test_a_month_in_which_nothing_was_used_is_zero_and_an_unknown_one_is_absent(month, values):
    snapshot = Snapshot.of([a_read_state(usage=Usage(month=month))])

    assert [s.value for s in samples(snapshot, "cometapi_usage_month_quota")] == values


def test_what_the_month_cost_is_exposed_with_the_labels_of_the_counters():
    month = (
        MonthRow(model="m", quota=3),
        MonthRow(model="m", key_id=7, key_name="n", group="", quota=4),
    )
    snapshot = Snapshot.of([a_read_state(usage=Usage(month=month))])

    assert [(s.labels, s.value) for s in samples(snapshot, "cometapi_usage_month_quota")] == [
        ({"account": "main", "model": "m"}, 3),
        ({"account": "main", "model": "m", "key_id": "7", "key_name": "n", "group": ""}, 4),
    ]


def test_what_models_used_is_exposed_by_model_and_by_key_where_it_is_told_by_key():
    rows = (
        UsageRow(model='gpt "4"', quota=1, tokens=2, requests=3),
        UsageRow(model="m", key_id=7, key_name="n", group="", quota=4, tokens=5, requests=6),
    )
    snapshot = Snapshot.of([a_read_state(usage=Usage(rows=rows, folded=8))])
    found = {
        name: [
            (sample.labels, sample.value)
            for sample in samples(snapshot, f"cometapi_usage_{name}_total")
        ]
        for name in ("quota", "tokens", "requests")
    }

    by_model = {"account": "main", "model": 'gpt "4"'}
    by_key = {"account": "main", "model": "m", "key_id": "7", "key_name": "n", "group": ""}
    assert found == {
        "quota": [(by_model, 1), (by_key, 4)],
        "tokens": [(by_model, 2), (by_key, 5)],
        "requests": [(by_model, 3), (by_key, 6)],
    }
    assert value(snapshot, "cometapi_exporter_usage_folded_series") == 8


def test_a_group_without_a_number_for_its_price_has_no_price_factor():
    found = samples(Snapshot.of([a_full_state()]), "cometapi_group_price_factor")

    assert [(sample.labels["group"], sample.value) for sample in found] == [("", 1), ("vip", 0.5)]


def test_before_the_first_refresh_only_the_configuration_is_known():
    snapshot = Snapshot.of([a_state()])

    assert {
        line.split("{")[0]
        for line in Scraped(snapshot).text().splitlines()
        if 'account="main"' in line
    } == ALWAYS


@pytest.mark.parametrize(
    ("state", "up"),
    [
        pytest.param(a_state(), None, id="no refresh ended"),
        pytest.param(a_read_state(), 1, id="success"),
        pytest.param(a_state().failed(failure(Reason.TIMEOUT), NOW), 0, id="first refresh failed"),
        pytest.param(
            a_read_state().failed(failure(Reason.TIMEOUT), NOW), 0, id="failed after a success"
        ),
    ],
)
def test_up_is_how_the_last_refresh_ended(state, up):
    assert value(Snapshot.of([state]), "cometapi_up") == up


def test_past_stale_after_keys_counts_and_balance_go_and_our_own_series_stay():
    fresh, stale = a_full_state("fresh"), a_full_state("stale")

    def served(state):
        text = Scraped(Snapshot.of([fresh, state])).text()
        return {line.split("{")[0] for line in text.splitlines() if 'account="stale"' in line}

    own = ALWAYS | {
        "cometapi_up",
        "cometapi_exporter_last_success_timestamp_seconds",
        "cometapi_gateway_clock_skew_seconds",
        "cometapi_exporter_api_up",
        "cometapi_account_monthly_budget_quota",
    }
    assert len(served(stale)) == len(SNAPSHOT_FAMILIES)
    assert served(withdrawn(stale)) == own


def test_every_family_is_served_with_the_labels_of_its_row():
    parsed = text_string_to_metric_families(Scraped(Snapshot.of([a_full_state()])).text())
    found = {sample.name: sorted(sample.labels) for family in parsed for sample in family.samples}

    assert {
        family.name: sorted(family.labels) for family in SNAPSHOT_FAMILIES
    }.items() <= found.items()


def test_each_path_says_whether_its_last_request_was_answered():
    state = a_read_state(an_api_key(), balance=a_balance(), groups={}, status=GatewayStatus())
    state = state.endpoint_failed(ApiPath.GROUPS, failure(Reason.BLOCKED), NOW)
    never = replace(state.endpoints, status=Unknown(), subscriptions=Unknown())
    state = replace(state, endpoints=never)
    state = state.endpoint_failed(ApiPath.SUBSCRIPTIONS, failure(Reason.BLOCKED), NOW)
    shown = samples(Snapshot.of([state]), "cometapi_exporter_api_up")

    assert {sample.labels["path"]: sample.value for sample in shown} == {
        "/api/token/": 1,
        "/api/user/self": 1,
        "/api/user/self/groups": 0,
        "/api/subscription/self": 0,
    }


def test_every_change_of_keys_is_counted_from_zero_before_the_first_refresh():
    change = KeyChange(time=NOW, key_id=1, key_name="bot", change=Change.RENAMED)
    unread = Snapshot.of([a_state()])
    later = Snapshot.of([a_state(changes=NO_CHANGES.plus([change, change]))])

    values = [sample.value for sample in samples(unread, "cometapi_key_changes_total")]
    assert values == [0] * 20
    assert value(later, "cometapi_key_changes_total", change="renamed") == 2
    assert value(later, "cometapi_key_changes_total", change="deleted") == 0


def test_a_broken_policy_has_a_series_and_every_policy_that_is_set_a_count():
    policies = Policies([Policy(max_lifetime=DAY, limited_quota=True, groups=frozenset({""}))])
    keys = [an_api_key(id=1, expires_at=None, remaining_quota=None), an_api_key(id=2)]
    state = a_read_state(*keys, policies=policies)
    snapshot = Snapshot.of([state])

    broken = {
        (sample.labels["key_id"], sample.labels["policy"]): sample.value
        for sample in samples(snapshot, "cometapi_key_policy_violation")
    }
    assert broken == {
        ("1", "max_lifetime"): 1,
        ("1", "limited_quota"): 1,
        ("2", "max_lifetime"): 1,
    }
    counts = {
        sample.labels["policy"]: sample.value
        for sample in samples(snapshot, "cometapi_keys_violating_policy")
    }
    assert counts == {"max_lifetime": 2, "limited_quota": 1, "groups": 0}


def test_without_policies_nothing_is_counted():
    snapshot = a_snapshot(an_api_key())

    assert not list(samples(snapshot, "cometapi_keys_violating_policy"))
    assert not list(samples(snapshot, "cometapi_key_policy_violation"))


def test_a_reload_judges_the_keys_that_are_known():
    account = an_account(policies=Policies([Policy(limited_quota=True)]))
    state = configured(a_read_state(an_api_key(remaining_quota=None)), account)

    found = list(samples(Snapshot.of([state]), "cometapi_key_policy_violation"))

    assert [sample.labels["policy"] for sample in found] == ["limited_quota"]

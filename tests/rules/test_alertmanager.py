"""One cause, one notification: the bundled configuration in a real Alertmanager, and which alert inhibits which."""

import itertools
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from alerting import Alertmanager, shipped
from binaries import require
from processes import output_of

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks.md"
BUNDLED = shipped("alertmanager/alertmanager.yml")

STALE = (
    "CometAPIKeyExpiringSoon",
    "CometAPIKeyQuotaLow",
    "CometAPIKeyQuotaRunningOut",
    "CometAPIKeyOverDailyBudget",
    "CometAPIKeyMonthlyBudgetForecast",
    "CometAPIKeyMonthlyBudgetNearlySpent",
    "CometAPIKeyOverMonthlyBudget",
    "CometAPIAccountMonthlyBudgetForecast",
    "CometAPIAccountMonthlyBudgetNearlySpent",
    "CometAPIAccountOverMonthlyBudget",
    "CometAPIKeySpendingSpike",
    "CometAPIKeyUnused",
    "CometAPIKeyPolicyViolation",
    "CometAPIKeyPossiblyDry",
    "CometAPIKeyRestricted",
    "CometAPIKeyRestrictionRemoved",
    "CometAPIAccountPossiblyDry",
    "CometAPIAccountBalanceUnknown",
    "CometAPIPathFailing",
    "CometAPIReplicaFailing",
    "CometAPIAccountBalanceLow",
    "CometAPIGroupPriceRaised",
    "CometAPIModelShareDoubled",
    "CometAPIRateLimited",
    "CometAPIRefreshFailing",
    "CometAPIListingUnsettled",
    "CometAPIKeysSkipped",
    "CometAPIGatewayClockSkew",
)
"""Warnings and infos that say nothing while the data is stale."""
ENDING = (
    "CometAPIKeyExpiringSoon",
    "CometAPIKeyExpiryImminent",
    "CometAPIKeyQuotaLow",
    "CometAPIKeyQuotaRunningOut",
    "CometAPIKeyBurningFast",
    "CometAPIKeyProbablyDry",
    "CometAPIKeyPossiblyDry",
)
"""What a key that cannot be used any more makes pointless."""

SILENCES = {
    "CometAPIKeyExpiredButEnabled": (*ENDING, "CometAPIKeyQuotaExhausted", "CometAPIKeyUnusable"),
    "CometAPIKeyExpiryImminent": ("CometAPIKeyExpiringSoon",),
    "CometAPIKeyQuotaExhausted": (*ENDING, "CometAPIKeyUnusable"),
    "CometAPIKeyProbablyDry": (
        "CometAPIKeyQuotaLow",
        "CometAPIKeyQuotaRunningOut",
        "CometAPIKeyBurningFast",
        "CometAPIKeyPossiblyDry",
    ),
    "CometAPIKeyBurningFast": ("CometAPIKeyQuotaLow", "CometAPIKeyQuotaRunningOut"),
    "CometAPIKeyDisabledInUse": (
        *ENDING,
        "CometAPIKeyQuotaExhausted",
        "CometAPIKeyOverDailyBudget",
        "CometAPIKeyRestricted",
        "CometAPIKeyUnusable",
        "CometAPIKeySpendingSpike",
    ),
    "CometAPIKeyUnusable": ENDING,
    "CometAPIKeyQuotaRunningOut": ("CometAPIKeyQuotaLow",),
    "CometAPIAccountBalanceExhausted": (
        "CometAPIAccountBalanceLow",
        "CometAPIAccountBalanceRunningOut",
        "CometAPIAccountProbablyDry",
        "CometAPIAccountPossiblyDry",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyPossiblyDry",
        "CometAPIKeyUnusable",
    ),
    "CometAPIAccountProbablyDry": (
        "CometAPIAccountBalanceLow",
        "CometAPIAccountBalanceRunningOut",
        "CometAPIAccountPossiblyDry",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyPossiblyDry",
    ),
    "CometAPIAccountBalanceRunningOut": ("CometAPIAccountBalanceLow",),
    "CometAPIGroupUnavailable": ("CometAPIKeyUnusable",),
    **dict.fromkeys(
        (
            "CometAPITokenRejected",
            "CometAPIRequestsBlocked",
            "CometAPITooManyKeys",
        ),
        (*STALE, "CometAPIDataStale", "CometAPIAccountNeverRead"),
    ),
    "CometAPIAccountBanned": (
        *STALE,
        "CometAPIDataStale",
        "CometAPIAccountNeverRead",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyUnusable",
    ),
    "CometAPIRateLimited": ("CometAPIRefreshFailing",),
    "CometAPIAccountNeverRead": ("CometAPIRefreshFailing",),
    "CometAPIDataStale": STALE,
}

RULES = [
    rule for group in shipped("prometheus/rules/alerts.yml")["groups"] for rule in group["rules"]
]
SEVERITIES = {rule["alert"]: rule["labels"]["severity"] for rule in RULES if "alert" in rule}
WITHOUT_ACCOUNT = {
    "CometAPILogLinesDropped",
    "CometAPIConfigReloadFailed",
    "CometAPIShardMissing",
    "CometAPIShardsDisagree",
    "CometAPIReplicaMissing",
    "CometAPIThresholdMissing",
}
WITH_ACCOUNT = [name for name in SEVERITIES if name not in WITHOUT_ACCOUNT]
SILENCES["CometAPIExporterDown"] = tuple(
    name for name in WITH_ACCOUNT if name != "CometAPIExporterDown"
)
ABOUT_A_KEY = re.compile("CometAPIKey(?!RestrictionRemoved)[A-Z]")
SILENCES["CometAPIKeyDeletedInUse"] = tuple(
    name for name in SEVERITIES if ABOUT_A_KEY.match(name) and name != "CometAPIKeyDeletedInUse"
)


def an_alert(
    name: str, account: str, key_id: str = "7", job: str = "cometapi-exporter"
) -> dict[str, str]:
    """Return the labels that alert *name* carries: a key's only if it is about a key."""
    labels = {"alertname": name, "severity": SEVERITIES[name], "job": job, "account": account}
    labels |= {"key_id": key_id, "key_name": "batch"} if ABOUT_A_KEY.match(name) else {}
    return labels | (
        {"group": "vip"} if ABOUT_A_KEY.match(name) or name.startswith("CometAPIGroup") else {}
    )


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """Run Alertmanager with the bundled file; its first notification would be due long after the tests."""
    with Alertmanager(tmp_path_factory.mktemp("alertmanager"), BUNDLED) as running:
        yield running


def silenced(running: Alertmanager, labels: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    """Send alerts to Alertmanager and return (account, key_id, alert name) of those that it inhibits."""
    httpx.post(
        f"{running.url}/api/v2/alerts", json=[{"labels": one} for one in labels], trust_env=False
    ).raise_for_status()
    accounts = {one.get("account", "") for one in labels}
    previous: set[tuple[str, str, str]] | None = None
    for _ in range(
        40
    ):  # the inhibitor learns of new alerts in the background: read until two answers agree
        answer = [one for one in running.alerts() if one["labels"].get("account", "") in accounts]
        found = {identify(one["labels"]) for one in answer if one["status"]["inhibitedBy"]}
        if found == previous and len(answer) >= len(labels):
            return found
        previous = found
        time.sleep(0.1)
    pytest.fail("Alertmanager did not settle within 4 s")


def identify(labels: dict[str, str]) -> tuple[str, str, str]:
    return (labels.get("account", ""), labels.get("key_id", ""), labels["alertname"])


def test_each_alert_silences_what_follows_from_it_and_nothing_else(
    alertmanager: Alertmanager,
) -> None:
    """Every two alerts fire together, each pair in an account of its own."""
    pairs = [
        (f"{one}+{other}", one, other) for one, other in itertools.combinations(WITH_ACCOUNT, 2)
    ]
    sent = [an_alert(name, account) for account, *pair in pairs for name in pair]

    found = {(account, name) for account, _, name in silenced(alertmanager, sent)}

    expected = {(account, other) for account, one, other in pairs if other in SILENCES.get(one, ())}
    expected |= {(account, one) for account, one, other in pairs if one in SILENCES.get(other, ())}
    assert found == expected


def test_another_key_another_account_and_another_job_are_not_silenced(
    alertmanager: Alertmanager,
) -> None:
    sent = [
        an_alert("CometAPIKeyQuotaExhausted", "apart", key_id="1"),
        an_alert("CometAPIKeyQuotaLow", "apart", key_id="1"),
        an_alert("CometAPIKeyQuotaLow", "apart", key_id="2"),
        an_alert("CometAPIKeyQuotaLow", "another account", key_id="1"),
        an_alert("CometAPIKeyQuotaLow", "apart", key_id="1", job="another"),
        an_alert("CometAPIExporterDown", "down"),
        an_alert("CometAPIRefreshFailing", "down"),
        an_alert("CometAPIRefreshFailing", "not down"),
    ]

    assert silenced(alertmanager, sent) == {
        ("apart", "1", "CometAPIKeyQuotaLow"),
        ("down", "", "CometAPIRefreshFailing"),
    }


def test_what_happens_in_another_cluster_or_namespace_is_not_silenced(
    alertmanager: Alertmanager,
) -> None:
    """Accounts have the same name everywhere."""
    down = an_alert("CometAPIExporterDown", "everywhere")
    exhausted = an_alert("CometAPIKeyQuotaExhausted", "everywhere", key_id="1")
    low = an_alert("CometAPIKeyQuotaLow", "everywhere", key_id="1")
    sent = [
        down | {"cluster": "a"},
        exhausted | {"cluster": "b"},
        low | {"cluster": "c"},
        down | {"cluster": "d", "namespace": "one"},
        exhausted | {"cluster": "d", "namespace": "two"},
        low | {"cluster": "d", "namespace": "three"},
        low | {"cluster": "b"},
    ]

    assert silenced(alertmanager, sent) == {("everywhere", "1", "CometAPIKeyQuotaLow")}
    assert [
        one["labels"].get("cluster")
        for one in alertmanager.alerts()
        if one["labels"].get("account") == "everywhere" and one["status"]["inhibitedBy"]
    ] == ["b"]


def test_a_missing_replica_is_not_told_beside_a_missing_shard(alertmanager: Alertmanager) -> None:
    missing = an_alert("CometAPIReplicaMissing", "of three", job="three")
    shard = an_alert("CometAPIShardMissing", "of three", job="three")

    assert silenced(alertmanager, [missing, shard]) == {("of three", "", "CometAPIReplicaMissing")}


def test_a_job_that_is_gone_as_a_whole_silences_its_accounts_alone(
    alertmanager: Alertmanager,
) -> None:
    """The alert has no account then; an alert without the label must not be taken for its equal."""
    gone = an_alert("CometAPIExporterDown", "", job="gone")
    missing = {"alertname": "CometAPIThresholdMissing", "severity": "warning"}
    sent = [
        {name: value for name, value in gone.items() if value},
        missing,
        an_alert("CometAPIKeyUnusable", "of the job", job="gone"),
        an_alert("CometAPIKeyUnusable", "of another job", job="alive"),
    ]

    assert silenced(alertmanager, sent) == {("of the job", "7", "CometAPIKeyUnusable")}


def test_a_missing_shard_silences_the_alerts_about_each_of_its_accounts(
    alertmanager: Alertmanager,
) -> None:
    missing = {"alertname": "CometAPIShardMissing", "severity": "critical", "job": "sharded"}
    gone = [
        an_alert("CometAPIExporterDown", f"of {job}", job=job) for job in ("sharded", "unsharded")
    ]
    sent = [missing, *gone]

    assert silenced(alertmanager, sent) == {("of sharded", "", "CometAPIExporterDown")}


def test_an_unavailable_group_silences_its_own_keys_alone(alertmanager: Alertmanager) -> None:
    sent = [
        an_alert("CometAPIGroupUnavailable", "groups"),
        an_alert("CometAPIKeyUnusable", "groups", key_id="1"),
        an_alert("CometAPIKeyUnusable", "groups", key_id="2") | {"group": "another"},
    ]

    assert silenced(alertmanager, sent) == {("groups", "1", "CometAPIKeyUnusable")}


def test_inhibition_names_only_alerts_that_exist() -> None:
    sides = [
        rule[side]
        for rule in BUNDLED["inhibit_rules"]
        for side in ("source_matchers", "target_matchers")
    ]
    matchers = " ".join(matcher for side in sides for matcher in side)
    named = set(re.findall(r"alertname = (\w+)", matchers))
    patterns = re.findall(r'alertname =~ "([^"]+)"', matchers)

    assert named
    assert patterns

    assert named <= set(SEVERITIES)
    assert all(any(re.fullmatch(pattern, name) for name in SEVERITIES) for pattern in patterns)


def test_the_commands_of_the_runbooks_silence(alertmanager: Alertmanager) -> None:
    commands = re.findall(r"^amtool (silence add .*)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    for command in commands:
        output_of(
            require("amtool"), f"--alertmanager.url={alertmanager.url}", *shlex.split(command)
        )

    silences = alertmanager.ask("v2/silences")
    names = {
        matcher["value"]
        for one in silences
        for matcher in one["matchers"]
        if matcher["name"] == "alertname"
    }
    assert names == set(SEVERITIES)

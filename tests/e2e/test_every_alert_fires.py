"""Every alert fires in a real Prometheus and arrives at a real Alertmanager, and only for the expected keys.

The installed exporter reads simulated gateways on which things are wrong now. What must have
happened before (a key that was usable, an account that had keys, a week of spending) is history,
written to Prometheus' storage as samples of the series that the exporter and the recording rules
would have left there. The rules are the bundled ones with shorter waits.
"""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alerting import (
    RESENDING,
    Alertmanager,
    Inbox,
    hurried_alertmanager,
    hurried_prometheus,
    shipped,
    write_hurried_rules,
)
from builders import CANARY_TOKEN, a_wire_account, a_wire_key
from edges import Edge, cloudflare_challenge, on
from gateway import GROUPS_PATH, KEYS_PATH, FaultChoice, Gateway, always, answer, on_path
from processes import QUICKLY, Exporter, Prometheus, accounts_file, fill, free_port

MINUTE, HOUR, DAY = 60, 3_600, 86_400
USD = 500_000
BROKEN = {"remain_quota": "a lot"}

EXPECTED = {
    ("CometAPIKeyExpiringSoon", "main", "1"),
    ("CometAPIKeyExpiringSoon", "main", "2"),
    ("CometAPIKeyExpiryImminent", "main", "2"),
    ("CometAPIKeyExpiredButEnabled", "main", "3"),
    ("CometAPIKeyQuotaLow", "main", "4"),
    ("CometAPIKeyQuotaRunningOut", "main", "5"),
    ("CometAPIKeyQuotaExhausted", "main", "6"),
    ("CometAPIKeyQuotaExhausted", "main", "15"),
    ("CometAPIKeyDisabledInUse", "main", "7"),
    ("CometAPIKeyDeletedInUse", "main", "20"),
    ("CometAPIKeyRestricted", "main", "19"),
    ("CometAPIKeyRestrictionRemoved", "main", None),
    ("CometAPIKeyBurningFast", "main", "17"),
    ("CometAPIKeyQuotaRunningOut", "main", "17"),
    ("CometAPIKeyUnusable", "main", "8"),
    ("CometAPIKeySpendingSpike", "main", "9"),
    ("CometAPIKeyUnused", "main", "10"),
    ("CometAPIKeyUnused", "main", "16"),
    ("CometAPIKeyPolicyViolation", "main", "12"),
    ("CometAPIKeyProbablyDry", "main", "18"),
    ("CometAPIKeyPossiblyDry", "main", "13"),
    ("CometAPIKeyOverDailyBudget", "main", "14"),
    ("CometAPIKeyMonthlyBudgetForecast", "main", "21"),
    ("CometAPIKeyMonthlyBudgetNearlySpent", "main", "22"),
    ("CometAPIKeyOverMonthlyBudget", "main", "23"),
    ("CometAPIAccountMonthlyBudgetForecast", "forecast", None),
    ("CometAPIAccountMonthlyBudgetNearlySpent", "nearly-spent", None),
    ("CometAPIAccountOverMonthlyBudget", "overspent", None),
    ("CometAPIGroupUnavailable", "main", None),
    ("CometAPIGroupPriceRaised", "main", None),
    ("CometAPIModelShareDoubled", "main", None),
    ("CometAPIGatewayClockSkew", "main", None),
    ("CometAPIListingUnsettled", "main", None),
    ("CometAPIKeysSkipped", "main", None),
    ("CometAPIAccountBalanceLow", "low", None),
    ("CometAPIAccountBalanceRunningOut", "burning", None),
    ("CometAPIAccountProbablyDry", "dry", None),
    ("CometAPIAccountBalanceLow", "dry", None),
    ("CometAPIAccountPossiblyDry", "nearly-dry", None),
    ("CometAPIAccountBalanceLow", "nearly-dry", None),
    ("CometAPIAccountBalanceUnknown", "unsure", None),
    ("CometAPIPathFailing", "burning", None),
    ("CometAPIReplicaFailing", "halved", None),
    ("CometAPIRequestsBlocked", "blocked", None),
    ("CometAPIRefreshFailing", "blocked", None),
    ("CometAPIAccountBalanceExhausted", "empty", None),
    ("CometAPIAccountWithoutKeys", "emptied", None),
    ("CometAPITokenRejected", "refused", None),
    ("CometAPIRefreshFailing", "refused", None),
    ("CometAPIRateLimited", "limited", None),
    ("CometAPIRefreshFailing", "limited", None),
    ("CometAPIAccountBanned", "banned", None),
    ("CometAPIRefreshFailing", "banned", None),
    ("CometAPITooManyKeys", "many", None),
    ("CometAPIRefreshFailing", "many", None),
    *(
        ("CometAPIAccountNeverRead", account, None)
        for account in ("refused", "limited", "banned", "many", "blocked")
    ),
    ("CometAPIRefreshFailing", "failing", None),
    ("CometAPIDataStale", "failing", None),
    ("CometAPIExporterDown", None, None),
    ("CometAPIThresholdMissing", None, None),
    ("CometAPILogLinesDropped", None, None),
    ("CometAPIConfigReloadFailed", None, None),
    ("CometAPIReplicaMissing", None, None),
    ("CometAPIShardMissing", None, None),
    ("CometAPIShardsDisagree", None, None),
}
"""Alert, account and key: everything that must fire, and nothing else may."""

RUNBOOKS = "https://github.com/cometapi-exporter/cometapi-exporter/blob/main/docs/runbooks.md"
Series = dict[str, Iterable[tuple[float, float]]]


def keys(now: int) -> list[dict[str, Any]]:
    """Return the keys of account main, one for each kind of problem; key 12 is healthy."""
    fine = {
        "created_time": now - 30 * DAY,
        "accessed_time": now - HOUR,
        "remain_quota": 90 * USD,
        "used_quota": USD,
    }
    troubles: list[dict[str, Any]] = [
        {"id": 1, "expired_time": now + 3 * DAY},
        {"id": 2, "expired_time": now + 5 * HOUR, "group": "production"},
        {"id": 3, "expired_time": now - 2 * DAY},
        {"id": 4, "remain_quota": 9 * USD, "used_quota": 91 * USD},
        {"id": 5, "remain_quota": 12 * USD, "used_quota": 6 * USD},  # 1 USD an hour until now
        {"id": 6, "remain_quota": -1},
        {"id": 7, "status": 2},  # worked half an hour ago
        {"id": 8, "status": 9},  # likewise
        {"id": 9, "used_quota": 24 * USD, "remain_quota": 9_000 * USD},  # all within the last hour
        {"id": 10, "accessed_time": now - 91 * DAY},
        {"id": 11} | BROKEN,
        {"id": 12},
        # Of a typical request of about 29,600; what its own cost is not known.
        {"id": 13, "remain_quota": 1_494, "used_quota": 90_006},
        {"id": 14, "used_quota": 12 * USD},  # within the last 12 hours
        {"id": 15, "remain_quota": 0},
        {
            "id": 16,
            "name": "",
            "created_time": now - 100 * DAY,
            "accessed_time": 0,
            "used_quota": 0,
        },
        {"id": 17, "remain_quota": 5 * USD, "used_quota": 20 * USD},  # 20 USD within the last hour
        {"id": 18, "remain_quota": 1_494, "used_quota": 90_006},  # its requests cost 1,501
        {"id": 19, "model_limits_enabled": True, "model_limits": "gpt-4o"},  # not an hour ago
    ]
    return [a_wire_key(**fine | trouble) for trouble in troubles]


@contextlib.contextmanager
def gateways(now: int) -> Iterator[dict[str, Gateway]]:
    """Run one gateway for each account."""

    def one(
        *,
        usd: int = 1_000,
        listed: bool = True,
        faults: FaultChoice | None = None,
        used: int = 0,
        edges: Sequence[Edge] = (),
    ) -> Gateway:
        account = a_wire_account(quota=usd * USD, used_quota=used)
        content = [a_wire_key(created_time=now - DAY, accessed_time=now - HOUR)] if listed else []
        return Gateway(keys=content, account=account, faults=faults, edges=edges)

    troubles = {
        "main": Gateway(keys=keys(now), account=a_wire_account(quota=1_000 * USD)),
        "low": one(usd=9),
        "burning": one(  # 1 USD an hour until now, and a firewall before its groups
            usd=12, used=6 * USD, edges=[on(GROUPS_PATH, cloudflare_challenge())]
        ),
        "empty": one(usd=0),
        "dry": Gateway(
            keys=one().keys,
            account=a_wire_account(quota=10, used_quota=370_000, request_count=10_000),
        ),
        "nearly-dry": Gateway(
            keys=one().keys,
            account=a_wire_account(quota=10, used_quota=370_000, request_count=10_000),
        ),
        "emptied": one(listed=False),  # had keys an hour ago
        "refused": one(
            faults=always(
                answer(401, b'{"success":false,"code":"AUTH_TOKEN_INVALID","message":"no"}')
            )
        ),
        "banned": one(
            faults=always(
                answer(401, b'{"success":false,"code":"AUTH_USER_DISABLED","message":"no"}')
            )
        ),
        "many": Gateway(
            keys=[a_wire_key(number) for number in range(101)]
        ),  # a hundred are allowed
        "limited": one(faults=on_path(KEYS_PATH, answer(429))),
        "failing": one(faults=always(answer(500))),  # read an hour ago
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(gateway) for name, gateway in troubles.items()}


def series(name: str, labels: dict[str, str]) -> str:
    """Return a series as it is written in the exposition."""
    pairs = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def history(now: float, instance: str) -> Series:
    """Return what Prometheus has stored from before; up to *now* for series that rules read at present.

    The counters of the exporter at *instance* are at 0, so that its next failures are an increase.
    What no simulated gateway and no exporter of this test does is what `another` exporter has seen.
    """

    def key(name: str, number: int) -> str:
        return f'{name}{{job="cometapi-exporter",account="main",key_id="{number}",key_name="key {number}",group=""}}'

    def recorded(name: str, account: str, number: int | None = None, **more: str) -> str:
        labels = {"job": "cometapi-exporter", "account": account} | more
        return series(name, labels if number is None else labels | {"key_id": str(number)})

    def another(name: str, **labels: str) -> str:
        return series(name, {"job": "cometapi-exporter", "instance": "another"} | labels)

    def failures(account: str, reason: str) -> str:
        labels = (
            f'job="cometapi-exporter",instance="{instance}",account="{account}",reason="{reason}"'
        )
        return f"cometapi_exporter_refresh_failures_total{{{labels}}}"

    def line(since: int, until: int, start: float, end: float) -> list[tuple[float, float]]:
        """Draw a line between two moments, given in seconds ago: a sample a minute."""
        steps = (since - until) // MINUTE
        return [
            (now - since + MINUTE * step, start + (end - start) * step / steps)
            for step in range(steps + 1)
        ]

    def present(value: float) -> list[tuple[float, float]]:
        return line(HOUR, 0, value, value)

    return {
        recorded("key:cometapi_key_usable:last_timestamp_seconds", "main", 7): present(
            now - HOUR // 2
        ),
        recorded("key:cometapi_key_usable:last_timestamp_seconds", "main", 8): present(
            now - HOUR // 2
        ),
        recorded("key:cometapi_key_spending:busiest_1h", "main", 9): line(
            50 * HOUR, 25 * HOUR, 0.24, 0.24
        ),
        recorded("key:cometapi_key_remaining_quota:highest_1h", "main", 4): present(100 * USD),
        key("key:cometapi_key_last_used_timestamp_seconds:deleted", 20): present(now - HOUR // 4),
        key("cometapi_key_info", 19).replace(
            "}", ',model_limits="false",ip_allowlist="false",cross_group_retry="false"}'
        ): line(2 * HOUR, HOUR // 2, 1, 1),
        recorded("key:cometapi_key_used_quota:max", "main", 17): line(HOUR, 0, 0, 20 * USD),
        **{
            recorded(
                "key:cometapi_key_used_quota:last_growth_timestamp_seconds", "main", number
            ): present(int(now) - HOUR)
            for number in (13, 18)
        },
        recorded("key:cometapi_key_used_quota:smallest_step", "main", 18): present(1_501),
        recorded("key:cometapi_key_used_quota:before_last_busy", "main", 18): present(85_503),
        **{
            recorded(
                "account:cometapi_account_used_quota:last_growth_timestamp_seconds", account
            ): present(int(now) - HOUR)
            for account in ("dry", "nearly-dry")
        },
        recorded("account:cometapi_account_used_quota:before_last_busy", "dry"): present(369_889),
        another("cometapi_account_remaining_quota", account="unsure"): present(0),
        another("cometapi_up", account="halved"): present(0),
        another("cometapi_up", account="halved", pod="b"): present(1),
        another("cometapi_up", account="blocked"): present(0),
        another(
            "cometapi_exporter_refresh_failures_total", account="blocked", reason="blocked"
        ): line(HOUR, 0, 0, 30),
        another(
            "cometapi_exporter_build_info", job="one-of-three", version="1", python_version="3"
        ): present(1),
        series("job:cometapi_exporter_build_info:count", {"job": "one-of-three"}): present(3),
        recorded("key:cometapi_key_used_quota:max", "main", 9): [
            *line(48 * HOUR, 46 * HOUR, 0, 0),
            *line(HOUR, 0, 0, 24 * USD),
        ],
        recorded("key:cometapi_key_used_quota:max", "main", 5): line(6 * HOUR, 0, 0, 6 * USD),
        recorded("account:cometapi_account_used_quota:max", "burning"): line(
            6 * HOUR, 0, 0, 6 * USD
        ),
        recorded("account:cometapi_keys:sum", "emptied"): line(2 * HOUR, HOUR, 5, 5),
        recorded("cometapi_exporter_last_success_timestamp_seconds", "failing"): line(
            HOUR, 0, now - HOUR, now - HOUR
        ),
        failures("refused", "unauthorized"): line(HOUR, 0, 0, 0),
        failures("limited", "rate_limited"): line(HOUR, 0, 0, 0),
        failures("banned", "account_disabled"): line(HOUR, 0, 0, 0),
        failures("many", "too_many_keys"): line(HOUR, 0, 0, 0),
        recorded("key:cometapi_key_used_quota:max", "main", 14): line(12 * HOUR, 0, 0, 12 * USD),
        another(
            "cometapi_keys_unusable", account="main", group="closed", reason="group_unavailable"
        ): present(1),
        another("cometapi_key_status", account="main", key_id="99", group="closed"): present(1),
        another("cometapi_key_usable", account="main", key_id="99", group="closed"): present(0),
        another(
            "cometapi_key_last_used_timestamp_seconds", account="main", key_id="99", group="closed"
        ): present(now - DAY),
        # Recorded, because the rules know nothing of a month in its first three hours.
        **{
            another("cometapi_key_monthly_budget_quota", account="main", key_id=number): present(
                100 * USD
            )
            for number in ("21", "22", "23")
        },
        **{
            another("cometapi_account_monthly_budget_quota", account=account): present(100 * USD)
            for account in ("forecast", "nearly-spent", "overspent")
        },
        recorded("key:cometapi_usage_month_quota:forecast", "main", 21): present(101 * USD),
        recorded("key:cometapi_usage_month_quota:sum", "main", 22): present(81 * USD),
        recorded("key:cometapi_usage_month_quota:sum", "main", 23): present(101 * USD),
        recorded("account:cometapi_usage_month_quota:forecast", "forecast"): present(101 * USD),
        recorded("account:cometapi_usage_month_quota:sum", "nearly-spent"): present(81 * USD),
        recorded("account:cometapi_usage_month_quota:sum", "overspent"): present(101 * USD),
        another("cometapi_group_price_factor", account="main", group="vip"): present(1.5),
        recorded("group:cometapi_group_price_factor:max", "main", group="vip"): line(
            2 * HOUR, HOUR, 1, 1
        ),
        recorded("model:cometapi_usage_quota:increase1h", "main", model="old"): line(
            192 * HOUR, 0, USD, USD
        ),
        recorded("model:cometapi_usage_quota:increase1h", "main", model="new"): line(
            23 * HOUR, 0, USD, USD
        ),
        another("cometapi_gateway_clock_skew_seconds", account="main"): present(90),
        another(
            "cometapi_exporter_refresh_failures_total", account="main", reason="inconsistent"
        ): line(HOUR, 0, 0, 30),
        another("cometapi_exporter_refreshes_total", account="main"): line(HOUR, 0, 0, 60),
        another("cometapi_exporter_log_lines_dropped_total"): line(HOUR, 0, 0, 30),
        another("cometapi_key_changes_total", account="main", change="expiry_removed"): line(
            HOUR, 0, 0, 1
        ),
        another("cometapi_exporter_config_last_reload_successful"): present(0),
        another("cometapi_exporter_shards", job="one-of-two"): present(2),
        another("cometapi_exporter_shard_index", job="one-of-two"): present(0),
        another("cometapi_exporter_shards", job="of-one-or-two"): present(1),
        another("cometapi_exporter_shards", job="of-one-or-two", pod="b"): present(2),
        another("cometapi_exporter_shard_index", job="of-one-or-two"): present(0),
        another("cometapi_exporter_shard_index", job="of-one-or-two", pod="b"): present(1),
        "cometapi:threshold:of_an_older_file": line(HOUR, 0, 1, 1),
    }


def write_history(folder: Path, series: Series) -> None:
    """Write *series* as blocks to the storage of a Prometheus with its data in *folder*/data."""
    lines = [
        f"{name} {value!r} {at:.3f}\n" for name, samples in series.items() for at, value in samples
    ]
    fill(folder, [*lines, "# EOF\n"])


def scraping_a_closed_port(config: dict[str, Any]) -> dict[str, Any]:
    """Add a second exporter, in a separate job, that does not respond."""
    (job,) = config["scrape_configs"]
    gone = job | {
        "job_name": "another-cometapi-exporter",
        "static_configs": [{"targets": [f"127.0.0.1:{free_port()}"]}],
    }
    return config | {"scrape_configs": [job, gone]}


def firing(prometheus: Prometheus) -> set[tuple[str, str | None, str | None]]:
    """Return the alerts that fire in Prometheus."""
    alerts = prometheus.ask("v1/alerts")["data"]["alerts"]
    return {identity(alert["labels"]) for alert in alerts if alert["state"] == "firing"}


def identity(labels: dict[str, str]) -> tuple[str, str | None, str | None]:
    return labels["alertname"], labels.get("account"), labels.get("key_id")


def settled(
    prometheus: Prometheus, alertmanager: Alertmanager, seconds: float = 40
) -> tuple[set[Any], set[Any]]:
    """Wait until both show what is expected; return what they show then, or after *seconds*."""
    end = time.monotonic() + seconds
    while True:
        shown = firing(prometheus), {identity(alert["labels"]) for alert in alertmanager.alerts()}
        if shown == (EXPECTED, EXPECTED) or time.monotonic() > end:
            return shown
        time.sleep(0.2)


def test_the_table_names_every_alert() -> None:
    rules = [
        rule
        for group in shipped("prometheus/rules/alerts.yml")["groups"]
        for rule in group["rules"]
    ]

    assert {name for name, _, _ in EXPECTED} == {rule["alert"] for rule in rules if "alert" in rule}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What fires in Prometheus, what Alertmanager has, and what the receivers got."""

    now: int
    prometheus: set[Any]
    alertmanager: set[Any]
    inbox: Inbox

    def written(self, seconds: int) -> str:
        """Write the time *seconds* from now as rules do."""
        return datetime.fromtimestamp(self.now + seconds, UTC).strftime(
            "%Y-%m-%d %H:%M:%S +0000 UTC"
        )

    def posted(self, name: str) -> Any:
        """Wait for the notification of alert *name* at the webhook."""
        return self.inbox.wait_for("webhook", lambda sent: sent["groupLabels"]["alertname"] == name)

    def slack(self, name: str) -> str:
        """Wait for the message about alert *name* in Slack, and return its text."""
        message = self.inbox.wait_for(
            "slack", lambda sent: sent["attachments"][0]["title"].startswith(name)
        )
        return str(message["attachments"][0]["text"])


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Run everything until the alerts have settled."""
    folder = tmp_path_factory.mktemp("every-alert")
    now = time.time()
    write_hurried_rules(folder)
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(gateways(int(now)))
        file = accounts_file(
            folder,
            running,
            thresholds=[{"keys": "/key 14", "daily_budget_usd": 10}],
            policies=[{"keys": "/key 12", "ip_allowlist": True}],
            keys={"max": 100},
        )
        exporter = stack.enter_context(Exporter(*QUICKLY, file, TOKEN=CANARY_TOKEN))
        write_history(folder, history(now, exporter.url.removeprefix("http://")))
        inbox = stack.enter_context(Inbox())
        receivers = hurried_alertmanager(web=inbox.url, mail=inbox.mail)
        alertmanager = stack.enter_context(Alertmanager(folder, receivers))
        config = scraping_a_closed_port(hurried_prometheus(exporter.url, alertmanager.url))
        prometheus = stack.enter_context(Prometheus(folder, config, RESENDING))

        in_prometheus, in_alertmanager = settled(prometheus, alertmanager)
        yield Outcome(
            now=int(now), prometheus=in_prometheus, alertmanager=in_alertmanager, inbox=inbox
        )


def test_every_alert_fires_and_arrives(outcome: Outcome) -> None:
    assert outcome.prometheus == EXPECTED
    assert outcome.alertmanager == EXPECTED


def test_the_webhook_receives_which_key_expires_and_what_it_still_has(outcome: Outcome) -> None:
    sent = outcome.posted("CometAPIKeyExpiryImminent")

    assert (sent["receiver"], sent["status"], len(sent["alerts"])) == ("webhook", "firing", 1)
    assert sent["groupLabels"] == {
        "alertname": "CometAPIKeyExpiryImminent",
        "job": "cometapi-exporter",
        "account": "main",
    }
    assert sent["commonLabels"] == {
        "alertname": "CometAPIKeyExpiryImminent",
        "severity": "critical",
        "job": "cometapi-exporter",
        "account": "main",
        "key_id": "2",
        "key_name": "key 2",
        "group": "production",
    }
    assert sent["commonAnnotations"] == {
        "summary": 'CometAPI key "key 2" (2) of account main is about to expire.',
        "description": (
            f'Key "key 2" (id 2, group production) of account main expires at {outcome.written(5 * HOUR)}; after that,'
            " every request with it fails. It still has $90.00 to spend. If its users still need it, extend it"
            " now, or move them to another key."
        ),
        "runbook_url": f"{RUNBOOKS}#cometapikeyexpiryimminent",
        "dashboard_url": "/d/cometapi-key?var-account=main&var-key=2",
    }


def test_two_keys_with_the_same_problem_share_a_notification(outcome: Outcome) -> None:
    sent = outcome.posted("CometAPIKeyQuotaExhausted")

    assert {alert["labels"]["key_id"]: alert["labels"]["key_name"] for alert in sent["alerts"]} == {
        "6": "key 6",
        "15": "key 15",
    }
    assert sent["commonAnnotations"] == {"runbook_url": f"{RUNBOOKS}#cometapikeyquotaexhausted"}


def test_a_key_that_ran_dry_is_announced_with_what_it_has_left(outcome: Outcome) -> None:
    """Key 18 has 1494 units, and its requests cost 1501."""
    sent = outcome.posted("CometAPIKeyProbablyDry")

    assert [alert["labels"]["key_id"] for alert in sent["alerts"]] == ["18"]
    assert sent["commonAnnotations"]["description"] == (
        f'Key "key 18" (id 18, no group) of account main has spent nothing since {outcome.written(-HOUR)} and has only'
        " 1494 quota units ($0.0030) left. It spent 4503 units in its last busy quarter of an hour."
        " The smallest amount that it was seen to spend at once is 1501 units."
        " The gateway reports the key as enabled, but probably rejects its requests, because it reserves an estimated"
        " price before each one. Check whether its requests are rejected. If they are, top it up, or move its users to"
        " another key."
    )


def test_a_warning_goes_to_slack_without_the_key_that_a_critical_alert_is_about(
    outcome: Outcome,
) -> None:
    """Key 2 expires soon as well, but the webhook has received that it is about to."""
    assert outcome.slack("CometAPIKeyExpiringSoon") == (
        'CometAPI key "key 1" (1) of account main expires soon.\n'
        f'Key "key 1" (id 1, no group) of account main expires at {outcome.written(3 * DAY)}.'
        " It still has $90.00 to spend. If its users still need it, extend it, or move them to another key.\n\n"
    )


def test_a_prediction_contains_how_long_the_quota_lasts(outcome: Outcome) -> None:
    assert re.search(
        r'Key "key 5" \(id 5, no group\) of account main has \$12\.00 left, which lasts 1[12]h \d+m \d+s at the'
        r" spending rate of the last six hours\.",
        outcome.slack("CometAPIKeyQuotaRunningOut"),
    )


def test_information_comes_by_mail_with_both_forgotten_keys(outcome: Outcome) -> None:
    mail = outcome.inbox.wait_for("mail", lambda message: "CometAPIKeyUnused" in message["Subject"])
    text = re.sub(r"\s+", " ", mail.get_body(("html",)).get_content())

    assert mail["Subject"] == "CometAPIKeyUnused main"
    assert mail["To"] == "llm-platform@example.com"
    assert "(id 10, no group) of account main has served no request since" in text
    assert (
        "Key without a name (id 16, no group) of account main has served no request since" in text
    )
    assert "If it leaks, it can be used to spend $90.00." in text
    assert f"{RUNBOOKS}#cometapikeyunused" in text

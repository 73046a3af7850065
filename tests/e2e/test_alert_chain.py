"""From a key with a problem to the notification: the demo, a real Prometheus and Alertmanager, three receivers.

Rules, routes and texts are the bundled ones, only with shorter waits (see `alerting`). Expected values come from the
demo's table of keys.
"""

import re
from types import SimpleNamespace

import pytest
from alerting import RESENDING, Alertmanager, Inbox, hurried_alertmanager, hurried_prometheus, write_hurried_rules
from processes import Exporter, Prometheus, wait_until

from exporter.demo.scenario import DAY, ENABLED, EXHAUSTED, HOUR, KEYS

UNITS_PER_USD = 500_000
RUNBOOKS = "https://github.com/cometapi-exporter/cometapi-exporter/blob/main/docs/runbooks.md"
DEMO = {key.id: key for key in KEYS}
QUICKLY = ("--collect.interval=1s", "--collect.max-requests-per-minute=1000")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Run all four programs for the tests of this module."""
    folder = tmp_path_factory.mktemp("chain")
    write_hurried_rules(folder)
    with (
        Inbox() as inbox,
        Exporter("--demo", *QUICKLY) as exporter,
        Alertmanager(folder, hurried_alertmanager(web=inbox.url, mail=inbox.mail)) as alertmanager,
        Prometheus(folder, hurried_prometheus(exporter.url, alertmanager.url), RESENDING),
    ):
        yield SimpleNamespace(inbox=inbox, alertmanager=alertmanager)


def notified(chain, name):
    """Wait for the notification of alert *name* at the webhook."""
    return chain.inbox.wait_for("webhook", lambda sent: sent["groupLabels"]["alertname"] == name)


def slack_text(chain, title):
    """Wait for the message about alert *title* in Slack, and return its text."""
    message = chain.inbox.wait_for("slack", lambda sent: sent["attachments"][0]["title"].startswith(title))
    return message["attachments"][0]["text"]


def state(chain, name, key_id):
    """Return the status that Alertmanager gives to alert *name* of a key; None while it does not know it."""
    found = [
        alert
        for alert in chain.alertmanager.alerts()
        if (alert["labels"]["alertname"], alert["labels"].get("key_id")) == (name, str(key_id))
    ]
    return found[0] if found else None


def test_the_webhook_receives_which_key_expires_and_what_it_still_has(chain):
    key = DEMO[1125]
    assert (key.name, key.group, key.expires_in, key.remaining) == ("support-bot", "production", 5 * HOUR, 9_000_000)

    sent = notified(chain, "CometAPIKeyExpiryImminent")

    assert (sent["receiver"], sent["status"], len(sent["alerts"])) == ("webhook", "firing", 1)
    assert sent["groupLabels"] == {"alertname": "CometAPIKeyExpiryImminent", "account": "demo"}
    assert sent["commonLabels"] == {
        "alertname": "CometAPIKeyExpiryImminent",
        "severity": "critical",
        "job": "cometapi-exporter",
        "account": "demo",
        "key_id": "1125",
        "key_name": "support-bot",
        "group": "production",
    }
    texts = sent["commonAnnotations"]
    assert texts["summary"] == 'CometAPI key "support-bot" (1125) of account demo is about to expire.'
    assert re.fullmatch(
        r'Key "support-bot" \(id 1125, group production\) of account demo expires at [-\d]+ [:\d]+ \+0000'
        r" UTC; after that, every request with it fails\. It still has \$(18\.00|17\.9\d) to spend\."
        r" Extend it now, or move its users to another key\.",
        texts["description"],
    )
    assert texts["runbook_url"] == f"{RUNBOOKS}#cometapikeyexpiryimminent"


def test_two_keys_with_the_same_problem_share_a_notification(chain):
    exhausted = {str(key.id): key for key in KEYS if key.remaining <= 0 and not key.unlimited}
    assert list(exhausted) == ["1121", "1120"]
    assert exhausted["1120"].status == EXHAUSTED

    sent = notified(chain, "CometAPIKeyQuotaExhausted")

    assert sent["groupLabels"] == {"alertname": "CometAPIKeyQuotaExhausted", "account": "demo"}
    assert {alert["labels"]["key_id"]: alert["labels"]["key_name"] for alert in sent["alerts"]} == {
        "1121": "load-test",
        "1120": "translation",
    }
    assert sent["commonAnnotations"] == {"runbook_url": f"{RUNBOOKS}#cometapikeyquotaexhausted"}


def test_a_key_that_ran_dry_is_announced_although_it_is_reported_as_enabled(chain):
    key = DEMO[1111]
    assert (key.name, key.group, key.status, key.remaining) == ("batch-summaries", "production", ENABLED, 1_494)

    sent = notified(chain, "CometAPIKeyProbablyDry")

    assert [alert["labels"]["key_id"] for alert in sent["alerts"]] == ["1111"]
    assert re.fullmatch(
        r'Key "batch-summaries" \(id 1111, group production\) of account demo has spent nothing since [-\d]+ [:\d]+'
        r" \+0000 UTC and has only 1494 quota units \(\$0\.0030\) left\. A usual request of the account costs \d+\."
        r" The gateway reports the key as enabled, but probably rejects its requests, because it reserves an estimated"
        r" price before each one\. Top it up, or move its users to another key\.",
        sent["commonAnnotations"]["description"],
    )


def test_a_warning_goes_to_slack_with_the_share_that_is_left_readable(chain):
    assert (DEMO[1124].expires_in, DEMO[1124].remaining / UNITS_PER_USD) == (3 * DAY, 60.0)

    text = slack_text(chain, "CometAPIKeyExpiringSoon")

    assert re.fullmatch(
        r'CometAPI key "fraud-check" \(1124\) of account demo expires soon\.\n'
        r'Key "fraud-check" \(id 1124, group production\) of account demo expires at [-\d]+ [:\d]+ \+0000 UTC\.'
        r" It still has \$(60\.00|59\.9\d) to spend\. Extend it, or move its users to another key\.\n\n",
        text,
    )


def test_a_prediction_contains_how_long_the_quota_lasts(chain):
    """At its real rate it lasts an hour; from the first seconds of history, Prometheus may predict up to two."""
    key = DEMO[1126]
    assert key.remaining / key.rate == pytest.approx(1.03 * HOUR, rel=0.01)

    text = slack_text(chain, "CometAPIKeyQuotaRunningOut")

    assert re.search(
        r'Key "search-ranking" \(id 1126, group production\) of account demo has \$4\.\d\d left,'
        r" which lasts (\dh )?\d+m \d+s at the burn rate of the last six hours\.",
        text,
    )


def test_information_comes_by_mail_with_both_forgotten_keys(chain):
    assert (DEMO[1113].idle_for, DEMO[1112].idle_for, DEMO[1112].age) == (120 * DAY, None, 200 * DAY)

    mail = chain.inbox.wait_for("mail", lambda message: "CometAPIKeyUnused" in message["Subject"])
    text = re.sub(r"\s+", " ", mail.get_body(("html",)).get_content())

    assert mail["Subject"] == "CometAPIKeyUnused demo"
    assert mail["To"] == "llm-platform@example.com"
    assert "(id 1113, no group) of account demo has served no request since" in text
    assert "Key without a name (id 1112, no group) of account demo has served no request since" in text
    assert "If it leaks, it can be used to spend $10.00." in text
    assert f"{RUNBOOKS}#cometapikeyunused" in text


def test_what_is_about_to_expire_is_not_also_reported_as_expiring_soon(chain):
    """Both alerts fire for key 1125; Slack receives 1124 alone."""
    imminent = wait_until(lambda: state(chain, "CometAPIKeyExpiryImminent", 1125))
    soon = wait_until(lambda: state(chain, "CometAPIKeyExpiringSoon", 1125))

    slack_text(chain, "CometAPIKeyExpiringSoon")

    assert (soon["status"]["state"], soon["status"]["inhibitedBy"]) == ("suppressed", [imminent["fingerprint"]])
    assert imminent["status"]["inhibitedBy"] == []
    assert state(chain, "CometAPIKeyExpiringSoon", 1124)["status"]["state"] == "active"
    assert not [sent for sent in chain.inbox.all("slack") if "1125" in str(sent) and "ExpiringSoon" in str(sent)]


def test_what_is_predicted_to_run_out_is_not_also_reported_as_low(chain):
    running_out = wait_until(lambda: state(chain, "CometAPIKeyQuotaRunningOut", 1126))
    wait_until(lambda: state(chain, "CometAPIKeyQuotaLow", 1126))

    low = wait_until(
        lambda: (found := state(chain, "CometAPIKeyQuotaLow", 1126))["status"]["state"] == "suppressed" and found
    )

    assert low["status"]["inhibitedBy"] == [running_out["fingerprint"]]


def test_no_alert_fires_for_a_healthy_key(chain):
    notified(chain, "CometAPIKeyExpiryImminent")
    slack_text(chain, "CometAPIKeyQuotaRunningOut")

    wait_until(lambda: state(chain, "CometAPIKeyUnused", 1112))

    alerting = {(alert["labels"]["alertname"], alert["labels"].get("key_id")) for alert in chain.alertmanager.alerts()}
    about_keys = {(name, key_id) for name, key_id in alerting if key_id is not None}

    assert {(name, key_id) for name, key_id in about_keys if name != "CometAPIKeyQuotaRunningOut"} == {
        ("CometAPIKeyExpiringSoon", "1125"),
        ("CometAPIKeyExpiringSoon", "1124"),
        ("CometAPIKeyExpiryImminent", "1125"),
        ("CometAPIKeyExpiredButEnabled", "1123"),
        ("CometAPIKeyQuotaLow", "1126"),
        ("CometAPIKeyQuotaExhausted", "1121"),
        ("CometAPIKeyQuotaExhausted", "1120"),
        ("CometAPIKeyProbablyDry", "1111"),
        ("CometAPIKeyQuotaLow", "1111"),
        ("CometAPIKeyUnused", "1113"),
        ("CometAPIKeyUnused", "1112"),
    }

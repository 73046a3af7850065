"""Much goes wrong at once: how many notifications people receive, from a real Alertmanager.

The alerts are sent as Prometheus sends them; which alerts fire in such a situation is in
tests/scenarios.py.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from alerting import Alertmanager, Inbox, hurried_alertmanager, shipped

ACCOUNTS = [f"account-{number}" for number in range(20)]
KEYS = range(300)
PATIENCE_SECONDS = 60
AFTERWARDS_SECONDS = 3
"""For what else may come: the hurried Alertmanager waits for 3 s before the first notification of a group."""
LONGEST_MESSAGE = 8_000
"""Slack rejects messages of more than 40,000 characters; 300 keys took 73,000."""

SEVERITIES = {
    rule["alert"]: rule["labels"]["severity"]
    for group in shipped("prometheus/rules/alerts.yml")["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def an_alert(name: str, **labels: str) -> dict[str, Any]:
    """Return alert *name* of one installation, with a text as long as those of the rules."""
    own = {"alertname": name, "severity": SEVERITIES[name], "job": "cometapi-exporter"}
    return {"labels": own | labels, "annotations": {"summary": name, "description": "x" * 240}}


def of_keys(name: str) -> list[dict[str, Any]]:
    return [
        an_alert(name, account="many", key_id=str(key), key_name=f"k{key}", group="vip")
        for key in KEYS
    ]


def of_accounts(name: str) -> list[dict[str, Any]]:
    return [an_alert(name, account=account) for account in ACCOUNTS]


class Pager:
    """An Alertmanager with the bundled routes, and what its receivers got."""

    def __init__(self, folder: Path, inbox: Inbox) -> None:
        self._inbox = inbox
        self._alertmanager = Alertmanager(
            folder, hurried_alertmanager(web=inbox.url, mail=inbox.mail)
        )
        self._seen = {"webhook": 0, "slack": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._alertmanager.stop()

    def fire(self, *alerts: dict[str, Any]) -> None:
        """Let *alerts* fire for an hour, and wait until Alertmanager has told people."""
        self._send(alerts, timedelta(hours=1))

    def resolve(self, *alerts: dict[str, Any]) -> None:
        """Let *alerts* end now, and wait until Alertmanager has told people."""
        self._send(alerts, timedelta(0))

    def _send(self, alerts: tuple[dict[str, Any], ...], until: timedelta) -> None:
        now = datetime.now(UTC)
        times = {"startsAt": now.isoformat(), "endsAt": (now + until).isoformat()}
        httpx.post(
            f"{self._alertmanager.url}/api/v2/alerts",
            json=[one | times for one in alerts],
            trust_env=False,
        ).raise_for_status()
        self._wait_for_news()

    def _wait_for_news(self) -> None:
        """Wait until something new has arrived, and then for the rest of it."""
        end = time.monotonic() + PATIENCE_SECONDS
        before = sum(self._seen.values())
        while sum(len(self._inbox.all(address)) for address in self._seen) == before:
            assert time.monotonic() < end, "no notification"
            time.sleep(0.2)
        time.sleep(AFTERWARDS_SECONDS)

    def pages(self) -> list[tuple[str, str, int]]:
        """Return the new notifications at the webhook: alert, status, and how many alerts."""
        return [
            (sent["groupLabels"]["alertname"], sent["status"], len(sent["alerts"]))
            for sent in self._new("webhook")
        ]

    def messages(self) -> list[dict[str, str]]:
        """Return the new messages in Slack."""
        return [sent["attachments"][0] for sent in self._new("slack")]

    def _new(self, address: str) -> list[Any]:
        whole = self._inbox.all(address)
        seen, self._seen[address] = self._seen[address], len(whole)
        return whole[seen:]


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[Pager]:
    with Inbox() as inbox, Pager(tmp_path, inbox) as running:
        yield running


def test_twenty_accounts_of_a_gateway_that_is_away_are_one_message_one_page_and_one_all_clear(
    pager: Pager,
) -> None:
    """Refreshes fail first; DataStale inhibits that when it follows."""
    pager.fire(*of_accounts("CometAPIRefreshFailing"))
    assert [message["title"] for message in pager.messages()] == ["CometAPIRefreshFailing (20)"]

    pager.fire(*of_accounts("CometAPIDataStale"))
    assert pager.pages() == [("CometAPIDataStale", "firing", 20)]

    pager.resolve(*of_accounts("CometAPIDataStale"), *of_accounts("CometAPIRefreshFailing"))
    assert pager.pages() == [("CometAPIDataStale", "resolved", 20)]
    assert len(pager.messages()) <= 1


def test_a_dead_exporter_with_twenty_accounts_is_one_page_whatever_else_fires(
    pager: Pager,
) -> None:
    down = an_alert("CometAPIExporterDown")

    pager.fire(down, *of_accounts("CometAPIDataStale"), *of_keys("CometAPIKeyUnusable"))
    assert pager.pages() == [("CometAPIExporterDown", "firing", 1)]

    pager.resolve(down, *of_accounts("CometAPIDataStale"), *of_keys("CometAPIKeyUnusable"))
    assert pager.pages() == [("CometAPIExporterDown", "resolved", 1)]
    assert pager.messages() == []


def test_twenty_accounts_that_lost_their_exporter_while_others_go_on_are_one_page(
    pager: Pager,
) -> None:
    pager.fire(*of_accounts("CometAPIExporterDown"), an_alert("CometAPIReplicaMissing"))

    assert pager.pages() == [("CometAPIExporterDown", "firing", 20)]
    assert pager.messages() == []


def test_three_hundred_keys_that_are_exhausted_are_one_page(pager: Pager) -> None:
    pager.fire(*of_keys("CometAPIKeyQuotaExhausted"), *of_keys("CometAPIKeyUnusable"))

    assert pager.pages() == [("CometAPIKeyQuotaExhausted", "firing", 300)]


def test_an_account_without_money_is_one_page_for_its_three_hundred_keys(pager: Pager) -> None:
    empty = an_alert("CometAPIAccountBalanceExhausted", account="many")

    pager.fire(empty, *of_keys("CometAPIKeyUnusable"))

    assert pager.pages() == [("CometAPIAccountBalanceExhausted", "firing", 1)]


def test_three_hundred_keys_with_little_quota_fit_into_one_message(pager: Pager) -> None:
    pager.fire(*of_keys("CometAPIKeyQuotaLow"))

    (message,) = pager.messages()
    assert message["title"] == "CometAPIKeyQuotaLow (300)"
    assert "… and more: 300 in all" in message["text"]
    assert len(message["text"]) < LONGEST_MESSAGE

"""One cause, one notification: the bundled configuration in a real Alertmanager, and which alert inhibits which."""

import itertools
import json
import re
import shlex
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from binaries import require

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy/alertmanager/alertmanager.yml"
ALERTS = ROOT / "deploy/prometheus/rules/alerts.yml"
RUNBOOKS = ROOT / "docs/runbooks.md"

STALE = (
    "CometAPIKeyExpiringSoon",
    "CometAPIKeyQuotaLow",
    "CometAPIKeyQuotaRunningOut",
    "CometAPIKeyOverDailyBudget",
    "CometAPIKeySpendingSpike",
    "CometAPIKeyUnused",
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

SILENCES = {
    "CometAPIKeyExpiredButEnabled": (
        "CometAPIKeyExpiringSoon",
        "CometAPIKeyExpiryImminent",
        "CometAPIKeyQuotaLow",
        "CometAPIKeyQuotaRunningOut",
        "CometAPIKeyQuotaExhausted",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyUnusable",
    ),
    "CometAPIKeyExpiryImminent": ("CometAPIKeyExpiringSoon",),
    "CometAPIKeyQuotaExhausted": (
        "CometAPIKeyExpiringSoon",
        "CometAPIKeyExpiryImminent",
        "CometAPIKeyQuotaLow",
        "CometAPIKeyQuotaRunningOut",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyUnusable",
    ),
    "CometAPIKeyProbablyDry": ("CometAPIKeyQuotaLow", "CometAPIKeyQuotaRunningOut"),
    "CometAPIKeyDisabledInUse": (
        "CometAPIKeyExpiringSoon",
        "CometAPIKeyExpiryImminent",
        "CometAPIKeyQuotaLow",
        "CometAPIKeyQuotaRunningOut",
        "CometAPIKeyQuotaExhausted",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyOverDailyBudget",
        "CometAPIKeyUnusable",
        "CometAPIKeySpendingSpike",
    ),
    "CometAPIKeyUnusable": (
        "CometAPIKeyExpiringSoon",
        "CometAPIKeyExpiryImminent",
        "CometAPIKeyQuotaLow",
        "CometAPIKeyQuotaRunningOut",
        "CometAPIKeyProbablyDry",
    ),
    "CometAPIKeyQuotaRunningOut": ("CometAPIKeyQuotaLow",),
    "CometAPIAccountBalanceExhausted": (
        "CometAPIAccountBalanceLow",
        "CometAPIAccountBalanceRunningOut",
        "CometAPIAccountProbablyDry",
        "CometAPIKeyProbablyDry",
        "CometAPIKeyUnusable",
    ),
    "CometAPIAccountProbablyDry": (
        "CometAPIAccountBalanceLow",
        "CometAPIAccountBalanceRunningOut",
        "CometAPIKeyProbablyDry",
    ),
    "CometAPIAccountBalanceRunningOut": ("CometAPIAccountBalanceLow",),
    "CometAPIGroupUnavailable": ("CometAPIKeyUnusable",),
    "CometAPITokenRefused": (*STALE, "CometAPIDataStale", "CometAPIAccountNeverRead"),
    "CometAPIAccountBanned": (*STALE, "CometAPIDataStale", "CometAPIAccountNeverRead"),
    "CometAPITooManyKeys": (*STALE, "CometAPIDataStale", "CometAPIAccountNeverRead"),
    "CometAPIRateLimited": ("CometAPIRefreshFailing",),
    "CometAPIAccountNeverRead": ("CometAPIRefreshFailing",),
    "CometAPIDataStale": STALE,
}

RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
SEVERITIES = {rule["alert"]: rule["labels"]["severity"] for rule in RULES if "alert" in rule}
WITHOUT_ACCOUNT = {
    "CometAPILogLinesDropped",
    "CometAPIConfigReloadFailed",
    "CometAPIShardMissing",
    "CometAPIShardsDisagree",
    "CometAPIThresholdMissing",
}
WITH_ACCOUNT = [name for name in SEVERITIES if name not in WITHOUT_ACCOUNT]
SILENCES["CometAPIExporterDown"] = tuple(name for name in WITH_ACCOUNT if name != "CometAPIExporterDown")
ABOUT_A_KEY = re.compile("CometAPIKey[A-Z]")


def an_alert(name: str, account: str, key_id: str = "7", job: str = "cometapi-exporter") -> dict[str, str]:
    """Return the labels that alert *name* carries: a key's only if it is about a key."""
    labels = {"alertname": name, "severity": SEVERITIES[name], "job": job, "account": account}
    labels |= {"key_id": key_id, "key_name": "batch"} if ABOUT_A_KEY.match(name) else {}
    return labels | ({"group": "vip"} if ABOUT_A_KEY.match(name) or name.startswith("CometAPIGroup") else {})


def call(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 (http on loopback)
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Alertmanager with the bundled file; its first notification would be due long after the tests."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    storage = tmp_path_factory.mktemp("alertmanager")
    debian = shutil.which("prometheus-alertmanager")  # the name of the program in that distribution
    command = [debian or require("alertmanager"), f"--config.file={CONFIG}", f"--storage.path={storage}"]
    options = [f"--web.listen-address={address}", "--cluster.listen-address="]
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=storage)
    try:
        await_ready(f"http://{address}/-/ready")
        yield f"http://{address}/api/v2/alerts"
    finally:
        process.terminate()
        process.wait(timeout=10)


def await_ready(url: str) -> None:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    pytest.fail("Alertmanager was not ready within 5 s")


def silenced(url: str, labels: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    """Send alerts to Alertmanager and return (account, key_id, alert name) of those that it inhibits."""
    call(url, [{"labels": one} for one in labels])
    accounts = {one.get("account", "") for one in labels}
    previous: set[tuple[str, str, str]] | None = None
    for _ in range(40):  # the inhibitor learns of new alerts in the background: read until two answers agree
        answer = [one for one in call(url) if one["labels"].get("account", "") in accounts]
        found = {identify(one["labels"]) for one in answer if one["status"]["inhibitedBy"]}
        if found == previous and len(answer) >= len(labels):
            return found
        previous = found
        time.sleep(0.1)
    pytest.fail("Alertmanager did not settle within 4 s")


def identify(labels: dict[str, str]) -> tuple[str, str, str]:
    return (labels.get("account", ""), labels.get("key_id", ""), labels["alertname"])


def test_each_alert_silences_what_follows_from_it_and_nothing_else(alertmanager: str) -> None:
    """Every two alerts fire together, each pair in an account of its own."""
    pairs = [(f"{one}+{other}", one, other) for one, other in itertools.combinations(WITH_ACCOUNT, 2)]
    sent = [an_alert(name, account) for account, *pair in pairs for name in pair]

    found = {(account, name) for account, _, name in silenced(alertmanager, sent)}

    expected = {(account, other) for account, one, other in pairs if other in SILENCES.get(one, ())}
    expected |= {(account, one) for account, one, other in pairs if one in SILENCES.get(other, ())}
    assert found == expected


def test_another_key_another_account_and_another_job_are_not_silenced(alertmanager: str) -> None:
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


def test_a_job_that_is_gone_as_a_whole_silences_its_accounts_alone(alertmanager: str) -> None:
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


def test_a_missing_shard_silences_the_alerts_about_each_of_its_accounts(alertmanager: str) -> None:
    missing = {"alertname": "CometAPIShardMissing", "severity": "critical", "job": "sharded"}
    gone = [an_alert("CometAPIExporterDown", f"of {job}", job=job) for job in ("sharded", "unsharded")]
    sent = [missing, *gone]

    assert silenced(alertmanager, sent) == {("of sharded", "", "CometAPIExporterDown")}


def test_an_unavailable_group_silences_its_own_keys_alone(alertmanager: str) -> None:
    sent = [
        an_alert("CometAPIGroupUnavailable", "groups"),
        an_alert("CometAPIKeyUnusable", "groups", key_id="1"),
        an_alert("CometAPIKeyUnusable", "groups", key_id="2") | {"group": "another"},
    ]

    assert silenced(alertmanager, sent) == {("groups", "1", "CometAPIKeyUnusable")}


def test_inhibition_names_only_alerts_that_exist() -> None:
    text = CONFIG.read_text().split("inhibit_rules:")[1]
    named = set(re.findall(r"alertname = (\w+)", text))
    patterns = re.findall(r'alertname =~ "([^"]+)"', text)

    assert named <= set(SEVERITIES)
    assert all(any(re.fullmatch(pattern, name) for name in SEVERITIES) for pattern in patterns)


def test_the_commands_of_the_runbooks_silence(alertmanager: str) -> None:
    commands = re.findall(r"^amtool (silence add .*)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    server = f"--alertmanager.url={alertmanager.removesuffix('/api/v2/alerts')}"

    for command in commands:
        subprocess.run([require("amtool"), server, *shlex.split(command)], check=True, capture_output=True, timeout=10)

    silences = call(alertmanager.replace("alerts", "silences"))
    names = {matcher["value"] for one in silences for matcher in one["matchers"] if matcher["name"] == "alertname"}
    assert names == set(SEVERITIES)

"""The bundled rules and Alertmanager configuration, checked by promtool, amtool and against their own conventions.

The *.test.yml files in this directory say what each alert does.
"""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from binaries import require
from processes import output_of
from promises import REASONS, SERIES
from rule_tests import assert_holds
from scenarios import EXPECTED

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
SCENARIOS = sorted(Path(__file__).parent.glob("*.test.yml"))
RUNBOOKS = ROOT / "docs/runbooks.md"
RUNBOOK_BASE = "https://github.com/cometapi-exporter/cometapi-exporter/blob/main/docs/runbooks.md#"


def load_rules() -> list[dict[str, Any]]:
    """Return every rule of every rule file, in order."""
    return [
        rule
        for path in RULE_FILES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


RULES = load_rules()
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"]: rule for rule in RULES if "record" in rule}
# Counters of changes have no key: a key that is changed often would make many series.
ABOUT_A_KEY = re.compile("CometAPIKey(?!RestrictionRemoved)[A-Z]")
THRESHOLDS = {name for name in RECORDS if name.startswith("cometapi:threshold:")}

SPENDS_NOTHING = {"CometAPIKeyDeletedInUse", "CometAPIKeyUnusable", "CometAPIKeyRestricted"}
"""What is left is unknown, or does not help: the key cannot spend it, or not for every request."""

each_alert = pytest.mark.parametrize("name", ALERTS)


def queries_of(rule: dict[str, Any]) -> str:
    """Return the expression of a rule and the queries in its annotations."""
    return " ".join([rule["expr"], *rule.get("annotations", {}).values()])


@cache
def expectations() -> dict[str, set[bool]]:
    """Return whether the scenarios expect each alert to fire, to be silent, or both."""
    found: dict[str, set[bool]] = defaultdict(set)
    for path in SCENARIOS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                found[case["alertname"]].add(bool(case.get("exp_alerts")))
    for name in EXPECTED:
        found[name] |= {True, False}
    return found


def test_promtool_accepts_the_configuration_and_both_rule_files() -> None:
    printed = output_of(require("promtool"), "check", "config", str(PROMETHEUS / "prometheus.yml"))

    assert "2 rule files found" in printed
    assert sum(int(count) for count in re.findall(r"SUCCESS: (\d+) rules found", printed)) == len(
        RULES
    )


# A week of evaluations takes promtool a minute where two tests share the cores.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_alerts_fire_and_stay_silent_as_described(path: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert_holds(document, tmp_path, seconds=300)


def test_amtool_accepts_the_configuration_as_shipped() -> None:
    assert "3 receivers" in output_of(require("amtool"), "check-config", str(ALERTMANAGER))


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("critical", "webhook"), ("warning", "slack"), ("info", "email"), ("other", "email")],
)
def test_each_severity_has_its_receiver(severity: str, receiver: str) -> None:
    command = [require("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}"]
    labels = ["alertname=CometAPIKeyUnusable", "account=main", f"severity={severity}"]

    output_of(*command, f"--verify.receivers={receiver}", *labels)


def test_the_alertmanager_file_contains_no_secret() -> None:
    text = ALERTMANAGER.read_text()

    assert not re.search(r"(password|api_url|credentials|token|secret):", text)
    assert re.findall(r"(\w+_file): /", text) == [
        "smtp_auth_password_file",
        "credentials_file",
        "api_url_file",
    ]


@each_alert
def test_an_alert_has_a_firing_and_a_silent_test(name: str) -> None:
    assert expectations()[name] == {True, False}


@each_alert
def test_an_alert_waits_and_says_what_where_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]

    assert re.fullmatch(r"[1-9]\d*[mh]", rule["for"])
    assert set(rule["annotations"]) == {
        "summary",
        "description",
        "runbook_url",
        "dashboard_url",
    }
    assert rule["annotations"]["runbook_url"] == RUNBOOK_BASE + name.lower()
    assert "$value" not in rule["annotations"]["summary"]


@pytest.mark.parametrize("name", [name for name in ALERTS if ABOUT_A_KEY.match(name)])
def test_an_alert_about_a_key_names_it_and_the_money_left(name: str) -> None:
    description = ALERTS[name]["annotations"]["description"]

    for label in ("account", "key_id", "key_name", "group"):
        assert f"$labels.{label}" in description
    if name not in SPENDS_NOTHING:
        assert "key:cometapi_key_spendable_quota:usd" in description


@each_alert
def test_an_alert_leads_to_its_dashboard(name: str) -> None:
    expected = (
        "/d/cometapi-overview{{ with $labels.account }}?var-account={{ urlquery . }}{{ end }}"
    )
    if ABOUT_A_KEY.match(name):
        expected = (
            "/d/cometapi-key?var-account={{ urlquery $labels.account }}"
            "&var-key={{ $labels.key_id }}"
        )

    assert ALERTS[name]["annotations"]["dashboard_url"] == expected


def test_every_section_about_an_alert_has_an_alert() -> None:
    headings = re.findall(r"^## (CometAPI\w+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)

    assert headings == list(ALERTS)


def test_every_reason_has_a_heading() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)

    assert sorted(headings) == sorted(REASONS)


def test_links_within_the_runbooks_lead_to_a_heading() -> None:
    text = RUNBOOKS.read_text()
    headings = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^##+ (.+)$", text, flags=re.MULTILINE)
    }

    assert set(re.findall(r"\(#([^)]+)\)", text)) <= headings


@each_alert
def test_a_section_begins_with_the_impact_and_has_meaning_first_look_resolution_and_silence(
    name: str,
) -> None:
    section = RUNBOOKS.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]

    assert section.startswith("\n**Impact.** ")
    for part in (
        "**What it means.**",
        "**First look.**",
        "**Resolution.**",
        "**Silence.**",
        f"amtool silence add alertname={name} ",
    ):
        assert part in section


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_only_for_series_that_exist(rule: dict[str, Any]) -> None:
    text = queries_of(rule)
    recorded = set(re.findall(r"[a-z]+:[a-z_]+:\w+", text))
    scraped = set(re.findall(r"(?<![\w:/-])cometapi_\w+(?!\w|:)", text))

    assert recorded <= set(RECORDS)
    assert scraped <= SERIES


def test_the_table_of_the_runbooks_agrees_with_the_rules() -> None:
    rows = re.findall(
        r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| (\w+) \|", RUNBOOKS.read_text(), flags=re.MULTILINE
    )

    assert rows == [
        (name, name.lower(), rule["labels"]["severity"], rule["for"])
        for name, rule in ALERTS.items()
    ]


def test_queries_in_the_runbooks_are_valid_and_ask_only_for_series_that_exist(
    tmp_path: Path,
) -> None:
    code = "".join(re.findall(r"```promql\n(.*?)```", RUNBOOKS.read_text(), flags=re.DOTALL))
    rules = [
        {"record": f"query:{number}", "expr": query}
        for number, query in enumerate(code.splitlines())
    ]
    (tmp_path / "queries.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]})
    )

    assert len(rules) >= len(ALERTS)
    output_of(require("promtool"), "check", "rules", tmp_path / "queries.yml")
    assert set(re.findall(r"[a-z]+:[a-z_]+:\w+", code)) <= set(RECORDS)
    assert set(re.findall(r"(?<![\w:])cometapi_\w+(?!\w|:)", code)) <= SERIES


def test_every_query_in_the_runbooks_says_what_its_value_means() -> None:
    blocks = re.findall(r"```promql\n(.*?)```", RUNBOOKS.read_text(), flags=re.DOTALL)
    queries = [line for block in blocks for line in block.splitlines()]

    assert [query for query in queries if not re.search(r"  # \w+", query)] == []


@each_alert
def test_a_silence_covers_no_more_than_one_account_or_one_job(name: str) -> None:
    """The alert about thresholds has no label that would tell one installation from another."""
    found = re.findall(
        rf"^amtool silence add alertname={name} .*$", RUNBOOKS.read_text(), re.MULTILINE
    )

    assert len(found) == 1
    assert re.search(r" (account|job)=\S+ ", found[0]) or name == "CometAPIThresholdMissing"


@each_alert
def test_a_section_states_its_impact_once(name: str) -> None:
    section = RUNBOOKS.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]
    impact, meaning = section.split("**What it means.**")
    told = sentences(impact.replace("**Impact.**", ""))
    repeated = sentences(meaning.split("**First look.**")[0])

    assert told & repeated == set()


def sentences(text: str) -> set[str]:
    """Return the sentences of *text* and their clauses, in lower case."""
    return {part.strip().lower() for part in re.split(r"[.;:]\s", text) if part.strip()}


def test_every_threshold_is_used_and_counted() -> None:
    others = [rule["expr"] for name, rule in ALERTS.items() if name != "CometAPIThresholdMissing"]
    used = re.findall(r"cometapi:threshold:\w+", " ".join(others))

    assert set(used) == THRESHOLDS
    assert f"!= {len(THRESHOLDS)}\n" in ALERTS["CometAPIThresholdMissing"]["expr"]
    assert f"If the second is less than {len(THRESHOLDS)}," in RUNBOOKS.read_text()

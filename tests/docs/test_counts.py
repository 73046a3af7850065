"""Numbers in documents are those of the things that they count."""

import json
import re
from pathlib import Path

import pytest
import yaml
from processes import run_exporter

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def demo() -> str:
    """Return the metrics of the demo."""
    done = run_exporter("--demo", "--once")
    assert done.returncode == 0, done.stderr
    return done.stdout


def counts_of_keys(demo: str) -> dict[str, float]:
    """Return the number of keys of each account of the demo."""
    counts: dict[str, float] = {}
    for account, value in re.findall(
        r'^cometapi_keys\{account="(\w+)",.*\} (.+)$', demo, re.MULTILINE
    ):
        counts[account] = counts.get(account, 0) + float(value)
    return counts


def test_the_guide_counts_the_keys_and_accounts_of_the_demo(demo):
    keys = sum(counts_of_keys(demo).values())
    accounts = len(re.findall(r"^cometapi_up\{", demo, re.MULTILINE))

    assert f"its demo ({keys:.0f} keys in {WORDS[accounts]} accounts" in text_of("docs/alerting.md")


def test_the_response_in_the_reference_of_the_api_has_the_counts_of_the_demo(demo):
    counts = counts_of_keys(demo)
    example = re.search(r"```json\n(\{.*?\n\})\n```", text_of("docs/api.md"), re.DOTALL)
    assert example is not None
    response = json.loads(example[1])

    assert response["total"] == sum(counts.values())
    assert [(one["name"], one["keys"]) for one in response["accounts"]] == [
        ("demo", counts["demo"])
    ]


def test_the_changelog_counts_the_dashboards():
    dashboards = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))

    assert f"{WORDS[len(dashboards)].title()} Grafana dashboards" in text_of("CHANGELOG.md")


@pytest.mark.parametrize("name", ["docs/alerting.md", "deploy/alertmanager/alertmanager.yml"])
def test_the_routes_of_alertmanager_are_counted(name):
    routes = yaml.safe_load(text_of("deploy/alertmanager/alertmanager.yml"))["route"]["routes"]

    assert f"{WORDS[len(routes)]} routes" in text_of(name)

"""The arithmetic of docs/scaling.md and docs/integrations.md, from the real exposition and rules."""

import re
from collections import Counter
from pathlib import Path

import pytest
from processes import run_exporter, samples_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/scaling.md"
INTEGRATIONS = ROOT / "docs/integrations.md"


@pytest.fixture(scope="module")
def series() -> list[str]:
    """Return every series of the demo."""
    return list(samples_of(run_exporter("--demo", "--once").stdout))


def test_a_key_has_at_most_ten_series(series):
    of_keys = [line for line in series if not line.startswith("cometapi_key_policy_violation")]
    keys = Counter(found[1] for line in of_keys if (found := re.search(r'key_id="(\d+)"', line)))

    assert max(keys.values()) == 10
    assert "| series per key, as scraped | 10 (" in PAGE.read_text(encoding="utf-8")


def test_a_group_has_thirteen_series_and_an_account_about_eighty(series):
    of_other_things = re.compile(r'.*(key_id|model|policy|account="(?!demo"))|cometapi_keys')
    of_an_account = [
        line for line in series if 'account="demo"' in line and not of_other_things.match(line)
    ]
    of_groups = [line for line in series if 'account="demo"' in line]
    groups = Counter(
        re.findall(r'^cometapi_keys\w*\{.*?group="(\w*)"', "\n".join(of_groups), re.MULTILINE)
    )

    assert set(groups.values()) == {13}
    assert 70 <= len(of_an_account) <= 90


def test_the_rules_record_39_series_a_key():
    rules = (ROOT / "deploy/prometheus/rules/records.yml").read_text(encoding="utf-8")

    assert len(re.findall(r"record: key:", rules)) == 39
    assert "| series per key that the recording rules add | 39 |" in PAGE.read_text(
        encoding="utf-8"
    )


def test_no_rule_reads_what_the_page_drops():
    (pattern,) = re.findall(
        r"regex: (cometapi_key_.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    rules = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "deploy/prometheus/rules").glob("*.yml")
    )

    assert [
        name for name in re.findall(r"cometapi_key_\w+", rules) if re.fullmatch(pattern, name)
    ] == []


def test_what_is_sent_to_long_term_storage_is_ours_and_the_alerts():
    text = INTEGRATIONS.read_text(encoding="utf-8")
    (pattern,) = re.findall(r"regex: (\(.+:\).+)$", text, re.MULTILINE)
    sent = [
        "cometapi_key_used_quota",
        "cometapi_exporter_refreshes_total",
        "key:cometapi_key_used_quota:deriv1h",
        "cometapi:threshold:quota_low_ratio",
        "ALERTS",
        "up",
    ]

    assert [name for name in sent if not re.fullmatch(pattern, name)] == []
    assert not re.fullmatch(pattern, "node_load1")

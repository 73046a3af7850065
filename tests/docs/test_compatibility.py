"""What was released keeps its names: metrics, flags, variables and the configuration file.

`tests/golden/release` is what users have had since the last release. A line leaves it only with a
fragment `changelog.d/*.removed.md` that names it, or together with a new major version.
"""

import re
from pathlib import Path

import pytest
import trustme
from dashboards.committed import BOTH
from dashboards.queries import all_expressions
from promises import FLAGS, METRICS, MODES, SERIES

from exporter import parsers
from exporter.exposition.catalogue import EXPERIMENTAL, SNAPSHOT_FAMILIES
from exporter.exposition.telemetry import TELEMETRY_FAMILIES
from exporter.settings.load import load_settings
from exporter.settings.options import MODES as KNOWN_MODES
from exporter.settings.options import OPTIONS, mode_flag
from exporter.thresholds import Threshold

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "tests/golden/release"
FAMILIES = {family.name: family for family in (*SNAPSHOT_FAMILIES, *TELEMETRY_FAMILIES)}
RELEASED = [
    tuple(line.split())
    for line in (RELEASE / "families.txt").read_text(encoding="utf-8").splitlines()
]
REMOVED = "\n".join(
    path.read_text(encoding="utf-8") for path in ROOT.glob("changelog.d/*.removed.md")
)


@pytest.mark.parametrize(("name", "kind", "labels"), RELEASED, ids=[name for name, *_ in RELEASED])
def test_a_stable_family_keeps_its_type_and_its_labels(name, kind, labels):
    if f"`{name}`" in REMOVED:
        return
    family = FAMILIES[name]

    assert (family.kind, family.labels, family.stage) == (
        kind,
        tuple(filter("-".__ne__, labels.split(","))),
        "stable",
    )


def test_every_stable_family_is_on_record():
    stable = {name for name, family in FAMILIES.items() if family.stage != EXPERIMENTAL}

    assert stable == {name for name, *_ in RELEASED} - {
        name for name, *_ in RELEASED if f"`{name}`" in REMOVED
    }


def test_the_families_are_the_promised_ones_with_their_types_and_labels():
    assert {name: (family.kind, family.labels) for name, family in FAMILIES.items()} == METRICS


def test_dashboards_show_what_was_promised():
    queries = [query for board in BOTH for query in all_expressions(board)]
    asked = {name for query in queries for name in re.findall(r"cometapi_\w+(?=[{,])", query)}

    assert asked
    assert asked <= SERIES


def test_a_stage_is_one_of_the_two_that_are_explained():
    assert {family.stage for family in FAMILIES.values()} == {"stable", "experimental"}


def test_the_flags_are_the_promised_ones():
    modes = {*map(mode_flag, KNOWN_MODES), "--version", "--help"}

    assert {option.flag for option in OPTIONS} | modes == {*FLAGS, *MODES}


def test_the_accounts_file_of_the_last_release_is_read_as_it_was(tmp_path):
    (tmp_path / "accounts.yml").write_text((RELEASE / "accounts.yml").read_text(encoding="utf-8"))
    (tmp_path / "production.token").write_text("token")
    (tmp_path / "ca.pem").write_bytes(trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes())

    settings = load_settings(
        {"config_file": str(tmp_path / "accounts.yml")}, {"RESEARCH_TOKEN": "token"}
    )
    production, research = settings.accounts

    assert settings.max_requests_per_minute == 40
    assert (production.name, production.base_url, production.user_id) == (
        "production",
        "https://gateway.example.org",
        17,
    )
    assert (production.quota_per_usd, production.ca_file) == (500_000.0, tmp_path / "ca.pem")
    assert production.monthly_budget_usd == 2000.0
    assert (production.interval, production.timeout, production.stale_after) == (
        300.0,
        20.0,
        3600.0,
    )
    assert (production.concurrency, production.usage, production.usage_max_series) == (
        1,
        "key-model",
        100,
    )
    assert (production.keys_max, production.keys_counts_only) == (100, True)
    assert (production.keys_include, production.keys_exclude) == (
        parsers.pattern("web/.*"),
        parsers.pattern("web/old"),
    )
    common = Threshold(
        keys=parsers.pattern("production/.*"),
        low_quota_usd=50.0,
        expiry_warning=30 * 86_400.0,
        daily_budget_usd=20.0,
        monthly_budget_usd=400.0,
    )
    assert production.thresholds.entries == (Threshold(low_quota_usd=5.0), common)
    assert (research.interval, research.timeout, research.stale_after) == (600.0, 15.0, 7200.0)
    assert (research.keys_max, research.usage_max_series, research.thresholds.entries) == (
        5000,
        500,
        (common,),
    )

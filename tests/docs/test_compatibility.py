"""What was released keeps its names: metrics, flags, variables and the configuration file.

`tests/golden/release` is what users have had since the last release. A line leaves it only with a
fragment `changelog.d/*.removed.md` that names it, or together with a new major version.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trustme
from builders import wire_keys
from dashboards.committed import ALL
from dashboards.queries import all_expressions
from edges import bearer_only, numbers, on, with_exponent
from gateway import GROUPS_PATH, KEYS_PATH, Answer, Gateway, PassOn, Request
from promises import FLAGS, METRICS, MODES, SERIES
from sessions import Session
from variants import an_aihubmix_key, groups_as_texts

from exporter import parsers
from exporter.cometapi.trust import GivenFile
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


OPEN = {"default": {"desc": "x", "ratio": 1}, "vip": {"desc": "x", "ratio": 0.8}}


def in_group(group: str) -> list[dict[str, Any]]:
    return [key | {"group": group} for key in wire_keys(130)]


def documented_numbers(_: Request, pass_on: PassOn) -> Answer:
    """Send the keys as AIHubMix documents them."""
    page = json.loads(pass_on().body)
    page["data"]["items"] = [an_aihubmix_key(key) for key in page["data"]["items"]]
    return Answer(body=json.dumps(page).encode())


# Each row of the table with a gateway as it is documented, and how the exporter is set.
RELATIVES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "one-hub, done-hub": ({"variant": "one-hub"}, {}),
    "one-api": ({"variant": "one-api"}, {}),
    "APIYI, laozhang.ai, yelinai": ({"variant": "apiyi"}, {}),
    "AIHubMix": ({"edges": [on(KEYS_PATH, documented_numbers)]}, {}),
    "V-API": ({"offers": {GROUPS_PATH: groups_as_texts("default", "vip")}}, {}),
    "Crazyrouter": ({"edges": [bearer_only()]}, {"auth_scheme": "bearer"}),
    "AIOHub, fast-token, aimanyi": (
        {"keys": in_group("gone, vip"), "offers": {GROUPS_PATH: OPEN}},
        {},
    ),
    "gateways behind a proxy that encodes JSON again": (
        {"edges": [numbers(with_exponent, "id", "remain_quota", "used_quota", "total", "quota")]},
        {},
    ),
}


def documented() -> list[str]:
    text = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
    table = text.partition("<!-- begin relatives -->")[2].partition("<!-- end relatives -->")[0]
    return [line.split("|")[1].strip() for line in table.strip().splitlines()[2:]]


def test_every_relative_in_the_table_is_run():
    assert documented() == list(RELATIVES)


@pytest.mark.parametrize("name", RELATIVES)
def test_every_key_of_a_relative_is_listed_as_it_is_documented(name):
    described, settings = RELATIVES[name]
    with Gateway(**({"keys": wire_keys(130)} | described)) as gateway:
        listing = Session(url=gateway.url, **settings).keys()

    assert sorted(key.id for key in listing.keys) == list(range(1, 131))
    assert (listing.skipped, listing.unread) == (0, frozenset())


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
    queries = [query for board in ALL for query in all_expressions(board)]
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
    assert production.quota_per_usd == 500_000.0
    assert production.ca_file == GivenFile(tmp_path / "ca.pem")
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

"""Generated documents agree with the code, and examples are accepted by what they are for."""

import re
import runpy
from pathlib import Path

import pytest
import yaml
from binaries import require
from processes import output_of

from exporter.settings.config_file import COLLECT_KEYS, FILTER_KEYS, GATEWAY_KEYS, THRESHOLD_KEYS
from exporter.settings.load import load_settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")

TESTS = {
    path.name
    for folder in ("unit", "integration", "reliability", "e2e", "manifests", "docs", "rules")
    for path in (ROOT / "tests" / folder).rglob("test_*.py")
}
TESTS |= {path.name for path in (ROOT / "tests").glob("test_*.py")}


def yaml_blocks(text: str = README) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)


GENERATORS = (
    "scripts/generate_docs.py",
    "scripts/manual.py",
    "deploy/grafana/build.py",
    "deploy/prometheus/build.py",
    "deploy/kubernetes/generate.py",
    "deploy/helm/readme.py",
)


@pytest.mark.parametrize("generator", GENERATORS)
def test_what_is_generated_is_up_to_date(monkeypatch, generator):
    monkeypatch.syspath_prepend((ROOT / generator).parent)
    written = runpy.run_path(str(ROOT / generator))["outputs"]()

    assert written
    assert [
        path for path, text in written.items() if path.read_text(encoding="utf-8") != text
    ] == []


def test_make_docs_runs_every_generator():
    recipe = re.findall(
        r"^docs:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert re.findall(r"\S+\.py", recipe[0]) == [*GENERATORS]


@pytest.mark.parametrize("document", [README, CONFIGURATION], ids=["README.md", "configuration.md"])
def test_the_accounts_example_loads(tmp_path, document):
    example = next(block for block in yaml_blocks(document) if "accounts:" in block)
    (tmp_path / "accounts.yml").write_text(example)
    (tmp_path / "production.token").write_text("token")

    settings = load_settings(
        {"config_file": str(tmp_path / "accounts.yml")}, {"RESEARCH_TOKEN": "token"}
    )

    assert [(account.name, account.interval) for account in settings.accounts] == [
        ("production", 60),
        ("research", 300),
    ]


def test_every_key_of_the_accounts_file_is_documented():
    keys = (
        {f"keys.{key}" for key in FILTER_KEYS}
        | {f"collect.{key}" for key in COLLECT_KEYS}
        | {*GATEWAY_KEYS}
    )
    keys |= {*THRESHOLD_KEYS, "access_token_env"}

    assert {key for key in keys if f"{key}`" not in CONFIGURATION} == set()


CONFIGURATIONS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    for number, block in enumerate(yaml_blocks(path.read_text(encoding="utf-8")))
    if yaml.safe_load(block).keys() & {"scrape_configs", "remote_write"}
]


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_what_documents_show_for_prometheus_is_taken_by_it(tmp_path, block):
    (tmp_path / "prometheus.yml").write_text(block, encoding="utf-8")

    assert "SUCCESS" in output_of(
        require("promtool"), "check", "config", tmp_path / "prometheus.yml"
    )


@pytest.mark.parametrize(
    "path",
    [
        *sorted(ROOT.glob("docs/*.md")),
        *ROOT.glob("*.md"),
        ROOT / "tests/README.md",
        ROOT / "benchmarks/README.md",
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_relative_links_and_names_of_tests_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", text)

    assert [link for link in links if not (path.parent / link).exists()] == []
    assert set(re.findall(r"\btest_\w+\.py", text)) <= TESTS


def anchors_of(path):
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("deploy/**/*.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_to_a_section_lead_to_a_heading(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(((?!https?://)[^)#]*)#([^)]+)\)", text)
    targets = [(path.parent / file if file else path, anchor) for file, anchor in links]

    assert [
        f"{target.name}#{anchor}"
        for target, anchor in targets
        if target.suffix == ".md" and anchor not in anchors_of(target)
    ] == []


def test_the_index_leads_to_every_page():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")

    assert [
        path.name
        for path in sorted(ROOT.glob("docs/*.md"))
        if path.name != "index.md" and f"]({path.name})" not in index
    ] == []

"""The pages about the project itself: one tagline everywhere, and instructions that work."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from processes import output_of, run_exporter

ROOT = Path(__file__).resolve().parents[2]
TAGLINE = (
    "Prometheus exporter for the API keys of CometAPI accounts and of any gateway compatible with "
    "New API"
)
PLACES = (
    "README.md",
    "pyproject.toml",
    "Dockerfile",
    "deploy/systemd/cometapi-exporter.service",
    "deploy/helm/cometapi-exporter/Chart.yaml",
    "deploy/helm/cometapi-exporter/README.md",
    "man/cometapi-exporter.1",
)


def plain(text: str) -> str:
    """Return *text* without links, and with every white space as one blank."""
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("place", PLACES)
def test_the_tagline_is_the_same_everywhere(place):
    assert TAGLINE in plain((ROOT / place).read_text(encoding="utf-8"))


def test_the_help_has_the_tagline_the_modes_first_examples_and_the_documentation():
    text = run_exporter("-h").stdout
    sections = re.findall(r"^([a-z]+):$", text, re.MULTILINE)

    assert TAGLINE in plain(text)
    assert (sections[0], sections[-1]) == ("modes", "examples")
    assert text.count("\n    cometapi-exporter --") == 3
    assert text.splitlines()[-1].startswith("Documentation: https://")
    assert max(map(len, text.splitlines())) <= 100


def test_the_manual_page_is_packaged_where_man_looks_for_it():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert wheel["shared-data"] == {"man/cometapi-exporter.1": "share/man/man1/cometapi-exporter.1"}


COMMANDS = re.findall(
    r"^\.venv/bin/python -m (pytest .+)$",
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("command", COMMANDS)
def test_contributors_find_the_tests_that_the_guide_names(command):
    places = [word for word in shlex.split(command) if word.startswith("tests/")]

    assert places
    for place in places:
        path, _, name = place.partition("::")
        assert (ROOT / path).exists()
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_the_bug_form_asks_for_no_token_and_vulnerabilities_go_to_the_private_form():
    folder = ROOT / ".github/ISSUE_TEMPLATE"
    bug = yaml.safe_load((folder / "bug.yml").read_text(encoding="utf-8"))
    config = yaml.safe_load((folder / "config.yml").read_text(encoding="utf-8"))

    assert "Never paste an access token" in bug["body"][0]["attributes"]["value"]
    assert config["contact_links"][0]["url"].endswith("/security/advisories/new")


def test_make_bench_changes_no_document_unless_asked():
    assert "benchmarks/run.py --write" not in output_of("make", "-n", "-C", ROOT, "bench")
    assert "--write" in output_of("make", "-n", "-C", ROOT, "bench", "ARGS=--write")

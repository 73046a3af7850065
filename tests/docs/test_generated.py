"""Generated documents agree with the code, and examples are accepted by what they are for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from binaries import require

from exporter.settings.config_file import COLLECT_KEYS, FILTER_KEYS, GATEWAY_KEYS, THRESHOLD_KEYS
from exporter.settings.load import load_settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")


def yaml_blocks(text: str = README) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)


def test_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/generate_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("document", [README, CONFIGURATION], ids=["README.md", "configuration.md"])
def test_the_accounts_example_loads(tmp_path, document):
    example = next(block for block in yaml_blocks(document) if "accounts:" in block)
    (tmp_path / "accounts.yml").write_text(example)
    (tmp_path / "production.token").write_text("token")

    settings = load_settings({"config_file": str(tmp_path / "accounts.yml")}, {"RESEARCH_TOKEN": "token"})

    assert [(account.name, account.interval) for account in settings.accounts] == [
        ("production", 60),
        ("research", 300),
    ]


def test_every_key_of_the_accounts_file_is_documented():
    keys = {f"keys.{key}" for key in FILTER_KEYS} | {f"collect.{key}" for key in COLLECT_KEYS} | {*GATEWAY_KEYS}
    keys |= {*THRESHOLD_KEYS, "access_token_env"}

    assert {key for key in keys if f"{key}`" not in CONFIGURATION} == set()


def test_the_scrape_example_is_taken_by_prometheus(tmp_path):
    example = next(block for block in yaml_blocks() if "scrape_configs:" in block)
    (tmp_path / "prometheus.yml").write_text(example)

    done = subprocess.run(
        [require("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=lambda path: path.name)
def test_relative_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []


def test_yaml_examples_are_yaml():
    for block in yaml_blocks():
        assert yaml.safe_load(block)

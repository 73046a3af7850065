"""The PromQL queries that documents show are valid, select series that exist, and return something."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from binaries import require
from processes import output_of
from promises import METRICS, SERIES

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
RECORDS = {
    rule["record"]
    for path in RULES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "record" in rule
}
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("deploy/**/*.md")),
]
EXAMPLES = {
    name: entry["example"]
    for name, entry in tomllib.loads(
        (ROOT / "docs/families.toml").read_text(encoding="utf-8")
    ).items()
}
# The label values that the examples select.
LABEL_VALUES = {"status": "enabled", "ip_allowlist": "false"}
COMPARISON = re.compile(r" (==|!=|<=|>=|<|>) ")


def blocks_of(path: Path) -> list[str]:
    """Return the PromQL blocks of a document."""
    return re.findall(r"```promql\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def queries_of(path: Path) -> list[str]:
    """Return the queries of a document: each line of the runbooks is one, and each other block."""
    blocks = blocks_of(path)
    if path.name == "runbooks.md":
        return [line for block in blocks for line in block.splitlines()]
    return blocks


WITH_QUERIES = [path for path in DOCUMENTS if blocks_of(path)]


def write_rules(path: Path, queries: dict[str, str]) -> Path:
    """Write a rule file with a rule for each query, by the name that it records."""
    rules = [{"record": name, "expr": query} for name, query in queries.items()]
    path.write_text(yaml.safe_dump({"groups": [{"name": "documents", "rules": rules}]}))
    return path


@pytest.mark.parametrize("path", WITH_QUERIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_queries_of_a_document_are_valid(tmp_path: Path, path: Path) -> None:
    queries = {f"query:{number}": query for number, query in enumerate(queries_of(path))}
    rules = write_rules(tmp_path / "queries.yml", queries)

    printed = output_of(require("promtool"), "check", "rules", rules)

    assert f"{len(queries)} rules found" in printed


@pytest.mark.parametrize("path", WITH_QUERIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_queries_of_a_document_select_series_that_exist(path: Path) -> None:
    code = "\n".join(re.sub(r"#.*", "", block) for block in blocks_of(path))
    recorded = set(re.findall(r"[a-z]+:[a-z_]+:\w+", code))
    scraped = set(re.findall(r"(?<![\w:\"/-])cometapi_\w+(?!\w|:)", code))

    assert recorded <= RECORDS
    assert scraped <= SERIES


def test_every_example_of_the_reference_returns_something(tmp_path: Path) -> None:
    """Comparisons are made to keep all values, so that only labels that do not match lose one."""
    queries = {
        f"example:{name}": f"vector(1) and on () ({COMPARISON.sub(keeping_all, example)})"
        for name, example in EXAMPLES.items()
    }
    rules = write_rules(tmp_path / "examples.yml", queries)
    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": "1+1x2900"} for one in series()],
        "promql_expr_test": [
            {
                "expr": '{__name__=~"example:.+"}',
                "eval_time": "48h",
                "exp_samples": [{"labels": name, "value": 1} for name in sorted(queries)],
            }
        ],
    }
    document = {"rule_files": [str(rules)], "evaluation_interval": "48h", "tests": [test]}
    path = tmp_path / "examples.test.yml"
    path.write_text(yaml.safe_dump(document))

    assert "SUCCESS" in output_of(require("promtool"), "test", "rules", path, seconds=100)


def keeping_all(comparison: re.Match[str]) -> str:
    return f" {comparison[1]} bool "


def series() -> list[str]:
    """Return one series of each metric, with the labels that Prometheus adds."""
    found = []
    for family, (kind, labels) in METRICS.items():
        parts = ("_sum", "_count") if kind == "histogram" else ("",)
        values = {label: LABEL_VALUES.get(label, label) for label in labels}
        values |= {"job": "cometapi-exporter", "instance": "127.0.0.1:10144"}
        text = ",".join(f'{label}="{value}"' for label, value in values.items())
        found += [f"{family}{part}{{{text}}}" for part in parts]
    return found

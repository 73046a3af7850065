"""Write the tables of the documents from the code: flags, the configuration file, metrics, reasons.

In a document a generated part is between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from exporter.errors import Reason
from exporter.exposition.catalogue import EXPERIMENTAL, SNAPSHOT_FAMILIES, Family
from exporter.exposition.telemetry import TELEMETRY_FAMILIES
from exporter.settings.config_file import PER_HOST
from exporter.settings.options import (
    FILE_ACCOUNT_OPTIONS,
    MODES,
    OPTIONS,
    POLICY_GROUPS,
    POLICY_GROUPS_HELP,
    POLICY_OPTIONS,
    THRESHOLD_OPTIONS,
    TOKEN_VARIABLE,
    Option,
    mode_flag,
)

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = (*SNAPSHOT_FAMILIES, *TELEMETRY_FAMILIES)
MAIN_FLAGS = (
    "--cometapi.access-token-file",
    "--cometapi.base-url",
    "--cometapi.user-id",
    "--config.file",
    "--collect.interval",
    "--collect.max-requests-per-minute",
    "--keys.include",
    "--web.listen-address",
    "--web.config.file",
    "--log.level",
)
MAIN_METRICS = (
    "cometapi_up",
    "cometapi_key_remaining_quota",
    "cometapi_key_used_quota",
    "cometapi_key_expiry_timestamp_seconds",
    "cometapi_key_usable",
    "cometapi_keys",
    "cometapi_keys_unusable",
    "cometapi_account_remaining_quota",
    "cometapi_usage_quota_total",
    "cometapi_exporter_last_success_timestamp_seconds",
)
REFERENCE = tomllib.loads((ROOT / "docs" / "families.toml").read_text(encoding="utf-8"))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; pipes in cells are escaped."""
    head = list(header)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def flags() -> str:
    """Return the table of every flag with its variable and default."""
    token = (
        "(not available as a flag, because command lines are visible in `ps`)",
        f"`{TOKEN_VARIABLE}`",
        "",
        "The access token.",
    )
    rows = [_flag_row(option) for option in OPTIONS]
    modes = [(f"`{mode_flag(mode)}`", "", "", text) for mode, text in MODES.items()]
    modes.append(("`--version`, `--help`", "", "", ""))
    return table(("flag", "environment variable", "default", "meaning"), [token, *rows, *modes])


def main_flags() -> str:
    """Return the short table of flags."""
    options = {option.flag: option for option in OPTIONS}
    rows = [_flag_row(options[flag]) for flag in MAIN_FLAGS]
    return table(
        ("flag", "default", "meaning"), [(f, default, text) for f, _, default, text in rows]
    )


def _flag_row(option: Option) -> tuple[str, ...]:
    default = "" if option.default is None else f"`{option.default}`"
    return (f"`{option.flag}`", f"`{option.variable}`", default, _help(option))


def _help(option: Option) -> str:
    return re.sub(r"(<\w+>(/<\w+>)?)", r"`\1`", option.help)


def account_keys() -> str:
    """Return the table of the configuration file's fields that are options too."""
    rows = []
    for option in OPTIONS:
        if option.key == "account_name":
            rows.append(("`accounts[].name`", f"`{option.flag}`", ""))
        elif option.group == "cometapi":
            rows.append((f"`accounts[].{option.key}`", f"`{option.flag}`", ""))
        elif option.group in ("collect", "keys"):
            key = f"{option.group}.{option.key.removeprefix('keys_')}"
            rows.append(
                (
                    f"`{key}`",
                    f"`{option.flag}`",
                    "" if option.key == PER_HOST else f"`accounts[].{key}`",
                )
            )
    rows += [
        (f"`accounts[].{option.key}`", f"(no flag) {_help(option)}", "")
        for option in FILE_ACCOUNT_OPTIONS
    ]
    return table(("key", "same as", "for one account"), rows)


def threshold_keys() -> str:
    """Return the table of the keys of a threshold."""
    return table(
        ("key", "meaning"), [(f"`{option.key}`", _help(option)) for option in THRESHOLD_OPTIONS]
    )


def policy_keys() -> str:
    """Return the table of the fields of a policy."""
    rows = [(f"`{option.key}`", _help(option)) for option in POLICY_OPTIONS]
    return table(("field", "requirement"), [*rows, (f"`{POLICY_GROUPS}`", POLICY_GROUPS_HELP)])


def main_metrics() -> str:
    """Return the short table of metric families."""
    families = {family.name: family for family in FAMILIES}
    rows = [(f"`{name}`", families[name].help) for name in MAIN_METRICS]
    return table(("metric", "meaning"), rows)


def reference() -> str:
    """Return one table for each subject, with one row for each metric family."""
    subjects: dict[str, list[Family]] = {}
    for family in FAMILIES:
        subjects.setdefault(_subject(family), []).append(family)
    return "\n\n".join(_families(subject, members) for subject, members in subjects.items())


def _subject(family: Family) -> str:
    """Return the heading that a metric family stands under."""
    if family.name.startswith("cometapi_usage_"):
        return "Spending"
    if family.name.startswith("cometapi_exporter_"):
        return "The exporter"
    if "key_id" in family.labels:
        return "One key"
    if family.name.startswith("cometapi_key"):
        return "The keys of an account"
    return "Accounts and gateways"


def _families(subject: str, families: Sequence[Family]) -> str:
    """Return the heading, the labels that all *families* have, and their table."""
    common = [label for label in families[0].labels if all(label in f.labels for f in families)]
    lines = [f"### {subject}", ""]
    header = "labels"
    if common:
        lines += [f"Labels of every series: {_codes(common)}.", ""]
        header = "further labels"
    rows = [_family_row(family, common) for family in families]
    return "\n".join([*lines, table(("metric", "type", header, "meaning", "example"), rows)])


def _family_row(family: Family, common: Sequence[str]) -> tuple[str, ...]:
    about = REFERENCE[family.name]
    meaning = family.help
    if "absent" in about:
        meaning += f" Absent {about['absent']}."
    kind = family.kind
    if family.stage == EXPERIMENTAL:
        kind += ", experimental"
    further = [label for label in family.labels if label not in common]
    name = f'<a id="{family.name}"></a>`{family.name}`'
    return (name, kind, _codes(further), meaning, f"`{about['example']}`")


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def experimental() -> str:
    """Return the list of the families that may still change."""
    return "\n".join(f"- `{family.name}`" for family in FAMILIES if family.stage == EXPERIMENTAL)


def reasons() -> str:
    """Return the table of reasons and what to do about each."""
    return table(("reason", "what to do"), [(f"`{reason}`", reason.advice) for reason in Reason])


def layers() -> str:
    """Return the drawing of the layers, from the import contract."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    names = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    widest = max(len(layer) for layer in names)
    lines = []
    for layer in names:
        lines += [f"+-{'-' * widest}-+", f"| {layer.center(widest)} |"]
    return "\n".join(["```text", *lines, f"+-{'-' * widest}-+", "```"])


PARTS: dict[str, Callable[[], str]] = {
    "flags": flags,
    "main-flags": main_flags,
    "account-keys": account_keys,
    "threshold-keys": threshold_keys,
    "policy-keys": policy_keys,
    "main-metrics": main_metrics,
    "metrics-reference": reference,
    "experimental": experimental,
    "reasons": reasons,
    "layers": layers,
}


def updated(text: str) -> str:
    """Return *text* with every generated part replaced."""
    for name, make in PARTS.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        body = make()
        text = re.sub(
            pattern, lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text, flags=re.DOTALL
        )
    return text


def outputs() -> dict[Path, str]:
    """Return the text of every document by its path."""
    paths = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    return {path: updated(path.read_text(encoding="utf-8")) for path in paths}


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")

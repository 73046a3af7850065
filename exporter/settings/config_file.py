"""Read the configuration file into raw values by option; each knows its place in the file.

Talks to: that one file. Judges its shape alone: what a text means is for `load` to say, with the
parsers that read flags too. Every value is a text, so `interval: 60s`, `user_id: 7` and `name:
0815` need no quotes.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from exporter.files import read_text
from exporter.parsers import account_name
from exporter.problems import Problem
from exporter.settings.options import (
    FILE_ACCOUNT_OPTIONS,
    OPTIONS,
    POLICY_GROUPS,
    POLICY_OPTIONS,
    THRESHOLD_OPTIONS,
)
from exporter.settings.values import RawValue, RawValues
from exporter.strict_yaml import Section, YamlError, load_yaml


def _keys_of(group: str) -> tuple[str, ...]:
    return tuple(option.key for option in OPTIONS if option.group == group)


PER_HOST = "max_requests_per_minute"
GATEWAY_KEYS = (
    "access_token_env",
    # The name of an account in the file is its field `name`.
    *(key for key in _keys_of("cometapi") if key != "account_name"),
)
BUDGET_KEYS = tuple(option.key for option in FILE_ACCOUNT_OPTIONS)
COLLECT_KEYS = _keys_of("collect")
OWN_COLLECT_KEYS = tuple(key for key in COLLECT_KEYS if key != PER_HOST)
FILTER_KEYS = tuple(key.removeprefix("keys_") for key in _keys_of("keys"))
THRESHOLD_KEYS = tuple(option.key for option in THRESHOLD_OPTIONS)
POLICY_KEYS = (*(option.key for option in POLICY_OPTIONS), POLICY_GROUPS)
BLOCKS = ("collect", "keys", "thresholds", "policies")
TOP_KEYS = ("accounts", *COLLECT_KEYS, *BLOCKS)
ACCOUNT_KEYS = ("name", *GATEWAY_KEYS, *BUDGET_KEYS, *OWN_COLLECT_KEYS, *BLOCKS)
TOKEN_KEYS = ("access_token", "access_token_file", "access_token_env")
REFUSED = {
    "access_token": (
        "do not write the token into this file: use access_token_file or access_token_env"
    ),
    PER_HOST: "applies per host: set it at the top, under collect",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEntry:
    """What is written for one threshold: raw values by option; *source* names its place."""

    source: str
    options: RawValues


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry:
    """What is written for one policy: raw values by option, and the *groups*, None where left out.

    *source* is its place as messages name it, *line* that in the file, counted from 1.
    """

    source: str
    line: int
    options: RawValues
    groups: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is written for one account, or for all of them: raw values by option.

    `access_token_env` is among them, though it is no option. *token_place* is how messages name the
    place where the account's token belongs. *names_a_token* is true where something is written
    there, even if it is wrong.
    """

    name: str = ""
    token_place: str = ""
    names_a_token: bool = False
    options: RawValues = field(default_factory=dict)
    thresholds: tuple[ThresholdEntry, ...] = ()
    policies: tuple[PolicyEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What the file says for *all* accounts, and for each of *accounts*."""

    all: Entry = Entry()
    accounts: tuple[Entry, ...] = ()


def read_config_file(path: Path, problems: list[Problem]) -> ConfigFile:
    """Read the file at *path*; what is wrong is left out and added to *problems*.

    Raises OSError if the file cannot be read at all.
    """
    try:
        document = load_yaml(read_text(path))
    except YamlError as error:
        problems.extend(Problem(str(path), problem) for problem in error.problems)
        return ConfigFile()
    return parse_config(document, path, problems)


def parse_config(document: object, path: Path, problems: list[Problem]) -> ConfigFile:
    """Judge the shape of a decoded *document*, the content of the file at *path*."""
    top = Section(document, f"{path}: ", problems).only(TOP_KEYS, REFUSED)
    if not top.is_usable:
        return ConfigFile()
    names: set[str] = set()
    accounts = [
        _account(section, path.parent, names)
        for section in top.sections("accounts", at_least_one="account")
    ]
    return ConfigFile(all=_for_all(top, path.parent), accounts=tuple(accounts))


def _for_all(top: Section, folder: Path) -> Entry:
    return Entry(
        options=_options(top, folder, COLLECT_KEYS),
        thresholds=_thresholds(top, folder),
        policies=_policies(top, folder),
    )


def _account(section: Section, folder: Path, names: set[str]) -> Entry:
    section.only(ACCOUNT_KEYS, REFUSED)
    return Entry(
        name=_name(section, names),
        token_place=f"{section.at('access_token_file')} or access_token_env",
        names_a_token=any(section.has(key) for key in TOKEN_KEYS),
        options={
            **_raw_values(section, folder, (*GATEWAY_KEYS, *BUDGET_KEYS)),
            **_options(section, folder, OWN_COLLECT_KEYS),
        },
        thresholds=_thresholds(section, folder),
        policies=_policies(section, folder),
    )


def _name(section: Section, names: set[str]) -> str:
    """Return the account's name, which must not be among *names* yet."""
    name = section.text("name")
    try:
        account_name(name)
    except ValueError as error:
        section.complain("name", str(error))
    if name in names:
        section.complain("name", "taken by an account before: each requires a unique name")
    names.add(name)
    return name


def _options(section: Section, folder: Path, collect_keys: Collection[str]) -> RawValues:
    """Read the fields of `collect`, which may also stand outside of it, and those of `keys`."""
    collect = section.section("collect").only(collect_keys, REFUSED)
    filters = _raw_values(section.section("keys").only(FILTER_KEYS), folder, FILTER_KEYS)
    return {
        **_raw_values(collect, folder, collect_keys),
        **_raw_values(section, folder, collect_keys),
        **{f"keys_{key}": raw for key, raw in filters.items()},
    }


def _thresholds(section: Section, folder: Path) -> tuple[ThresholdEntry, ...]:
    return tuple(_threshold(each, folder) for each in section.sections("thresholds"))


def _threshold(section: Section, folder: Path) -> ThresholdEntry:
    raw_values = _raw_values(section.only(THRESHOLD_KEYS), folder, THRESHOLD_KEYS)
    return ThresholdEntry(source=section.place, options=raw_values)


def _policies(section: Section, folder: Path) -> tuple[PolicyEntry, ...]:
    return tuple(_policy(each.only(POLICY_KEYS), folder) for each in section.sections("policies"))


def _policy(section: Section, folder: Path) -> PolicyEntry:
    groups = section.texts(POLICY_GROUPS, example='[production, ""]')
    return PolicyEntry(
        source=section.place,
        line=section.line,
        options=_raw_values(section, folder, tuple(option.key for option in POLICY_OPTIONS)),
        groups=None if groups is None else tuple(groups),
    )


def _raw_values(section: Section, folder: Path, keys: Collection[str]) -> dict[str, RawValue]:
    raw_values = {}
    for key in keys:
        text = section.text(key)
        if text:
            raw_values[key] = RawValue(text, section.at(key), folder)
    return raw_values

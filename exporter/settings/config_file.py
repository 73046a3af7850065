"""Read the YAML file with several accounts into texts by option key; each text knows its place in the file.

Talks to: that one file. Judges the file's shape alone: what a text means is for `settings` to say, with the parsers
that read flags too. Every value is a text, so `interval: 60s`, `user_id: 7` and `name: 0815` need no quotes.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from exporter.files import read_text
from exporter.settings.options import OPTIONS, THRESHOLD_OPTIONS
from exporter.settings.texts import Given, Texts
from exporter.strict_yaml import Section, YamlError, load_yaml

PER_HOST = "max_requests_per_minute"
GATEWAY_KEYS = tuple(option.key for option in OPTIONS if option.group == "cometapi")
COLLECT_KEYS = tuple(option.key for option in OPTIONS if option.group == "collect")
FILTER_KEYS = tuple(option.key.removeprefix("keys_") for option in OPTIONS if option.group == "keys")
THRESHOLD_KEYS = tuple(option.key for option in THRESHOLD_OPTIONS)
OWN_COLLECT_KEYS = tuple(key for key in COLLECT_KEYS if key != PER_HOST)
TOP_KEYS = ("accounts", "collect", *COLLECT_KEYS, "keys", "thresholds")
ACCOUNT_KEYS = ("name", "access_token_env", *GATEWAY_KEYS, "collect", *OWN_COLLECT_KEYS, "keys", "thresholds")
REFUSED = {
    "access_token": "do not write the token into this file: use access_token_file or access_token_env",
    PER_HOST: "belongs to the host: set it at the top, under collect",
}
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One account: *where* it is written, and its texts by option key."""

    name: str
    where: str
    options: Texts = field(default_factory=dict)
    token_variable: Given | None = None
    thresholds: tuple[Texts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """The file's content: texts by option key for all accounts, the accounts, and everything wrong with its shape."""

    options: Texts = field(default_factory=dict)
    accounts: tuple[AccountEntry, ...] = ()
    thresholds: tuple[Texts, ...] = ()
    problems: tuple[str, ...] = ()


def read_config_file(path: Path) -> ConfigFile:
    """Read the file at *path*; what is wrong with it is left out and noted as a problem."""
    try:
        return parse_config(load_yaml(read_text(path)), path)
    except OSError as error:
        problem = f"cannot read the file: {error.strerror}"
    except YamlError as error:
        problem = "; ".join(error.problems)
    return ConfigFile(problems=(f"{path}: {problem}",))


def parse_config(document: object, path: Path) -> ConfigFile:
    """Judge the shape of a decoded *document*, the content of the file at *path*."""
    reading = _Reading(path, [])
    top = Section.of(document, "", reading.problems).only(TOP_KEYS, REFUSED)
    entries = top.sections("accounts")
    if not entries:
        top.complain("accounts", "expected a list with at least one account")
    accounts = tuple(reading.account(entry) for entry in entries)
    names = [account.name for account in accounts]
    for place, name in enumerate(names):
        if name in names[:place]:
            entries[place].complain("name", f"{name!r} is taken: each account requires a unique name")
    return ConfigFile(
        options=reading.options(top, COLLECT_KEYS),
        accounts=accounts,
        thresholds=reading.thresholds(top),
        problems=tuple(f"{path}: {problem}" for problem in reading.problems),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of the file at *path*: makes texts out of sections."""

    path: Path
    problems: list[str]

    def account(self, section: Section) -> AccountEntry:
        section.only(ACCOUNT_KEYS, REFUSED)
        name = section.text("name").strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            section.complain("name", f"expected 1 to {LONGEST_NAME} printable characters: it becomes a label")
        return AccountEntry(
            name=name or section.place,
            where=self._where(section, ""),
            options={**self._texts(section, GATEWAY_KEYS), **self.options(section, OWN_COLLECT_KEYS)},
            token_variable=self._texts(section, ["access_token_env"]).get("access_token_env"),
            thresholds=self.thresholds(section),
        )

    def options(self, section: Section, collect_keys: Collection[str]) -> dict[str, Given]:
        """Read the collect options, which may be in `collect` or beside it, and the options in `keys`."""
        collect = section.section("collect").only(collect_keys, REFUSED)
        filters = self._texts(section.section("keys").only(FILTER_KEYS), FILTER_KEYS)
        return {
            **self._texts(collect, collect_keys),
            **self._texts(section, collect_keys),
            **{f"keys_{key}": given for key, given in filters.items()},
        }

    def thresholds(self, section: Section) -> tuple[Texts, ...]:
        return tuple(self._texts(each.only(THRESHOLD_KEYS), THRESHOLD_KEYS) for each in section.sections("thresholds"))

    def _texts(self, section: Section, keys: Collection[str]) -> dict[str, Given]:
        return {
            key: Given(text, self._where(section, key), self.path.parent) for key in keys if (text := section.text(key))
        }

    def _where(self, section: Section, key: str) -> str:
        return f"{self.path}: {section.at(key)}"

"""Read the YAML file with several accounts into texts by option key; each text knows its place in the file.

Talks to: that one file. Judges the file's shape alone: what a text means is for `load` to say, with
the parsers that read flags too. Every value is a text, so `interval: 60s`, `user_id: 7` and `name:
0815` need no quotes.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from exporter.files import read_text
from exporter.settings.options import OPTIONS, THRESHOLD_OPTIONS, Given, Texts
from exporter.strict_yaml import Section, load_yaml

PER_HOST = "max_requests_per_minute"
GATEWAY_KEYS = (
    "access_token_env",
    *(option.key for option in OPTIONS if option.group == "cometapi"),
)
COLLECT_KEYS = tuple(option.key for option in OPTIONS if option.group == "collect")
OWN_COLLECT_KEYS = tuple(key for key in COLLECT_KEYS if key != PER_HOST)
FILTER_KEYS = tuple(
    option.key.removeprefix("keys_") for option in OPTIONS if option.group == "keys"
)
THRESHOLD_KEYS = tuple(option.key for option in THRESHOLD_OPTIONS)
BLOCKS = ("collect", "keys", "thresholds")
TOP_KEYS = ("accounts", *COLLECT_KEYS, *BLOCKS)
ACCOUNT_KEYS = ("name", *GATEWAY_KEYS, *OWN_COLLECT_KEYS, *BLOCKS)
REFUSED = {
    "access_token": "do not write the token into this file: use access_token_file or access_token_env",
    PER_HOST: "belongs to the host: set it at the top, under collect",
}
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is written for one account, or for all of them: texts by option key, and by `access_token_env`.

    *token_place* is how messages name the place where its token belongs.
    """

    name: str = ""
    token_place: str = ""
    options: Texts = field(default_factory=dict)
    thresholds: tuple[Texts, ...] = ()


def read_config_file(path: Path, problems: list[str]) -> tuple[Entry, list[Entry]]:
    """Return what the file says for all accounts, and the accounts; what is wrong is left out and noted in *problems*.

    Raises OSError and YamlError where it cannot be read at all.
    """
    return parse_config(load_yaml(read_text(path)), path, problems)


def parse_config(document: object, path: Path, problems: list[str]) -> tuple[Entry, list[Entry]]:
    """Judge the shape of a decoded *document*, the content of the file at *path*."""
    top = Section(document, f"{path}: ", problems).only(TOP_KEYS, REFUSED)
    sections = top.sections("accounts")
    if not sections:
        top.complain("accounts", "expected a list with at least one account")
    names: set[str] = set()
    return _entry(top, path.parent, COLLECT_KEYS), [
        _account(section, path.parent, names) for section in sections
    ]


def _account(section: Section, folder: Path, names: set[str]) -> Entry:
    section.only(ACCOUNT_KEYS, REFUSED)
    name = section.text("name").strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        section.complain(
            "name", f"expected 1 to {LONGEST_NAME} printable characters: it becomes a label"
        )
    elif name in names:
        section.complain("name", f"{name!r} is taken: each account requires a unique name")
    names.add(name)
    return _entry(section, folder, OWN_COLLECT_KEYS, GATEWAY_KEYS, name=name)


def _entry(
    section: Section,
    folder: Path,
    collect_keys: Collection[str],
    keys: Collection[str] = (),
    *,
    name: str = "",
) -> Entry:
    """Read the options *keys*, those of `collect`, which may also be beside it, and those of `keys`."""
    collect = section.section("collect").only(collect_keys, REFUSED)
    filters = section.section("keys").only(FILTER_KEYS)
    return Entry(
        name=name,
        token_place=section.at("access_token_file or access_token_env"),
        options={
            **_texts(collect, folder, collect_keys),
            **_texts(section, folder, [*keys, *collect_keys]),
            **{f"keys_{key}": given for key, given in _texts(filters, folder, FILTER_KEYS).items()},
        },
        thresholds=tuple(
            _texts(each.only(THRESHOLD_KEYS), folder, THRESHOLD_KEYS)
            for each in section.sections("thresholds")
        ),
    )


def _texts(section: Section, folder: Path, keys: Collection[str]) -> dict[str, Given]:
    return {
        key: Given(text, section.at(key), folder) for key in keys if (text := section.text(key))
    }

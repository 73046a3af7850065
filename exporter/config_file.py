"""Read the YAML file with several accounts into texts by option key, naming every key that does not belong.

Talks to: that one file. Judges the file's shape alone; what a text means is for `settings` to say, with the same
parsers that read flags. Every value is a text, so that `interval: 60s`, `user_id: 7` and `name: 0815` need no quotes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.strict_yaml import YamlError, is_null, load_yaml

COLLECT_KEYS = ("interval", "timeout", "stale_after", "concurrency", "max_requests_per_minute")
ACCOUNT_OPTION_KEYS = (
    "base_url",
    "access_token_file",
    "user_id",
    "quota_per_usd",
    "allow_insecure_http",
    "ca_file",
)
OWN_COLLECT_KEYS = tuple(key for key in COLLECT_KEYS if key != "max_requests_per_minute")
ACCOUNT_KEYS = ("name", "access_token_env", *ACCOUNT_OPTION_KEYS, "collect", *OWN_COLLECT_KEYS)
LARGEST_FILE = 1024 * 1024
LONGEST_NAME = 100

Complain = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One account of the file: *where* it stands, and its texts by option key."""

    where: str
    name: str
    access_token_env: str | None
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """The file's content: texts by option key."""

    collect: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[AccountEntry, ...] = ()


def read_config_file(path: Path, complain: Complain) -> ConfigFile:
    """Read the file at *path*; every problem goes to *complain* as (where, what), and what is wrong is left out."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            complain(f"{path}", "is larger than a megabyte")
            return ConfigFile()
        document = load_yaml(text)
    except OSError as error:
        complain(f"{path}", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        complain(f"{path}", "is no text in UTF-8")
    except YamlError as error:
        complain(f"{path}", "; ".join(error.problems))
    else:
        return parse_config(document, str(path), complain)
    return ConfigFile()


def parse_config(document: Any, where: str, complain: Complain) -> ConfigFile:  # noqa: ANN401 - YAML may hold anything
    """Judge the shape of a decoded *document*, known to messages as *where*."""
    top = _mapping(document, where, ("accounts", "collect", *COLLECT_KEYS), complain)
    entries = top.get("accounts")
    if not isinstance(entries, list) or not entries:
        complain(f"{where}: accounts", "expected a list with at least one account")
        entries = []
    accounts = [_account(entry, f"{where}: accounts[{index}]", complain) for index, entry in enumerate(entries)]
    seen: set[str] = set()
    for account in accounts:
        if account.name in seen:
            complain(f"{account.where}.name", f"{account.name!r} is taken: each account needs a name of its own")
        seen.add(account.name)
    return ConfigFile(collect=_collect(top, f"{where}: ", COLLECT_KEYS, complain), accounts=tuple(accounts))


def _account(entry: Any, where: str, complain: Complain) -> AccountEntry:  # noqa: ANN401 - likewise
    top = _mapping(entry, where, ACCOUNT_KEYS, complain)
    texts = _texts({key: top[key] for key in top if key not in (*OWN_COLLECT_KEYS, "collect")}, where, complain)
    collect = _collect(top, f"{where}.", OWN_COLLECT_KEYS, complain)
    name = texts.pop("name", "").strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        complain(
            f"{where}.name",
            f"expected a name of 1 to {LONGEST_NAME} visible characters: it becomes the label account",
        )
    return AccountEntry(
        where=where,
        name=name or where,
        access_token_env=texts.pop("access_token_env", None),
        options={**texts, **collect},
    )


def _collect(top: Mapping[str, Any], where: str, keys: tuple[str, ...], complain: Complain) -> dict[str, str]:
    """Read the collect options, which may stand under `collect` or beside it."""
    block = _mapping(top.get("collect", {}), f"{where}collect", keys, complain)
    beside = _texts({key: top[key] for key in keys if key in top}, where.rstrip(".: "), complain)
    return {**_texts(block, f"{where}collect", complain), **beside}


def _mapping(value: Any, where: str, keys: tuple[str, ...], complain: Complain) -> dict[str, Any]:  # noqa: ANN401 - likewise
    if is_null(value):
        return {}
    if not isinstance(value, dict):
        complain(where, f"expected a mapping with {', '.join(keys)}")
        return {}
    for key in value:
        if key not in keys:
            complain(f"{where}: {str(key)[:60]!r}", f"unknown key; known are {', '.join(keys)}")
    return {key: inner for key, inner in value.items() if key in keys and not is_null(inner)}


def _texts(values: Mapping[str, Any], where: str, complain: Complain) -> dict[str, str]:
    texts = {}
    for key, inner in values.items():
        if isinstance(inner, str):
            texts[key] = inner
        else:
            complain(f"{where}.{key}", "expected a single value")
    return texts

"""Read strict YAML: mappings that note every problem, with its place, in one list.

Pure: text in, sections out. Knows nothing of what the keys mean. Messages never quote a value: it
could be a secret.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

T = TypeVar("T")

LONGEST_KEY = 60
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
QUOTED_WORD = re.compile(
    r"'[\w!-]{2,}'"
)  # a name from the file; PyYAML's '<token>' and single characters may be shown
NOTHING_REFUSED: Mapping[str, str] = MappingProxyType({})


class YamlError(Exception):
    """A file that cannot be used; *problems* are all that was found, each with its place and fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class _Loader(yaml.BaseLoader):
    """YAML where every scalar is text and no key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        """Construct as PyYAML does, but refuse a key that comes twice."""
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key comes twice", node.start_mark
            )
        return mapping


def load_yaml(text: str) -> object:
    """Return what *text* says, every scalar as text; None if it says nothing. Raises YamlError."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - the base loader makes nothing but text, lists, mappings
    except yaml.MarkedYAMLError as exc:
        mark = (
            exc.problem_mark or exc.context_mark
        )  # str(exc) would quote the line, with its secrets
        where = f" near line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = QUOTED_WORD.sub("…", exc.problem or exc.context or "")
        raise YamlError([f"not valid YAML: {what}{where}"]) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise YamlError(["not valid YAML: a character or a nesting that cannot be read"]) from None


class Section:
    """One mapping of the file, whose problems are noted in a list; what is empty counts as an empty one.

    *prefix* is what stands before the name of a key where a problem names its place: "", or
    `accounts[0].`.
    """

    def __init__(self, value: object, prefix: str, problems: list[str]) -> None:
        self.values: Mapping[str, object] = value if isinstance(value, dict) else {}
        self.problems = problems
        self._prefix = prefix
        if not isinstance(value, dict) and not is_null(value):
            problems.append(f"{prefix.rstrip('.: ') or 'the file'}: expected a mapping")

    def section(self, key: str) -> "Section":
        """Return the mapping at *key*."""
        return Section(self.values.get(key), f"{self.at(key)}.", self.problems)

    def sections(self, key: str) -> list["Section"]:
        """Return the mappings in the list at *key*."""
        values = self.values.get(key)
        if not isinstance(values, list):
            if not is_null(values):
                self.complain(key, "expected a list")
            return []
        return [
            Section(value, f"{self.at(key)}[{place}].", self.problems)
            for place, value in enumerate(values)
        ]

    def only(
        self, keys: Collection[str], refused: Mapping[str, str] = NOTHING_REFUSED
    ) -> "Section":
        """Complain about every key that is not among *keys*; *refused* says why known ones are not supported."""
        for key in self.values:
            if key not in keys:
                similar = get_close_matches(key, keys, n=1)
                unknown = f"unknown key; did you mean {similar[0]}?" if similar else "unknown key"
                self.complain(key, refused.get(key, unknown))
        return self

    def at(self, key: str) -> str:
        """Return the place of *key* in the file, such as `tls_server_config.key`."""
        shown = (
            key
            if 0 < len(key) <= LONGEST_KEY and key.isprintable()
            else "(a key that is not a name)"
        )
        return f"{self._prefix}{shown}"

    def complain(self, key: str, problem: str) -> None:
        """Note a problem at *key*."""
        self.problems.append(f"{self.at(key)}: {problem}")

    def text(self, key: str) -> str:
        """Return the text at *key*, "" where it is left out or empty."""
        value = self.values.get(key)
        if is_null(value):
            return ""
        if isinstance(value, str) and value.replace("\n", "").isprintable():
            return value
        self.complain(key, "expected printable text")
        return ""

    def choice(
        self,
        key: str,
        choices: Mapping[str, T],
        default: T,
        refused: Mapping[str, str] = NOTHING_REFUSED,
    ) -> T:
        """Return what *choices* has for the word at *key*; *refused* says why known words are not offered."""
        word = self.text(key)
        if word and word not in choices:
            self.complain(key, refused.get(word, f"expected {' or '.join(choices)}"))
        return choices.get(word, default)


def is_null(value: object) -> bool:
    """Whether *value* is left out or one of YAML's spellings of nothing."""
    return value is None or (isinstance(value, str) and value in NULLS)

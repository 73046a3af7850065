"""Read strict YAML: mappings that note every problem, with its place, in one list.

Pure: text in, sections out. Knows nothing of what the fields mean. Messages never quote a value,
because it could be a secret.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from exporter.problems import Problem

T = TypeVar("T")

# The longest field has 23 characters. What is much longer may be a token in the wrong place.
LONGEST_KEY = 60
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# A name from the file. PyYAML's '<token>' and single characters may be shown.
QUOTED_WORD = re.compile(r"'[\w!-]{2,}'")
NOTHING_REFUSED: Mapping[str, str] = MappingProxyType({})


class YamlError(Exception):
    """A file that cannot be used; *problems* are all that were found, each with place and fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class _Loader(yaml.BaseLoader):
    """YAML where every scalar is text and no key comes twice."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[Any, Any]:
        """Construct as PyYAML does, but reject a key that comes twice."""
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key comes twice", node.start_mark
            )
        return mapping


def load_yaml(text: str) -> object:
    """Return what *text* says, every scalar as text; None if it says nothing. Raises YamlError."""
    try:
        # The base loader makes nothing but texts, lists and mappings.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as exc:
        # str(exc) would quote the line, with its secrets.
        mark = exc.problem_mark or exc.context_mark
        where = f" near line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = QUOTED_WORD.sub("…", exc.problem or exc.context or "")
        raise YamlError([f"not valid YAML: {what}{where}"]) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise YamlError(["not valid YAML: a character or a nesting that cannot be read"]) from None


class Section:
    """One mapping of the file. Whatever is wrong with it is added to *problems*.

    A value of nothing is an empty mapping. One that is no mapping is a problem, *is_usable* is
    false then, and the section goes on as an empty one. *prefix* comes before the name of a field
    in messages: "", or `accounts[0].`.
    """

    def __init__(self, value: object, prefix: str, problems: list[Problem]) -> None:
        self.is_usable = isinstance(value, dict) or is_null(value)
        self.values: Mapping[str, object] = value if isinstance(value, dict) else {}
        self.problems = problems
        self._prefix = prefix
        self._wrong_places: set[str] = set()
        if not self.is_usable:
            place = prefix.rstrip(".: ") or "the file"
            problems.append(Problem(place, "expected a mapping"))

    def section(self, key: str) -> "Section":
        """Return the mapping at *key*."""
        return Section(self.values.get(key), f"{self.at(key)}.", self.problems)

    def sections(self, key: str, *, at_least_one: str = "") -> list["Section"]:
        """Return the usable mappings in the list at *key*.

        An empty list is a problem if *at_least_one* names what it must contain.
        """
        values = self.values.get(key)
        if is_null(values):
            values = []
        if not isinstance(values, list) or (at_least_one and not values):
            expected = f"a list with at least one {at_least_one}" if at_least_one else "a list"
            self.complain(key, f"expected {expected}")
            return []
        sections = [
            Section(value, f"{self.at(key)}[{place}].", self.problems)
            for place, value in enumerate(values)
        ]
        return [section for section in sections if section.is_usable]

    def only(
        self, keys: Collection[str], refused: Mapping[str, str] = NOTHING_REFUSED
    ) -> "Section":
        """Complain about every key that is not among *keys*.

        *refused* says why some well-known keys are not supported.
        """
        for key in self.values:
            if key not in keys:
                similar = get_close_matches(key, keys, n=1)
                unknown = f"unknown key; did you mean {similar[0]}?" if similar else "unknown key"
                self.complain(key, refused.get(key, unknown))
        return self

    def at(self, key: str) -> str:
        """Return the place of *key* in the file, such as `tls_server_config.key`."""
        is_a_name = 0 < len(key) <= LONGEST_KEY and key.isprintable()
        if not is_a_name:
            key = "(a key that is not a name)"
        return f"{self._prefix}{key}"

    def complain(self, key: str, problem: str) -> None:
        """Add a problem at *key*, unless there is one already: what follows from it is no news."""
        place = self.at(key)
        if place not in self._wrong_places:
            self._wrong_places.add(place)
            self.problems.append(Problem(place, problem))

    def text(self, key: str) -> str:
        """Return the text at *key* without white space around it, "" where it is left out."""
        value = self.values.get(key)
        if is_null(value):
            return ""
        if isinstance(value, str):
            text = value.strip()
            # A regular expression may be written over several lines.
            if text.replace("\n", "").isprintable():
                return text
        self.complain(key, "expected printable text")
        return ""

    def has(self, key: str) -> bool:
        """Whether *key* has a value, right or wrong."""
        return not is_null(self.values.get(key))

    def choice(
        self,
        key: str,
        choices: Mapping[str, T],
        default: T,
        refused: Mapping[str, str] = NOTHING_REFUSED,
    ) -> T:
        """Return what *choices* has for the word at *key*, *default* where it is left out.

        *refused* says why some well-known words are not supported.
        """
        word = self.text(key)
        if word and word not in choices:
            self.complain(key, refused.get(word, f"expected {' or '.join(choices)}"))
        return choices.get(word, default)


def is_null(value: object) -> bool:
    """Whether *value* is left out or one of YAML's spellings of nothing."""
    return value is None or (isinstance(value, str) and value in NULLS)

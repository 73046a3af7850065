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

# The longest field has 27 characters.
LONGEST_FIELD = 30
# A field, or what somebody took for one: words. A token has no parts of this length in letters.
FIELD = re.compile(r"[A-Za-z]{1,16}([_-][A-Za-z]{1,16})*")
# What is shorter than this is no token.
LONGEST_HARMLESS = 12
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
MERGE = "<<"
NOTHING_REFUSED: Mapping[str, str] = MappingProxyType({})
# How PyYAML begins to say what is wrong, and what that means. Source: yaml/scanner.py, parser.py
# and composer.py of PyYAML 6.
MISTAKES = (
    ("found character '\\t'", "a tab: indent with spaces"),
    ("found character", "a value that begins with a reserved character: put it in quotes"),
    ("could not find expected ':'", "no value: write a space after the colon"),
    (
        "mapping values are not allowed",
        "a colon too many: put the value in quotes, or check the indentation and the line before",
    ),
    ("sequence entries are not allowed", "a list in the line of its name: begin it on a new line"),
    ("expected <block end>", "the indentation does not fit the lines before"),
    ("expected ',' or", "a bracket that begins here does not end"),
    ("found unexpected end of stream", "a quote that begins here does not end"),
    ("found undefined alias", "an alias (*) whose anchor (&) does not exist"),
    ("second occurrence", "an anchor (&) that exists already"),
    ("found unconstructable recursive node", "an alias inside of its own anchor"),
    ("found unknown escape", "no such escape sequence: use single quotes"),
    ("but found another document", "a second document: write everything into the first"),
)
# PyYAML notices these only after the place where they begin.
BEGINS_EARLIER = ("could not find expected ':'", "expected ',' or", "found unexpected end")


class YamlError(Exception):
    """A file that cannot be used; *problems* are all that were found, each with place and fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class _Lines(dict[Any, Any]):
    """A mapping that knows the *line* where it begins, counted from 1."""

    line = 0


class _Loader(yaml.BaseLoader):
    """YAML where every scalar is text, no field is set twice, and mappings can be merged."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[Any, Any]:
        """Construct a mapping; its own fields take precedence over those of a merge key (<<)."""
        own: dict[Any, Any] = {}
        inherited: dict[Any, Any] = {}
        for field, value_node in node.value:
            name = self.construct_object(field, deep=deep)
            if not isinstance(name, str):
                raise _at("the name of a field must be text", field)
            if name in own or (name == MERGE and inherited):
                raise _at(f"{shown_field(name)} is set twice", field)
            value = self.construct_object(value_node, deep=deep)
            if name == MERGE:
                inherited = _merged(value, value_node)
            else:
                own[name] = value
        mapping = _Lines({**inherited, **own})
        mapping.line = node.start_mark.line + 1
        return mapping


def _merged(value: object, node: yaml.Node) -> dict[Any, Any]:
    """Return the fields of the mapping, or the list of mappings, after a merge key."""
    merged: dict[Any, Any] = {}
    mappings = value if isinstance(value, list) else [value]
    # Of a list, the first mapping takes precedence.
    for mapping in reversed(mappings):
        if not isinstance(mapping, dict):
            raise _at("a merge key (<<) requires a mapping, or a list of them", node)
        merged.update(mapping)
    return merged


def _at(text: str, node: yaml.Node) -> YamlError:
    return YamlError([f"not valid YAML: line {node.start_mark.line + 1}: {text}"])


def load_yaml(text: str) -> object:
    """Return what *text* says, every scalar as text; None if it says nothing. Raises YamlError."""
    try:
        # The base loader makes nothing but texts, lists and mappings.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        raise YamlError([f"not valid YAML: {_mistake(error)}"]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError([f"not valid YAML: line {line}: a control character"]) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise YamlError(["not valid YAML: nested too deeply, or a number out of range"]) from None


def _mistake(error: yaml.MarkedYAMLError) -> str:
    """Say what is wrong and where; str(error) would quote the line, with its secrets."""
    reason = error.problem or ""
    words = "this cannot be read"
    for beginning, meaning in MISTAKES:
        if reason.startswith(beginning):
            words = meaning
            break
    mark = error.problem_mark or error.context_mark
    if reason.startswith(BEGINS_EARLIER) and error.context_mark is not None:
        mark = error.context_mark
    return words if mark is None else f"line {mark.line + 1}: {words}"


def shown_field(name: str) -> str:
    """Return *name* as messages show it: not if it may be a token in the place of a field."""
    is_field = len(name) <= LONGEST_FIELD and FIELD.fullmatch(name) is not None
    is_short = 0 < len(name) <= LONGEST_HARMLESS and name.isprintable()
    if is_field or is_short:
        return name
    return f"(a field whose name has {len(name)} characters)"


class Section:
    """One mapping of the file. Whatever is wrong with it is added to *problems*.

    A value of nothing is an empty mapping. One that is no mapping is a problem, *is_usable* is
    false then, and the section goes on as an empty one. *prefix* comes before the name of a field
    in messages: "", or `accounts[0].`. *line* is where the mapping begins, counted from 1; 0 where
    there is none.
    """

    def __init__(self, value: object, prefix: str, problems: list[Problem]) -> None:
        self.is_usable = isinstance(value, dict) or is_null(value)
        self.values: Mapping[str, object] = value if isinstance(value, dict) else {}
        self.line: int = getattr(value, "line", 0)
        self.problems = problems
        self._prefix = prefix
        self._wrong_places: set[str] = set()
        if not self.is_usable:
            problems.append(Problem(self.place, "expected a mapping"))

    @property
    def place(self) -> str:
        """The place of the mapping itself in the file, such as `accounts[0]`."""
        return self._prefix.rstrip(".: ") or "the file"

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
                unknown = (
                    f"unknown field; did you mean {similar[0]}?" if similar else "unknown field"
                )
                self.complain(key, refused.get(key, unknown))
        return self

    def at(self, key: str) -> str:
        """Return the place of *key* in the file, such as `tls_server_config.key`."""
        return f"{self._prefix}{shown_field(key)}"

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

    def texts(self, key: str, *, example: str) -> list[str] | None:
        """Return the texts in the list at *key*, also empty ones; None where it is left out.

        *example* shows in messages how to write one.
        """
        if not self.has(key):
            return None
        values = self.values[key]
        if not isinstance(values, list) or not values:
            self.complain(key, f"expected a list such as {example}")
            return None
        texts = [value.strip() for value in values if isinstance(value, str)]
        if len(texts) < len(values) or not all(text.isprintable() for text in texts):
            self.complain(key, f"expected printable texts, in a list such as {example}")
            return None
        return texts

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

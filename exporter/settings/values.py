"""Hold what the user wrote for the options, and what it means.

Pure: knows no environment and no file. A raw value carries where it was written, so that a message
can name the place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from exporter.problems import Problem
from exporter.settings.options import OPTIONS, Option

T = TypeVar("T")

# Without this, an expression in quotes would be valid, and match no key.
QUOTED = "in quotes: leave them out; a file of variables passes them on to the program"


@dataclass(frozen=True, slots=True)
class RawValue:
    """The *text* that the user wrote for an option, without the white space around it.

    *source* is where it was written, as messages name it: a flag and its variable, or a place in
    the configuration file. Relative paths in the text start from *folder*.
    """

    text: str
    source: str
    folder: Path = Path()

    def __post_init__(self) -> None:
        # Files of variables end with a space or \r where nobody sees it. Nothing that an option
        # takes begins or ends with white space, so it is removed here, for all of them.
        object.__setattr__(self, "text", self.text.strip())


RawValues = Mapping[str, RawValue]
"""Raw values by the keys of their options."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """What a raw value means; where it means nothing, *is_valid* is false and *value* the default.

    *text* and *source* are those of the raw value.
    """

    value: T
    text: str
    source: str
    is_valid: bool = True


class Values:
    """What the raw values of *options* mean. Each is parsed once.

    A wrong one is added to *problems*, and the default stands in for it, so that the rest can be
    checked too.
    """

    def __init__(
        self, options: Iterable[Option[Any]], raw_values: RawValues, problems: list[Problem]
    ) -> None:
        self._parsed: dict[str, Parsed[Any]] = {}
        for option in options:
            raw = raw_values.get(option.key)
            if raw is not None:
                self._parsed[option.key] = _parse(option, raw, problems)

    def parsed(self, option: Option[T]) -> Parsed[T]:
        """Return what the value of *option* means and where it was written; it must have one."""
        found: Parsed[T] = self._parsed[option.key]
        return found

    def of(self, option: Option[T]) -> T:
        """Return the value of an *option* that has a default."""
        return self.parsed(option).value

    def optional(self, option: Option[T]) -> T | None:
        """Return the value of an *option* without a default, None where it is not set."""
        if option.key not in self._parsed:
            return None
        return self.parsed(option).value


def _parse(option: Option[Any], raw: RawValue, problems: list[Problem]) -> Parsed[Any]:
    if is_quoted(raw.text):
        problems.append(Problem(raw.source, QUOTED))
        return Parsed(option.default_value, raw.text, raw.source, is_valid=False)
    try:
        value = option.parse(raw.text)
    except ValueError as error:
        problems.append(Problem(raw.source, str(error)))
        return Parsed(option.default_value, raw.text, raw.source, is_valid=False)
    if isinstance(value, Path):
        value = raw.folder / value
    return Parsed(value, raw.text, raw.source)


def is_quoted(text: str) -> bool:
    """Whether *text* is in quotes."""
    return len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]


def default_values() -> RawValues:
    """Return the defaults of all options that have one."""
    return {
        option.key: RawValue(option.default, option.source)
        for option in OPTIONS
        if option.default is not None
    }

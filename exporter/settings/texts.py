"""Keep what the user wrote as texts that know where they were written, and parse each of them once.

Pure: no environment, no file. What is wrong is collected, so that every problem is reported at the same time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.settings.options import BY_KEY, OPTIONS, Option


@dataclass(frozen=True, slots=True)
class Given:
    """A text that the user wrote, and *where*, as messages name it; paths in it start from *folder*."""

    text: str
    where: str
    folder: Path = Path()


Texts = Mapping[str, Given]
Flags = Mapping[str, str | Sequence[str] | None]

DEFAULTS: Texts = {option.key: Given(option.default, option.where) for option in OPTIONS if option.default is not None}


def written(flags: Flags, environ: Mapping[str, str]) -> dict[str, Given]:
    """Return what flags and variables set; a flag takes precedence, an empty variable counts as not set."""
    texts = {}
    for option in OPTIONS:
        text = flags.get(option.key)
        if text is None or (not text and not isinstance(text, str)):
            text = environ.get(option.variable) or None
        if text is not None:
            texts[option.key] = Given(text if isinstance(text, str) else ",".join(text), option.where)
    return texts


class Parsing:
    """Parses texts and collects *problems*, each with the place of its text."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._known: dict[tuple[str, Given], Any] = {}

    def complain(self, where: str, problem: str) -> None:
        """Note a problem."""
        self.problems.append(f"{where}: {problem}")

    def value(self, key: str, texts: Texts) -> Any:  # noqa: ANN401 - each option has its own type
        """Return an option's value, None where it is not set; a text that several accounts share is parsed once."""
        option, given = BY_KEY[key], texts.get(key)
        if given is None:
            return None
        if (key, given) not in self._known:
            parse = self._parse_each if option.is_repeatable else self.parse
            self._known[key, given] = parse(option, given)
        return self._known[key, given]

    def _parse_each(self, option: Option, given: Given) -> tuple[Any, ...]:
        texts = [text.strip() for text in given.text.split(",") if text.strip()]
        return tuple(self.parse(option, Given(text, given.where)) for text in texts or [given.text])

    def parse(self, option: Option, given: Given) -> Any:  # noqa: ANN401 - likewise
        """Return what *given* means; note a problem and return the default where it means nothing."""
        try:
            value = option.parse(given.text)
        except ValueError as error:
            self.complain(given.where, str(error))
            return None if option.default is None else option.parse(option.default)
        return given.folder / value if isinstance(value, Path) else value

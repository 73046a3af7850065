"""Match the regular expressions of the user with RE2, in the dialect of Prometheus.

Pure: knows no key and no option. The time that RE2 takes grows with the length of the text alone,
whatever the expression: nobody can choose a key's name that stops the process.

An expression must match the whole of a text, and `.` matches every character, also a line break.
"""

import re
from collections.abc import Iterable

import re2

# RE2's default. The expression with a thousand names of 20 characters needs a tenth of it.
MOST_MEMORY = 8 * 1024 * 1024
# The parts of an expression that only other dialects know, and what to write instead. The first
# that is found in a wrong expression explains it.
OTHER_DIALECTS = (
    (r"\(\?<?=", "RE2 has no look-ahead and look-behind: write out what must match"),
    (r"\(\?<?!", "RE2 has no negative look-ahead and look-behind: use keys.exclude instead"),
    (r"\(\?P=|\\[1-9]|\\g<", "RE2 has no back-references: write out what must match"),
    (r"\(\?#", "RE2 has no comments: leave it out"),
    (r"\(\?>", "RE2 has no atomic groups: write (?:"),
    (r"\(\?\(", "RE2 has no conditions: write the alternatives with |"),
    (r"\(\?-?[imsU]*[aLux]", "RE2 knows only the flags i, m, s and U"),
    (r"[*+?}]\+", "RE2 has no possessive repetition: leave out the second +"),
    (r"\\Z", "leave out \\Z: an expression must match the whole in any case"),
    (r"\\[uUN]", "write the character itself, or its hexadecimal number as \\x{20AC}"),
)
# What RE2 says is wrong, without the part of the expression that it quotes. Source: re2/re2.cc
MISTAKES = {
    "invalid escape sequence": "no such escape sequence: write \\\\ for a backslash",
    "invalid character class": "no such class of characters",
    "invalid character class range": "no such class, or a range that does not go upwards",
    "missing ]": "a [ without its ]; write \\[ for the character itself",
    "missing )": "a ( without its ); write \\( for the character itself",
    "unexpected )": "a ) without its (; write \\) for the character itself",
    "trailing \\": "a backslash at the end; write \\\\ for the character itself",
    "no argument for repetition operator": (
        "nothing to repeat before *, + or ?; write .* for any text"
    ),
    "invalid repetition size": "RE2 repeats at most 1000 times, also where repetitions are nested",
    "bad repetition operator": "two repetitions in a row: put the first in parentheses",
    "invalid perl operator": "no such group; write \\( for the character itself",
    "invalid named capture group": "a name in (?P<name>...) that is not a word",
    "pattern too large": "too large for RE2: repeat less, or use several shorter expressions",
}


class Pattern:
    """One regular expression; the constructor raises ValueError that names what is wrong and where.

    *text* is as the user wrote it. Patterns of the same text are equal.
    """

    __slots__ = ("_set", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            re2.compile(text, _options())
        except re2.error as error:
            raise ValueError(_mistake(text, error)) from None
        except UnicodeEncodeError:
            raise ValueError("half of a character pair, which is not UTF-8 text") from None
        self._set = _full_match_set([text])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def matches(self, text: str) -> bool:
        """Whether the whole of *text* matches."""
        return bool(self._set.Match(_encoded(text)))


class PatternList:
    """Several patterns, which take no longer to match together than one of them.

    The constructor raises ValueError if they are too large for RE2 together.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._set = _full_match_set([pattern.text for pattern in patterns])

    def first_match(self, text: str) -> int | None:
        """Return the place in the list of the first pattern that matches the whole of *text*."""
        places = self._set.Match(_encoded(text))
        return min(places) if places else None

    def all_matches(self, text: str) -> tuple[int, ...]:
        """Return the places in the list of all patterns that match the whole of *text*."""
        return tuple(sorted(self._set.Match(_encoded(text)) or ()))


def _full_match_set(texts: Iterable[str]) -> re2.Set:
    patterns = re2.Set.FullMatchSet(_options())
    for text in texts:
        patterns.Add(text)
    try:
        patterns.Compile()
    except re2.error:
        raise ValueError(MISTAKES["pattern too large"]) from None
    return patterns


def _options() -> re2.Options:
    options = re2.Options()
    options.dot_nl = True
    options.max_mem = MOST_MEMORY
    # Its log lines quote the expression, on standard error.
    options.log_errors = False
    return options


def _encoded(text: str) -> bytes:
    # A gateway may send halves of character pairs in a name. RE2 takes only UTF-8.
    return text.encode(errors="replace")


def _mistake(text: str, error: re2.error) -> str:
    """Say what is wrong with the expression *text* and where, without quoting it."""
    for dialect, advice in OTHER_DIALECTS:
        found = re.search(rf"(?<!\\)(?:\\\\)*({dialect})", text)
        if found is not None:
            return f"at character {found.start(1) + 1}: {advice}"
    said = error.args[0]
    reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    kind, _, part = reason.partition(": ")
    advice = MISTAKES.get(kind.removesuffix(" - compile failed"), "not in the syntax of RE2")
    place = text.find(part)
    # For parentheses, RE2 quotes the whole expression instead of the part.
    if not part or place < 0 or kind in {"missing )", "unexpected )"}:
        return advice
    return f"at character {place + 1}: {advice}"


ANY_TEXT = Pattern(".*")

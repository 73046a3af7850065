"""Keep the access token, and keep it out of sight.

Talks to: one file, where the token lies in one. Knows nothing of HTTP, settings or metrics. The text of a token is
handed out by `Secret.reveal` alone; every other way of looking at it shows stars. No error here quotes what was read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from exporter.errors import Unauthorized

_LARGEST_TOKEN_FILE = 64 * 1024
_FIT_FOR_A_HEADER = re.compile(r"[\x21-\x7e]+")


class Secret:
    """A text that never shows itself: not in repr, str, format, a log or a traceback."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself: call this only where it is sent."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def checked_token(text: str, where: str) -> Secret:
    """Return the token in *text*, without the white space and the byte order mark that editors leave around it.

    Raises Unauthorized, naming *where* but never the text, for one that is empty or cannot stand in a header.
    """
    token = text.removeprefix("\ufeff").strip()
    if not token:
        raise Unauthorized(f"the access token in {where} is empty: put the personal access token there")
    if not _FIT_FOR_A_HEADER.fullmatch(token):
        raise Unauthorized(
            f"the access token in {where} has spaces, line breaks, control or non-ASCII characters inside: "
            "copy it again, as one line"
        )
    return Secret(token)


@dataclass(frozen=True, slots=True)
class LiteralToken:
    """A token given once, by an environment variable; *origin* names the variable."""

    secret: Secret
    origin: str

    def read(self) -> Secret:
        """Return the token; raises Unauthorized where it is empty or cannot stand in a header."""
        return checked_token(self.secret.reveal(), self.origin)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token in a file, read anew each refresh so that it can be rotated without a restart."""

    path: Path

    @property
    def origin(self) -> str:
        """Where the token comes from, for messages."""
        return f"the file {self.path}"

    def read(self) -> Secret:
        """Return the token; raises Unauthorized where the file is missing, unreadable, empty or no header text."""
        try:
            with self.path.open("rb") as file:
                content = file.read(_LARGEST_TOKEN_FILE)
        except OSError as error:
            raise Unauthorized(f"cannot read the access token in {self.origin}: {error.strerror}") from None
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise Unauthorized(f"the access token in {self.origin} is no text in UTF-8") from None
        return checked_token(text, self.origin)


TokenSource = LiteralToken | TokenFile

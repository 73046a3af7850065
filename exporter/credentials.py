"""Read access tokens and the headers that the user adds to requests, and keep both secret.

Talks to: the files that hold them. Knows nothing of HTTP, settings or metrics. Only
`Secret.reveal` returns the token's text; every other way of looking at it shows stars. No error
here quotes what was read.
"""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from exporter.errors import ApiError, Blocked, Unauthorized
from exporter.files import describe_failure, read_file

_LARGEST_TOKEN_FILE = 64 * 1024
_OWN_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
_QUOTES = "\"'`"
# As in a file of variables. A base64 text ends with =, so something else must come after it.
_NAME_BEFORE = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*=(?!=*$)")
# Source: RFC 9110 section 5.6.2 and 5.5.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]+")
# The token, the address and the length are the exporter's to say; the others concern one connection
# alone (RFC 9110 section 7.6.1).
_REFUSED_HEADERS = frozenset(
    (
        "authorization",
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
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
    """Return the token in *text*, without the white space and the byte order mark around it.

    Editors leave these there. Raises Unauthorized for one that is empty, is no access
    token by its looks or cannot be sent in a header.
    """
    token = text.removeprefix("\ufeff").strip()
    problem = ""
    if not token:
        problem = "is empty: put the account's access token there"
    elif token.lower().startswith("bearer "):
        problem = "starts with 'Bearer': leave out 'Bearer'"
    elif token[0] in _QUOTES and token[-1] == token[0]:
        problem = "is in quotes: leave them out, they would be sent as well"
    elif _NAME_BEFORE.match(token):
        problem = "begins with NAME=: leave the name out, the file is the token alone"
    elif not _FIT_FOR_A_HEADER.fullmatch(token):
        problem = (
            "contains spaces, line breaks, control or non-ASCII characters: "
            "copy it again, as one line"
        )
    elif token.startswith("sk-"):
        problem = (
            "starts with sk-: that looks like an API key; "
            "the exporter needs the account's personal access token"
        )
    if problem:
        raise Unauthorized(f"the access token in {where} {problem}")
    return Secret(token)


@dataclass(frozen=True, slots=True)
class LiteralToken:
    """A token from an environment variable; *origin* names the variable."""

    secret: Secret
    origin: str

    def read(self) -> Secret:
        """Return the token; raises Unauthorized where it cannot be used."""
        return checked_token(self.secret.reveal(), self.origin)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token in a file, read again at every refresh so that you can rotate it without a restart.

    *shown* is how messages name the file, "" for its path.
    """

    path: Path
    shown: str = field(default="", compare=False)

    @property
    def origin(self) -> str:
        """Where the token comes from, for messages."""
        return f"the file {self.shown or self.path}"

    def read(self) -> Secret:
        """Return the token.

        Raises Unauthorized where it cannot be used, ApiError where this machine has a shortage.
        """
        try:
            text = read_file(self.path, _LARGEST_TOKEN_FILE).decode("utf-8")
        except OSError as error:
            failure = ApiError if error.errno in _OWN_SHORTAGES else Unauthorized
            raise failure(
                f"cannot read the access token in {self.origin}: {describe_failure(error)}"
            ) from None
        except UnicodeDecodeError:
            raise Unauthorized(f"the access token in {self.origin} is not UTF-8 text") from None
        return checked_token(text, self.origin)


@dataclass(frozen=True, slots=True)
class HeadersFile:
    """A file of headers, read again with every request: `Name: value` lines; `#` begins a comment.

    *shown* is how messages name the file, "" for its path.
    """

    path: Path
    shown: str = field(default="", compare=False)

    @property
    def origin(self) -> str:
        """Where the headers come from, for messages."""
        return f"the file of headers {self.shown or self.path}"

    def read(self) -> Mapping[str, Secret]:
        """Return the values by the names of the headers, in lower case.

        Raises Blocked where they cannot be used; the text names the line and quotes nothing.
        """
        try:
            text = read_file(self.path, _LARGEST_TOKEN_FILE + 1).decode("utf-8-sig")
        except OSError as error:
            failure = ApiError if error.errno in _OWN_SHORTAGES else Blocked
            raise failure(f"cannot read {self.origin}: {describe_failure(error)}") from None
        except UnicodeDecodeError:
            raise Blocked(f"{self.origin} is not UTF-8 text") from None
        if len(text) > _LARGEST_TOKEN_FILE:
            raise Blocked(f"{self.origin} is larger than 64 KiB")
        return self._parsed(text)

    def _parsed(self, text: str) -> Mapping[str, Secret]:
        headers: dict[str, Secret] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            written = line.strip()
            if not written or written.startswith("#"):
                continue
            name, _, value = written.partition(":")
            name = name.strip().lower()
            problem = _problem_of_header(name, value.strip())
            if name in headers and not problem:
                problem = "names a header that stands in an earlier line: set only one of them"
            if problem:
                raise Blocked(f"{self.origin}: line {number} {problem}")
            headers[name] = Secret(value.strip())
        return headers


def _problem_of_header(name: str, value: str) -> str:
    """Return what is wrong with a header, "" for nothing."""
    if not _HEADER_NAME.fullmatch(name) or not value:
        return "is not written as Name: value"
    if not _HEADER_VALUE.fullmatch(value):
        return "has control or non-ASCII characters in its value"
    if name in _REFUSED_HEADERS:
        return f"sets {name}, which the exporter sets itself: remove the line"
    return ""


TokenSource = LiteralToken | TokenFile

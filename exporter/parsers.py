"""Parse the text that the user wrote for an option.

Pure: no environment, no file. A parser returns the value, or raises ValueError that says what it
expected and got. It takes a text without white space around it: `settings.values` removes that.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from exporter.patterns import Pattern

_HOST_NAME = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
# Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (the type
# `<duration>`)
_SECONDS = {
    "y": 31_536_000.0,
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
# An access token has 28 characters or more, and nobody takes a password this short for safe.
LONGEST_QUOTED = 12
# Long enough for every name that a person gives, short enough for a table.
LONGEST_ACCOUNT_NAME = 100
# The labels of the exporter's own series of usage.
OWN_LABELS = ("account", "model", "key_id", "key_name", "group")
# Longer than any duration that a person writes; bounds the numbers that are multiplied.
LONGEST_DURATION_TEXT = 30
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _SECONDS))


def _wrong(expected: str, text: str) -> ValueError:
    """Say what was expected, and what came instead."""
    return ValueError(f"expected {expected}, got {quoted(text)}")


def quoted(text: str) -> str:
    """Return *text* in quotes if it is too short to be a token or a password, else its length.

    A longer one may have been meant for another setting.
    """
    if len(text) <= LONGEST_QUOTED or re.fullmatch("[0-9]{1,20}", text):
        return repr(text)
    return f"a text of {len(text)} characters"


def path(text: str) -> Path:
    """Return the path of a file; raise ValueError for one that no system call takes."""
    if not text or re.search("[\0\ud800-\udc7f\udd00-\udfff]", text):
        raise ValueError(
            "expected the path of a file, got none or characters that a path cannot contain"
        )
    return Path(text)


def account_name(text: str) -> str:
    """Return the name of an account, which becomes a label and a column of tables."""
    if not text or len(text) > LONGEST_ACCOUNT_NAME or not text.isprintable():
        raise ValueError(
            f"expected 1 to {LONGEST_ACCOUNT_NAME} printable characters: it becomes a label"
        )
    return text


def pattern(text: str) -> Pattern:
    """Return a regular expression of RE2; ValueError names the place and what to write instead."""
    try:
        return Pattern(text)
    except ValueError as error:
        raise ValueError(f"expected a regular expression of RE2: {error}") from None


def base_url(text: str) -> str:
    """Return the gateway's URL in one spelling, without `/v1`.

    All accounts of a host share one limit on requests, so a host must not have two names: no
    default port, no trailing dot, lower case. Errors never quote the text, because it may contain a
    password.
    """
    try:
        parts = urlsplit(text)
        is_whole = (
            parts.scheme in _DEFAULT_PORTS
            and _is_host(parts.hostname or "", parts.netloc)
            and parts.port != 0
        )
    except ValueError:
        is_whole = False
    if not is_whole or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("expected a URL such as https://api.cometapi.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "expected a URL without user and password: the access token is set separately"
        )
    if parts.query or parts.fragment:
        raise ValueError("expected a URL without ? and #")
    host = (parts.hostname or "").removesuffix(".")
    if ":" in host:
        host = f"[{host}]"
    port = ""
    if parts.port not in {None, _DEFAULT_PORTS[parts.scheme]}:
        port = f":{parts.port}"
    path_before_v1 = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{host}{port}{path_before_v1}"


def _is_host(host: str, netloc: str) -> bool:
    if "[" not in netloc:
        return _HOST_NAME.fullmatch(host) is not None
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - IPv6, as in its name
    except ValueError:
        return False


def is_loopback(base_url: str) -> bool:
    """Whether the address is this machine itself."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def whole_number(least: int = 1, most: int = 999_999_999) -> Callable[[str], int]:
    """Return a parser for a whole number from *least* to *most*."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"0*[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise _wrong(f"a whole number from {least} to {most}", text)
        return int(text)

    return parse


def number(least: float, most: float, *, zero: bool = False) -> Callable[[str], float]:
    """Return a parser for a number from *least* to *most*, or 0 as well with *zero*."""

    def parse(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if zero and found == 0:
            return found
        if not least <= found <= most:
            or_zero = "0 or " if zero else ""
            raise _wrong(f"{or_zero}a number from {least:g} to {most:g}", text)
        return found

    return parse


def duration(least: float = 0.0, *, or_zero: bool = False) -> Callable[[str], float]:
    """Return a parser for a Prometheus duration, which returns seconds.

    The shortest is *least* seconds; *or_zero* allows 0 too.
    """

    def parse(text: str) -> float:
        match = _DURATION.fullmatch(text)
        if match is None or not text or len(text) > LONGEST_DURATION_TEXT:
            raise _wrong("a duration such as 90s, 15m or 1h30m", text)
        counts = match.groupdict(default="0")
        seconds = sum(int(count) * _SECONDS[unit] for unit, count in counts.items())
        if or_zero and seconds == 0:
            return seconds
        if seconds < least:
            zero = "0s or " if or_zero else ""
            raise _wrong(f"{zero}at least {1000 * least:g}ms", text)
        return seconds

    return parse


def switch(text: str) -> bool:
    """Return whether the text says yes."""
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in words:
        raise _wrong("true or false", text)
    return words[text.lower()]


def url_path(text: str) -> str:
    """Return a path under which to expose metrics, which must not be one of the exporter's own."""
    if not _URL_PATH.fullmatch(text) or text.startswith(("/-/", "/api/")):
        raise _wrong("a path such as /metrics, but not /, /-/… or /api/…", text)
    return text


def moment(text: str) -> float:
    """Return the unix time of an RFC 3339 time, which names its zone, or of a number of seconds."""
    expected = "a time such as 2026-06-30T18:00:00Z or 1782842400"
    try:
        if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text):
            return float(text)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(expected, text) from None
    if at.tzinfo is None:
        raise _wrong(f"{expected}, with its time zone", text)
    return at.timestamp()


def labels(text: str) -> Mapping[str, str]:
    """Return labels of `NAME=VALUE` by name; a comma separates them where a name follows it."""
    found: dict[str, str] = {}
    for part in re.split(r",(?=[^,=]*=)", text):
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
            raise _wrong("NAME=VALUE with the name of a label", part)
        if name in OWN_LABELS or name.startswith("__"):
            raise ValueError(f"the label {name} is not free: the exporter or Prometheus sets it")
        if name in found:
            raise ValueError(f"the label {name} is given twice")
        found[name] = value
    return found


def one_of(words: tuple[str, ...], **synonyms: str) -> Callable[[str], str]:
    """Return a parser for one of *words*; *synonyms* are other ways to write some of them."""

    def parse(text: str) -> str:
        word = synonyms.get(text.lower(), text.lower())
        if word not in words:
            raise _wrong(f"one of {', '.join(words)}", text)
        return word

    return parse

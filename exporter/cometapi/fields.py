"""Read the fields of one JSON object leniently: one that cannot be read costs nothing but itself.

Pure: knows no field by name. Gateways write whole numbers in several ways: as they are, with a
point or an exponent where a proxy encoded the JSON again, and as text. All are whole numbers.
"""

import re
from decimal import Decimal
from typing import TypeVar

import msgspec

from exporter.cometapi.answer import UNDECODABLE

# The longest whole number of 64 bits has 20 characters; fractions of zeros make it longer.
LONGEST_NUMBER = 60
# Nearly all whole numbers are so short and written as they are, which is read ten times as fast.
LONGEST_DIGITS = 18
# A million digits are no exponent that a quota has.
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_SMALLEST = Decimal(-(2**63))
_LARGEST = Decimal(2**63 - 1)
_TRUE = (b"true", b"1", b'"true"', b'"1"')
_FALSE = (b"false", b"0", b'"false"', b'"0"', b'""')

Value = TypeVar("Value")

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


def whole_number(raw: msgspec.Raw) -> int | None:
    """Return the whole number of at most 64 bits that *raw* JSON is; None where it is none."""
    digits = bytes(memoryview(raw)[:LONGEST_DIGITS])
    if digits.isdigit() and len(digits) < LONGEST_DIGITS:
        return int(digits)
    number = _decimal(raw)
    if number is None or not _SMALLEST <= number <= _LARGEST:
        return None
    whole = int(number)
    return whole if whole == number else None


def _decimal(raw: msgspec.Raw) -> Decimal | None:
    """Return the number that *raw* JSON is, also as text; None where it is none."""
    view = memoryview(raw)
    if len(view) > LONGEST_NUMBER:
        return None
    text = bytes(view).decode("ascii", "replace")
    if text.startswith('"'):
        text = text.strip('"').strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


class Fields:
    """The fields of one object, from its *raw* JSON.

    Raises one of UNDECODABLE where it is no object.

    Each is read once, by the name it has there. A field that is missing or null is None; one that
    cannot be read is None as well, and its name is added to *unread*.
    """

    def __init__(self, raw: msgspec.Raw | bytes) -> None:
        self.raw: dict[str, msgspec.Raw] = _decode_object(raw)
        self.unread: list[str] = []

    def has(self, name: str) -> bool:
        """Whether the field is there, even as null."""
        return name in self.raw

    def whole_number(self, name: str) -> int | None:
        """Return a whole number in any notation."""
        raw = self._present(name)
        if raw is None:
            return None
        return self._or_unread(name, whole_number(raw))

    def number(self, name: str) -> float | None:
        """Return a number, with or without a fraction."""
        raw = self._present(name)
        if raw is None:
            return None
        number = _decimal(raw)
        return self._or_unread(name, None if number is None else float(number))

    def flag(self, name: str) -> bool | None:
        """Return a boolean, also where it is written as 1 or 0, or as text."""
        raw = self._present(name)
        if raw is None:
            return None
        beginning = bytes(memoryview(raw)[:8])
        if beginning in _TRUE:
            return True
        if beginning in _FALSE:
            return False
        return self._or_unread(name, None)

    def text(self, name: str) -> str | None:
        """Return a text; bytes in it that are no UTF-8 become the replacement character."""
        raw = self._present(name)
        if raw is None:
            return None
        return self._or_unread(name, _text(raw))

    def texts(self, name: str) -> list[str] | None:
        """Return the texts of a list."""
        raw = self._present(name)
        if raw is None:
            return None
        try:
            texts = _decode_texts(raw)
        except UNDECODABLE:
            texts = None
        return self._or_unread(name, texts)

    def inner(self, name: str) -> "Fields | None":
        """Return the fields of the object in a field."""
        raw = self._present(name)
        if raw is None:
            return None
        try:
            return Fields(raw)
        except UNDECODABLE:
            return self._or_unread(name, None)

    def _present(self, name: str) -> msgspec.Raw | None:
        raw = self.raw.get(name)
        if raw is None or bytes(memoryview(raw)[:5]) == b"null":
            return None
        return raw

    def _or_unread(self, name: str, value: Value | None) -> Value | None:
        if value is None:
            self.unread.append(name)
        return value


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return _decode_text(raw)
    except UnicodeDecodeError:
        repaired = bytes(memoryview(raw)).decode("utf-8", "replace").encode()
        return _decode_text(repaired)
    except UNDECODABLE:
        return None

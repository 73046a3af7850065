"""Deflate texts into stretches that fit into any place of a stream, and combine their checksums.

Pure: knows zlib alone. A stretch is ended by a full flush, so it refers to nothing before it.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate

COMPRESSION_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the text, deflated, that refers to nothing before it; *shift* combines its checksum with others."""

    deflated: bytes
    checksum: int
    length: int
    shift: int

    @property
    def plain(self) -> bytes:
        """The text itself."""
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated)


def deflate(texts: Iterable[str]) -> Iterator[Stretch]:
    """Deflate each of *texts* into a stretch."""
    deflater = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    for text in texts:
        plain = text.encode()
        deflated = deflater.compress(plain) + deflater.flush(zlib.Z_FULL_FLUSH)
        yield Stretch(deflated, zlib.crc32(plain), len(plain), _shift(len(plain)))


def combine(stretches: Iterable[Stretch]) -> tuple[int, int]:
    """Return the checksum and the length of the texts of *stretches* in one."""
    checksum = length = 0
    for stretch in stretches:
        checksum = _times(stretch.shift, checksum) ^ stretch.checksum
        length += stretch.length
    return checksum, length


# Checksums as zlib's crc32_combine sees them: polynomials over GF(2) modulo CRC-32's, their bits
# reversed.


def _times(one: int, other: int) -> int:
    product = 0
    while one:
        if one & 0x80000000:
            product ^= other
        one = one << 1 & 0xFFFFFFFF
        other = other >> 1 ^ (0xEDB88320 if other & 1 else 0)
    return product


_POWERS = tuple(accumulate(range(40), lambda power, _: _times(power, power), initial=1 << 23))
"""What shifts a checksum by 2 to the n bytes: x to the eighth for one byte, squared again and again."""


def _shift(length: int) -> int:
    """Return what shifts a checksum by *length* bytes."""
    return reduce(
        _times, (power for exponent, power in enumerate(_POWERS) if length >> exponent & 1), 1 << 31
    )

"""A head that is compressed once, completed by any tail: one ordinary gzip member."""

import gzip
import zlib

import pytest

from exporter.exposition.compression import compress

LONG = b"".join(b"series{id=%d} 1\n" % number for number in range(50_000))


@pytest.mark.parametrize("parts", [[], [b""], [b"a"], [b"one ", b"", b"two"], [LONG, LONG]])
@pytest.mark.parametrize("tail", [b"", b"the end", LONG], ids=["none", "short", "long"])
def test_a_head_and_a_tail_make_exactly_one_gzip_member(parts, tail):
    member = b"".join(compress(parts).completed_by(tail))
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    assert unpacker.decompress(member) == b"".join(parts) + tail
    assert (unpacker.eof, unpacker.unused_data, unpacker.unconsumed_tail) == (True, b"", b"")


def test_one_head_serves_many_tails():
    head = compress([LONG])

    for tail in (b"first", b"second"):
        assert gzip.decompress(b"".join(head.completed_by(tail))) == LONG + tail

"""Which format_ and which packing a client gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.rendering import Format
from exporter.site.negotiate import accepts_gzip, choose_format

OM = "application/openmetrics-text"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF_FIRST = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        (BROWSER, Format.TEXT),
        ("text/plain", Format.TEXT),
        (PROMETHEUS_3, Format.OPENMETRICS),
        (PROMETHEUS_3_PROTOBUF_FIRST, Format.OPENMETRICS),
        (OM, Format.OPENMETRICS),
        (OM.upper(), Format.OPENMETRICS),
        (f"{OM}; version=1.0.0", Format.OPENMETRICS),
        (f'{OM}; version="1.0.0"; charset=utf-8', Format.OPENMETRICS),
        (f"{OM}; version=0.0.1", Format.TEXT),
        (f"{OM}; version=2.0.0", Format.TEXT),
        (f"text/plain, {OM}", Format.OPENMETRICS),
        (f"text/plain;q=0.9, {OM};q=0.8", Format.TEXT),
        (f"text/plain;q=0.1, {OM};q=0.2", Format.OPENMETRICS),
        (f"{OM};q=0", Format.TEXT),
        (f"{OM};q=rubbish", Format.TEXT),
        (f"{OM};q=nan", Format.TEXT),
        (",;,=;q=", Format.TEXT),
    ],
)
def test_the_format_follows_the_highest_weight(accept, format_):
    assert choose_format(accept) is format_


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=1.0, br", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("*, gzip;q=0", False),
        ("br, zstd", False),
        ("gzip;q=rubbish", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(accept_encoding, gzip):
    assert accepts_gzip(accept_encoding) is gzip


@given(st.text(alphabet=st.sampled_from(list('aq=;,.*/ 01"')) | st.characters()))
def test_any_header_gets_an_answer(header):
    assert choose_format(header) in Format
    assert accepts_gzip(header) in {True, False}

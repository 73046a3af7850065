"""One field is read in any notation that gateways and proxies use, or costs nothing but itself."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cometapi.answer import UNDECODABLE
from exporter.cometapi.fields import Fields, whole_number


def a_field(raw: bytes) -> Fields:
    return Fields(b'{"x": ' + raw + b"}")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (b"500000", 500_000),
        (b"500000.0", 500_000),
        (b"5e5", 500_000),
        (b"5E+05", 500_000),
        (b"1.501e+03", 1_501),
        (b"15010e-1", 1_501),
        (b'"500000"', 500_000),
        (b'" 500000 "', 500_000),
        (b'"5e+05"', 500_000),
        (b'"-7.00"', -7),
        (b'"+7"', 7),
        (b"0", 0),
        (b"-0.0", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b'"9223372036854775807"', 2**63 - 1),
        (b"9.223372036854775807e18", 2**63 - 1),
    ],
)
def test_a_whole_number_is_read_exactly_in_any_notation(written, number):
    fields = a_field(written)

    assert (fields.whole_number("x"), fields.unread) == (number, [])


@pytest.mark.parametrize(
    "written",
    [
        b"1.5",
        b'"1.5"',
        b"1e-1",
        b"9223372036854775808",
        b"1e19",
        b"1e999",
        b"1e400",
        b"1e999999999",
        b"1" * 5000,
        b'"' + b"1" * 5000 + b'"',
        b'""',
        b'"many"',
        b'"1,000"',
        b'"1_000"',
        b'"0x10"',
        b'"NaN"',
        b'"Infinity"',
        '"٣"'.encode(),
        b"true",
        b"[1]",
        b"{}",
    ],
)
def test_what_is_no_whole_number_of_64_bits_is_unread(written):
    fields = a_field(written)

    assert (fields.whole_number("x"), fields.unread) == (None, ["x"])


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_whole_number_as_it_is_and_as_text_and_with_zeros_behind_a_point_is_the_same(number):
    notations = (f"{number}", f"{number}.0", f'"{number}"', f'"{number}.000"', f"{number}e0")

    assert {whole_number(raw(text)) for text in notations} == {number}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_a_whole_number_only_where_it_is_one(number):
    found = whole_number(raw(repr(number)))

    is_whole = number == int(number) and -(2**63) <= number < 2**63
    assert (found is not None) is is_whole


@given(st.text())
def test_any_text_is_a_number_or_unread(text):
    fields = Fields(msgspec.json.encode({"x": text}))
    number = fields.whole_number("x")

    assert (number is None) is (fields.unread == ["x"])


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


@pytest.mark.parametrize("read", ["whole_number", "number", "flag", "text", "inner"])
@pytest.mark.parametrize("given_object", [b"{}", b'{"x": null}'])
def test_a_field_that_is_missing_or_null_is_none_and_not_unread(read, given_object):
    fields = Fields(given_object)

    assert (getattr(fields, read)("x"), fields.unread) == (None, [])


@pytest.mark.parametrize(
    ("read", "written", "value"),
    [
        ("number", b"0.8", 0.8),
        ("number", b'"0.8"', 0.8),
        ("flag", b"true", True),
        ("flag", b'"false"', False),
        ("flag", b"1", True),
        ("flag", b'""', False),
        ("text", b'"\xff"', "\ufffd"),
        ("text", b'"a"', "a"),
    ],
)
def test_a_field_is_read_as_it_is_meant(read, written, value):
    assert getattr(a_field(written), read)("x") == value


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("number", b'"free"'),
        ("flag", b'"yes"'),
        ("flag", b"2"),
        ("flag", b"[]"),
        ("text", b"7"),
        ("text", b"{}"),
        ("inner", b"[]"),
        ("inner", b'"a"'),
    ],
)
def test_a_field_of_another_type_is_unread(read, written):
    fields = a_field(written)

    assert (getattr(fields, read)("x"), fields.unread) == (None, ["x"])


@pytest.mark.parametrize("written", [b"", b"[]", b"7", b"null", b'"x"', b'{"x": '])
def test_what_is_no_object_has_no_fields(written):
    with pytest.raises(UNDECODABLE):
        Fields(written)

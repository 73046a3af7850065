"""What is kept of the lists that restrict a key, and which lists of addresses let everybody in."""

import pytest

from exporter.cometapi.restriction_lists import LONGEST_TEXT, address_list, model_list
from exporter.model import RestrictionList


@pytest.mark.parametrize("text", ["", " ", "\n", " \n\r\n\t"])
def test_a_text_without_an_address_is_no_list(text):
    assert address_list(text) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("192.0.2.7", 1),
        ("192.0.2.7\n192.0.2.8", 2),
        ("192.0.2.7,192.0.2.8", 2),
        (" 192.0.2.7 \r\n\r\n 2001:db8::/32 ", 2),
        ("192.0.2.7\n192.0.2.7", 1),
    ],
)
def test_addresses_are_counted(text, count):
    assert address_list(text).count == count


@pytest.mark.parametrize(
    "everything",
    [
        "0.0.0.0/0",
        "::/0",
        "0/0",
        "0.0.0.0/00",
        "0.0.0.0/0.0.0.0",
        "10.1.2.3/0",
        "2001:db8::1/0",
        "0:0:0:0:0:0:0:0/0",
        "[::]/0",
        "::ffff:0.0.0.0/96",
        "::FFFF:0:0/96",
        "0.0.0.0/1\n128.0.0.0/1",
        "::/1\n8000::/1",
        "0.0.0.0/2,64.0.0.0/2,128.0.0.0/1",
        "::ffff:0.0.0.0/97\n128.0.0.0/1",
    ],
)
@pytest.mark.parametrize("beside", ["", "192.0.2.7\n"])
def test_a_list_that_lets_every_address_in_is_found_in_any_notation(everything, beside):
    assert address_list(beside + everything).allows_all is True


@pytest.mark.parametrize(
    "some",
    [
        "192.0.2.7",
        "0.0.0.0",
        "::",
        "10.0.0.0/8",
        "0.0.0.0/1",
        "0.0.0.0/1\n0.0.0.0/2",
        "0.0.0.0/10",
        "0.0.0.0/1\n8000::/1",
        "::ffff:192.0.2.0/120",
        "2001:db8::/96",
        "no address/0",
        "office/0",
        "0.0.0.0/-0",
    ],
)
def test_a_list_of_some_addresses_does_not_let_every_address_in(some):
    assert address_list(some).allows_all is False


def test_the_digest_shows_a_change_and_no_change_of_order():
    before = address_list("192.0.2.7\n192.0.2.8")

    assert before == address_list("192.0.2.8,192.0.2.7\n192.0.2.8")
    assert before.digest != address_list("192.0.2.7\n192.0.2.9").digest
    assert model_list("small,large") == model_list(["large", "small "])
    assert model_list("small,large").digest != model_list("smalllarge").digest


def test_models_are_counted_and_a_list_may_be_empty():
    assert (model_list("small, large,").count, model_list("").count) == (2, 0)


@pytest.mark.parametrize("read", [address_list, model_list])
def test_a_list_beyond_all_measure_is_a_list_with_unknown_entries(read):
    assert read("1" * (LONGEST_TEXT + 1)) == RestrictionList()


def test_nothing_of_an_entry_is_kept():
    assert "CANARY" not in repr((model_list("CANARY"), address_list("CANARY")))

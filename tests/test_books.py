"""Prove that recorded usage is summed, delayed and limited as a gateway does it."""

import json

import pytest
from books import HOUR, Books
from gateway import STATUS_PATH, USAGE_BY_KEY_PATH, USAGE_PATH, Answer

NOON = 1_750_003_200
DAY = 24 * HOUR


def a_query(first, last):
    return {"start_timestamp": str(first), "end_timestamp": str(last)}


def test_a_row_sums_the_requests_of_its_hour_and_model():
    books = Books()
    books.book(NOON, "small", 5, key_id=1)
    books.book(NOON + 3_599, "small", 7, key_id=2)
    books.book(NOON + 3_600, "small", 11)
    books.flush()

    assert books.by_hour(NOON, NOON + HOUR) == [
        {
            "model_name": "small",
            "quota": 12,
            "token_used": 24,
            "count": 2,
            "created_at": NOON,
            "token_id": 0,
        },
        {
            "model_name": "small",
            "quota": 11,
            "token_used": 22,
            "count": 1,
            "created_at": NOON + HOUR,
            "token_id": 0,
        },
    ]


def test_what_is_booked_is_told_after_the_next_flush():
    books = Books()
    books.book(NOON, "small", 5)

    assert books.by_hour(NOON, NOON) == []
    books.flush()
    assert [row["quota"] for row in books.by_hour(NOON, NOON)] == [5]


def test_by_key_an_hour_is_not_told_and_usage_of_no_key_has_id_0():
    books = Books()
    books.book(NOON, "small", 5, key_id=3, key_name="batch", group="vip")
    books.book(NOON + HOUR, "small", 6, key_id=3, key_name="batch", group="vip")
    books.book(NOON, "small", 1)
    books.flush()

    spent = [
        (row["token_id"], row["token_name"], row["use_group"], row["quota"])
        for row in books.by_key(NOON, NOON + HOUR)
    ]
    assert spent == [(3, "batch", "vip", 11), (0, "", "default", 1)]


@pytest.mark.parametrize("path", [USAGE_PATH, USAGE_BY_KEY_PATH])
def test_more_than_thirty_days_are_rejected(path):
    books = Books()
    books.book(NOON, "small", 5)
    books.flush()
    usage = books.offers()[path]

    assert len(usage(a_query(NOON - 30 * DAY, NOON))) == 1
    rejected = usage(a_query(NOON - 30 * DAY - 1, NOON))
    assert isinstance(rejected, Answer)
    assert json.loads(rejected.body)["success"] is False


def test_a_range_may_be_ignored():
    books = Books(ignores_range=True)
    books.book(NOON, "small", 5)
    books.flush()

    assert [row["quota"] for row in books.by_hour(NOON + DAY, NOON + DAY)] == [5]


def test_without_export_nothing_is_recorded():
    books = Books(is_exported=False)
    books.book(NOON, "small", 5)
    books.flush()

    assert books.offers()[STATUS_PATH] == {"enable_data_export": False}
    assert books.by_hour(0, NOON) == []

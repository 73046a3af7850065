"""What is remembered of the changes of an account's keys."""

from exporter.changes import NO_CHANGES, Change, KeyChange


def a_change(number, change=Change.RENAMED, key_id=1):
    return KeyChange(time=number, key_id=key_id, key_name="bot", change=change)


def test_every_change_is_counted_from_zero():
    history = NO_CHANGES.plus([a_change(1), a_change(2), a_change(3, Change.DELETED)])

    assert len(NO_CHANGES.counts) == 20
    assert set(NO_CHANGES.counts.values()) == {0}
    assert {change: number for change, number in history.counts.items() if number} == {
        "renamed": 2,
        "deleted": 1,
    }


def test_the_newest_come_first_and_only_the_last_thousand_are_kept():
    history = NO_CHANGES.plus([a_change(1), a_change(2)])
    more = history.plus(a_change(number) for number in range(3, 1_503))

    assert [change.time for change in history.last] == [2, 1]
    assert (len(more.last), more.last[0].time, more.last[-1].time) == (1_000, 1_502, 503)
    assert more.counts["renamed"] == 1_502


def test_the_counts_since_an_earlier_time_leave_out_what_came_before():
    earlier = NO_CHANGES.plus([a_change(1), a_change(2, Change.CREATED)])
    later = earlier.plus([a_change(3), a_change(4)])

    assert later.counts_since(earlier) == {"renamed": 2}
    assert later.plus([]) is later


def test_the_changes_of_one_key_are_found():
    history = NO_CHANGES.plus([a_change(1, key_id=7), a_change(2, key_id=8), a_change(3, key_id=7)])

    assert [change.time for change in history.of_key(7)] == [3, 1]

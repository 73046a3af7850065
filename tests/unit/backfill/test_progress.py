"""What people read while the past is read."""

import pytest

from exporter.backfill.progress import Progress, size


def test_the_remaining_time_is_said_every_half_minute_and_the_end_at_once():
    progress = Progress(total=4, began=100.0)
    said = [progress.advance(now) for now in (190.0, 200.0, 280.0, 281.0)]

    assert said == [
        "1 of 4 hours read by key, about 4 minutes left.",
        None,
        "3 of 4 hours read by key, about 60 seconds left.",
        "4 of 4 hours read by key.",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(12, "12 bytes"), (48e6, "48 MB"), (1.44e9, "1.4 GB"), (2e3, "2.0 kB"), (590e3, "590 kB")],
)
def test_sizes_are_written_for_people(number, text):
    assert size(number) == text

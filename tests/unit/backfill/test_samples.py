"""A history as lines with times; expected lines are written out by hand."""

from domain import an_api_key

from exporter.backfill.history import Labels, Period
from exporter.backfill.samples import comments, sample_count, sample_lines, series_name

HOUR = 3_600
NOON = 1_000 * HOUR
ADDED = {"job": "j", "instance": "i:1"}


def samples(growth, *, first_hour=0, end=None, now=None):
    """Return value by minute after noon."""
    if end is None:
        end = NOON + len(growth) * HOUR
    period = Period(first=NOON, end=end, now=NOON + 100 * HOUR if now is None else now)
    lines = list(sample_lines("m", growth, first_hour=first_hour, period=period))
    assert len(lines) == sample_count(first_hour, period)
    found = {}
    for line in lines:
        name, value, at = line.split()
        assert (name, (int(at) - NOON) % 60) == ("m", 0)
        found[(int(at) - NOON) // 60] = int(value)
    return found


def test_a_counter_grows_linearly_over_its_hour_with_a_sample_every_four_minutes():
    found = samples([150, 30])

    assert list(found) == [*range(0, 121, 4)]
    assert [found[minute] for minute in (0, 4, 56, 60, 64, 120)] == [0, 10, 140, 150, 152, 180]


def test_a_series_begins_with_a_zero_in_the_hour_of_its_first_growth_and_goes_on_to_the_end():
    found = samples([0, 60, 0], first_hour=1)

    assert next(iter(found.items())) == (60, 0)
    assert [found[minute] for minute in (120, 180)] == [60, 60]


def test_in_the_hour_of_the_end_only_its_linear_share_is_counted():
    found = samples([150, 150], end=NOON + HOUR + 30 * 60)

    assert list(found)[-1] == 88
    assert found[88] == 150 + 150 * 28 // 60


def test_what_is_recorded_of_the_running_hour_is_spread_over_the_part_that_is_over():
    now = NOON + 40 * 60
    found = samples([100], end=now, now=now)

    assert [found[minute] for minute in (0, 20, 40)] == [0, 50, 100]


def test_numbers_are_exact_however_large():
    assert samples([2**62, 2**62])[120] == 2**63


def test_a_series_by_model_has_its_labels_and_those_that_prometheus_adds():
    assert series_name("quota", "main", Labels('gpt "4"\n'), ADDED) == (
        'cometapi_usage_quota_total{account="main",instance="i:1",job="j",model="gpt \\"4\\"\\n"}'
    )


def test_a_series_by_key_has_the_name_and_group_of_the_key():
    key = an_api_key(id=7, name="shop", group="")

    assert series_name("tokens", "main", Labels("m", key), {}) == (
        'cometapi_usage_tokens_total{account="main",group="",key_id="7",key_name="shop",model="m"}'
    )


def test_the_family_is_a_counter_whose_name_has_no_suffix():
    assert comments("requests") == (
        b"# HELP cometapi_usage_requests Requests, by model.\n# TYPE cometapi_usage_requests counter\n"
    )

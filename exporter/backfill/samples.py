"""Write a history as samples in the OpenMetrics format, as the exporter would have exposed it.

Pure: values in, text out. Knows no HTTP and no file.

A counter grows linearly over each hour. Its samples lie on the hour and every four minutes after
it: Prometheus takes a series for stale after five minutes without a sample. A series begins with 0
at the start of the first hour in which it grows, and goes on to the end of the period.
"""

from collections.abc import Iterator, Mapping, Sequence

from exporter.backfill.history import Labels, Period
from exporter.exposition.catalogue import KEY_LABELS, USAGE_FAMILIES, Family
from exporter.exposition.rendering import Format, label_set
from exporter.refresh.usage import HOUR

STEP_SECONDS = 240

# A value and a time, with the spaces and the line break: 10 digits each and a few more.
VALUE_AND_TIME_BYTES = 22

END = Format.OPENMETRICS.end.encode()


def family_of(amount: str) -> Family:
    """Return the family of the counter of one of `AMOUNTS`."""
    name = f"cometapi_usage_{amount}_total"
    return next(family for family in USAGE_FAMILIES if family.name == name)


def comments(amount: str) -> bytes:
    """Return the lines before the samples of the counter of one of `AMOUNTS`."""
    return Format.OPENMETRICS.comments(family_of(amount)).encode()


def series_name(amount: str, account: str, labels: Labels, added: Mapping[str, str]) -> str:
    """Return the name and the labels of a series, with those that are *added* to every one."""
    values = {**added, "account": account, "model": labels.model}
    if labels.key is not None:
        of_key = (account, str(labels.key.id), labels.key.name, labels.key.group)
        values |= dict(zip(KEY_LABELS, of_key, strict=True))
    return family_of(amount).name + label_set(tuple(values), tuple(values.values()))


def sample_lines(
    name: str, growth: Sequence[int], *, first_hour: int, period: Period
) -> Iterator[str]:
    """Write all samples of one series, whose growth begins in the hour at position *first_hour*."""
    total = 0
    for position in range(first_hour, len(growth)):
        hour = period.hours[position]
        length = period.seconds_of(hour)
        grown = growth[position]
        for second in range(0, min(HOUR, period.end + 1 - hour), STEP_SECONDS):
            value = total + grown * min(second, length) // length
            yield f"{name} {value} {hour + second}\n"
        total += grown
    if period.end % HOUR == 0:
        yield f"{name} {total} {period.end}\n"


def sample_count(first_hour: int, period: Period) -> int:
    """Return how many samples `sample_lines` writes."""
    return max(0, period.end - period.hours[first_hour]) // STEP_SECONDS + 1

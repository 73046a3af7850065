"""Units, colours, thresholds and value mappings: how a value looks, whatever it measures.

Pure. Knows no metrics and no queries.
"""

from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

COUNT = units.NoUnit
SHARE = units.PercentUnit
SECONDS = units.Seconds
DOLLARS = units.Dollars
QUOTA = units.Short
# Of what falls slowly: every digit, where the others would write $5.00K on each tick of the axis.
EXACT_DOLLARS = "prefix:$"
EXACT_QUOTA = units.LocaleFormat
BYTES = units.BytesIEC
MOMENT = units.DatetimeISO
AGO = units.DateTimeFromNow

HOUR, DAY = 3_600, 86_400


class Step(NamedTuple):
    """From *value* upwards the colour is *color*; None is minus infinity."""

    value: float | None
    color: str


PLAIN = (Step(None, "text"),)
NONE_IS_USUAL = (Step(None, "text"), Step(1, "orange"))
CLOCK_SKEW = (Step(None, "green"), Step(60, "red"))
NONE_IS_GOOD = (Step(None, "green"), Step(1, "orange"))
NONE_IS_VITAL = (Step(None, "green"), Step(1, "red"))
ONE_IS_GOOD = (Step(None, "red"), Step(1, "green"))
MORE_TIME_IS_GOOD = (Step(None, "red"), Step(DAY, "orange"), Step(7 * DAY, "green"))
DATA_AGE = (Step(None, "green"), Step(180, "orange"), Step(600, "red"))
REFRESHES_MISSED = (Step(None, "green"), Step(3, "orange"), Step(5, "red"))
REQUESTS_LEFT = (Step(None, "red"), Step(1, "orange"), Step(100, "green"))
SHARE_LEFT = (Step(None, "red"), Step(0.1, "orange"), Step(0.25, "green"))
# Red at nothing and below, in quota units as in dollars.
BALANCE = (Step(None, "red"), Step(1e-9, "green"))


def thresholds(steps: tuple[Step, ...]) -> build.ThresholdsConfig:
    """Build absolute thresholds."""
    marks = [model.Threshold(value=step.value, color=step.color) for step in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(marks)


def threshold_setting(steps: tuple[Step, ...]) -> model.DynamicConfigValue:
    """Build the same thresholds for one column of a table."""
    return model.DynamicConfigValue(id_val="thresholds", value=thresholds(steps).build())


def named_values(names: dict[str, tuple[str, str]]) -> list[model.ValueMapping]:
    """Map each value to its (text, colour)."""
    results = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(names.items())
    }
    return [model.ValueMap(options=results)]


def text_if_empty(text: str) -> list[model.ValueMapping]:
    """Show *text* where a label has no value."""
    special = model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.EMPTY,
        result=model.ValueMappingResult(text=text, color="text", index=0),
    )
    return [model.SpecialValueMap(options=special)]


def text_if_endless(text: str) -> list[model.ValueMapping]:
    """Show *text* for infinity, which queries give where it is known that nothing limits: no value means unknown."""
    return named_values({"Infinity": (text, "text")})


def text_if_null(text: str, *, after: int = 0) -> list[model.ValueMapping]:
    """Show *text* where there is no value, in the colour of text: without it, the lowest threshold's colour alarms.

    *after* is how many mappings come before it.
    """
    special = model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.NULL,
        result=model.ValueMappingResult(text=text, color="text", index=after),
    )
    return [model.SpecialValueMap(options=special)]


STATUS_COLORS = {
    "enabled": "green",
    "disabled": "blue",
    "expired": "orange",
    "exhausted": "red",
    "unknown": "purple",
}
# A usable key, and why others are not.
STATE_COLORS = {
    "usable": "green",
    "disabled": "blue",
    "expired": "orange",
    "exhausted": "red",
    "unknown_status": "purple",
    "account_exhausted": "dark-red",
    "group_unavailable": "yellow",
}
STATUS = named_values(
    {
        "1": ("enabled", STATUS_COLORS["enabled"]),
        "2": ("disabled", STATUS_COLORS["disabled"]),
        "3": ("expired", STATUS_COLORS["expired"]),
        "4": ("exhausted", STATUS_COLORS["exhausted"]),
    }
)
# A status code, plus 10 where the key is usable: then its status adds nothing.
STATE = named_values(
    {
        "11": ("usable", STATUS_COLORS["enabled"]),
        "1": ("not usable", "red"),
        "2": ("disabled", STATUS_COLORS["disabled"]),
        "3": ("expired", STATUS_COLORS["expired"]),
        "4": ("exhausted", STATUS_COLORS["exhausted"]),
    }
)
USABLE = named_values({"1": ("usable", "green"), "0": ("not usable", "red")})
ANSWERS = named_values({"1": ("answers", "green"), "0": ("failing", "red")})
RELOADED = named_values({"1": ("loaded", "green"), "0": ("rejected", "red")})
EXPORTER = named_values({"1": ("up", "green"), "0": ("failing", "red"), "-1": ("down", "red")})

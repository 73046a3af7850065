"""Units, colours, thresholds and value mappings: how a value looks, whatever it measures.

Pure. Knows the numbers that stand for states, but no metrics and no queries.
"""

from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

from cometapi_grafana import states as state

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
# Red at nothing and below. In dollars also orange below 10, as in the bundled alerts.
BALANCE = (Step(None, "red"), Step(1e-9, "orange"), Step(10, "green"))
BALANCE_IN_UNITS = (Step(None, "red"), Step(1e-9, "green"))
ALL_THERE = (Step(None, "red"), Step(0, "green"))
UNKNOWN = "Unknown"
"""What a panel shows without a value."""


def thresholds(steps: tuple[Step, ...]) -> build.ThresholdsConfig:
    """Build absolute thresholds."""
    marks = [model.Threshold(value=step.value, color=step.color) for step in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(marks)


def threshold_setting(steps: tuple[Step, ...]) -> model.DynamicConfigValue:
    """Build the same thresholds for one column of a table."""
    return model.DynamicConfigValue(id_val="thresholds", value=thresholds(steps).build())


def steps_in_units(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Give the steps for quota units that belong to *steps* for dollars."""
    return BALANCE_IN_UNITS if steps == BALANCE else steps


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
    """Show *text* for infinity, which means that nothing limits; no value means unknown."""
    return named_values({"Infinity": (text, "text")})


def balance_words() -> list[model.ValueMapping]:
    """Show what `Scope.spendable_in_words()` gives beside amounts."""
    return named_values({"Infinity": ("no limit", "text"), "-Infinity": ("not offered", "text")})


def lasts_words() -> list[model.ValueMapping]:
    """Show what `Scope.lasts()` gives beside seconds."""
    return named_values({"Infinity": ("no limit", "text"), "-Infinity": ("nothing spent", "text")})


def lasts_or_dry_words() -> list[model.ValueMapping]:
    """Show what `Scope.lasts_or_dry()` gives beside seconds."""
    return named_values(
        {
            "-2": ("probably dry", "red"),
            "-1": ("possibly dry", "orange"),
            "Infinity": ("nothing spent", "text"),
        }
    )


def not_offered() -> list[model.ValueMapping]:
    """Show what `Scope.or_not_offered()` gives beside values."""
    return named_values({"-Infinity": ("not offered", "text")})


def text_if_null(text: str, *, after: int = 0) -> list[model.ValueMapping]:
    """Show *text* where there is no value, in the colour of text.

    Without it, Grafana takes the colour of the lowest threshold, which alarms.

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
    "account_disabled": "dark-blue",
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
# Of a key, in the words of the metrics' label `reason`.
STATES = named_values(
    {
        str(state.USABLE): ("usable", "green"),
        str(state.PROBABLY_DRY): ("probably dry", "red"),
        str(state.POSSIBLY_DRY): ("possibly dry", "orange"),
        str(state.DISABLED): ("disabled", STATE_COLORS["disabled"]),
        str(state.EXPIRED): ("expired", STATE_COLORS["expired"]),
        str(state.EXHAUSTED): ("exhausted", STATE_COLORS["exhausted"]),
        str(state.UNKNOWN_STATUS): ("unknown_status", STATE_COLORS["unknown_status"]),
        str(state.ACCOUNT_DISABLED): ("account_disabled", STATE_COLORS["account_disabled"]),
        str(state.ACCOUNT_EXHAUSTED): ("account_exhausted", STATE_COLORS["account_exhausted"]),
        str(state.GROUP_UNAVAILABLE): ("group_unavailable", STATE_COLORS["group_unavailable"]),
        str(state.UNUSABLE): ("not usable", "red"),
    }
)
ACCOUNT_STATES = named_values(
    {
        str(state.ACCOUNT_UP): ("up", "green"),
        str(state.ACCOUNT_EMPTY): ("empty", "red"),
        str(state.ACCOUNT_NOT_READ_YET): ("not read yet", "orange"),
        str(state.ACCOUNT_FAILING): ("failing", "red"),
        str(state.ACCOUNT_STALE): ("stale", "red"),
        str(state.ACCOUNT_NO_EXPORTER): ("no exporter", "red"),
        str(state.ACCOUNT_NAME_SHARED): ("same name twice", "orange"),
    }
)
USABLE = named_values({"1": ("usable", "green"), "0": ("not usable", "red")})
ANSWERS = named_values({"1": ("up", "green"), "0": ("failing", "red")})
RELOADED = named_values({"1": ("loaded", "green"), "0": ("rejected", "red")})

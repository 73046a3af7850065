"""What the dashboard of spending asks of Prometheus: sums of the calendar month in UTC, and their forecast.

Pure: text in, text out. Knows no panels, units or colours.

The sum of the month is the gateway's own. What comes hour by hour is the growth of the counters,
of each hour by the replica that counted most; hours are summed, so that a restart and the border
of a backfill cost at most a part of one hour.
"""

from dataclasses import dataclass

from cometapi_grafana.expressions import KEY_LABELS, MODEL_LABELS, Scope

WEEK, DAY, HOUR = 604_800, 86_400, 3_600
WEEK_HOURS = 168
UNSURE_HOURS = 3
"""In so many hours of a month, what is exposed may still be the sum of the month before."""
KNOWN_SHARE = 0.95
"""Of a month's hours, so many must be known to compare with it."""
UNUSED_SECONDS = 90 * DAY
"""As in the bundled alert CometAPIKeyUnused."""

_NOW = "($__to / 1000)"
"""The end of the time range, also within a subquery, where time() is the time of its step."""
_DAY_OF_MONTH = f"scalar(day_of_month(vector({_NOW})))"
_DAYS = f"scalar(days_in_month(vector({_NOW})))"
_LAST_DAYS = f"scalar(days_in_month(vector({_NOW} - {DAY} * {_DAY_OF_MONTH})))"
"""Days of the month before."""
_MONTH_BEGAN = f"({_NOW} - {_NOW} % {DAY} - {DAY} * ({_DAY_OF_MONTH} - 1))"
_RECURRENCES = (
    f"scalar(floor(vector(({_MONTH_BEGAN} + {DAY} * {_DAYS} - time()) / {WEEK}))"
    f" - floor(vector(({_NOW} - time()) / {WEEK})))"
)
"""How often a step of a subquery comes again, week by week, until the month ends."""

BY_ACCOUNT = "account"
BY_MODEL = "account, model"
BY_GROUP = "account, group"
BY_KEY = KEY_LABELS


@dataclass(frozen=True, slots=True)
class Spending:
    """The queries about the keys that *scope* lets through, summed by the labels *by*."""

    scope: Scope
    by: str

    def so_far(self) -> str:
        """Quota units of the running month; absent where unknown, and in its first hours."""
        sure = f"(day_of_month() > 1 or hour() >= {UNSURE_HOURS})"
        return f"({self._told()} and on () {sure})"

    def so_far_of(self, chosen: str) -> str:
        """Quota units of the running month of what *chosen* has, 0 where others of its account spent and it did not.

        Where the exporter folds series, what seems to have spent nothing may be among those.
        """
        spent = f"{self.so_far()} and on ({self.by}) {chosen}"
        known = f"sum by (account) ({self.so_far()})"
        folded = f'cometapi_usage_month_quota{{{self.scope.account}, model="other", key_id=""}}'
        nothing = f"0 * {chosen} and on (account) {known} unless on (account) {folded}"
        return f"({spent} or on ({self.by}) ({nothing}))"

    def forecast(self) -> str:
        """Quota units that the month will have cost when it ends.

        By the hours of the last four weeks, each as often as its hour of the week comes again; with
        less than a week of them by a straight line, and not at all on the first day.
        """
        elapsed = f"((day_of_month() - 1) * {DAY} + time() % {DAY})"
        whole = f"scalar(days_in_month() * {DAY} / {elapsed})"
        by_hours = f"{self.so_far()} + on ({self.by}) {self._rest()}"
        nothing_to_come = f"{self.so_far()} and on (account) {self._known_for_a_week()}"
        straight = f"{self.so_far()} * {whole} and on () day_of_month() > 1"
        return f"({by_hours} or {nothing_to_come} or {straight})"

    def last_month(self) -> str:
        """Quota units of the month before: as the gateway told at its end, or by hours if nearly all are known."""
        at_its_end = f"(vector({_MONTH_BEGAN} - time()) > 0 < {UNSURE_HOURS * HOUR})"
        told = f"last_over_time(({self._told()} and on () {at_its_end})[32d:1h])"
        return f"({told} or on ({self.by}) {self._last_month_by_hours()})"

    def per_day(self, metric: str = "quota") -> str:
        """Growth of usage in the day that begins at each moment.

        Half an hour less than a day: Prometheus 2 counts both ends of a range, which would be 25 hours.
        """
        return f"sum_over_time({self._hour(metric)}[23h30m:1h] offset -1d)"

    def _last_month_by_hours(self) -> str:
        within = f"(vector(time()) > {_MONTH_BEGAN} - {DAY} * {_LAST_DAYS} <= {_MONTH_BEGAN})"
        hours = f"sum_over_time(({self._hour()} and on () {within})[62d:1h])"
        known = f"count_over_time(({self._known()} and on () {within})[62d:1h])"
        return f"({hours} and on (account) ({known} > {KNOWN_SHARE} * 24 * {_LAST_DAYS}))"

    def _rest(self) -> str:
        """Quota units of the remaining hours of the month."""
        spent = f"sum_over_time(({self._hour()} * {_RECURRENCES})[28d:1h])"
        known = f"sum_over_time(({self._known()} * {_RECURRENCES})[28d:1h])"
        hours = f"scalar((days_in_month() - day_of_month() + 1) * 24 - time() % {DAY} / {HOUR})"
        mean = f"{spent} / on (account) group_left () ({known} > 0)"
        return f"({mean} * {hours} and on (account) {self._known_for_a_week()})"

    def _known_for_a_week(self) -> str:
        return f"(count_over_time({self._known()}[28d:1h]) >= {WEEK_HOURS})"

    def _told(self) -> str:
        series = self.scope.newest(f"cometapi_usage_month_quota{{{self._usage()}}}")
        return f"sum by ({self.by}) (max by ({MODEL_LABELS}) {series})"

    def _hour(self, metric: str = "quota") -> str:
        series = f"cometapi_usage_{metric}_total{{{self._usage()}}}"
        return f"sum by ({self.by}) (max by ({MODEL_LABELS}) (increase({series}[1h])))"

    def _known(self) -> str:
        series = f"cometapi_usage_quota_total{{{self.scope.account}}}"
        return f"(0 * count by (account) ({series}) + 1)"

    def _usage(self) -> str:
        """Match series of usage; by group or key, those that tell of a key: without one, it is unknown.

        A month in which nothing was used is a 0 without a model.
        """
        if self.by in {BY_GROUP, BY_KEY}:
            return f'{self.scope.key}, key_id!=""'
        if self.by == BY_MODEL:
            return f'{self.scope.key}, model!=""'
        return self.scope.key


def with_group_names(expr: str) -> str:
    """Call the group of keys without one "no group"."""
    return f'label_replace({expr}, "group", "no group", "group", "")'


def unused_money(scope: Scope) -> str:
    """Quota units left on usable keys that nobody used, or that were created and never used, for 90 days.

    0 for the other keys; absent where no keys are known.
    """
    last_used = scope.of_key("last_used_timestamp_seconds")
    since = f"({last_used} or {scope.of_key('created_timestamp_seconds')})"
    left = f"clamp_min({scope.of_key('remaining_quota')}, 0)"
    unused = f"({since} < time() - {UNUSED_SECONDS})"
    other = f"0 * {scope.of_key('usable')}"
    return f"({left} and on ({KEY_LABELS}) {unused} and on ({KEY_LABELS}) {scope.usable()} or on ({KEY_LABELS}) {other})"


def raised_price(scope: Scope) -> str:
    """Quota units that groups cost more within the time range than at the lowest price factor in it."""
    used = f"delta({scope.key_series('used_quota')}[1h])"
    spent = f"sum by ({BY_GROUP}) (clamp_min(max by ({KEY_LABELS}) ({used}), 0))"
    series = f"cometapi_group_price_factor{{{scope.group}}}"
    factor = f"max by ({BY_GROUP}) ({series})"
    lowest = f"min by ({BY_GROUP}) (min_over_time({series}[$__range] @ end()))"
    share = f"(1 - {lowest} / ({factor} > 0))"
    return f"sum_over_time(({spent} * on ({BY_GROUP}) {share})[$__range:1h])"

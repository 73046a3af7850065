"""What the dashboards ask of Prometheus, as PromQL text.

Pure: text in, text out. Knows no panels, units or colours. Raw metrics only, so the dashboards work
without recording rules.

Replicas of the exporter count once, by the rule of the bundled alerts: of an account's present
values, those of the replica that read the account last count (`newest()`). Slopes and sums over
time take the largest instead, which is that of the replica with the longest history.

Three values that no metric has stand for words: see ENDLESS, IDLE and NOT_OFFERED. No value at all
means that nothing is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cometapi_grafana import states

KEY_LABELS = "account, group, key_id, key_name"
MODEL_LABELS = f"model, {KEY_LABELS}"
# A renamed key keeps only these.
ONE_KEY_LABELS = "account, key_id"
# What keeps installations of the exporter apart, and what its replicas differ in.
INSTALLATION_LABELS = "job, cluster, namespace"
REPLICA_LABELS = "instance, pod"
SECONDS_PER_DAY = 86_400
ENDLESS = "Inf"
"""Nothing limits it: an unlimited key, a key that never expires."""
IDLE = "-Inf"
"""Limited, but nothing is being spent."""
NOT_OFFERED = "-Inf"
"""The gateway does not offer the path that would tell."""
BALANCE_PATH, GROUPS_PATH = "/api/user/self", "/api/user/self/groups"
# As in the bundled rules: unused for so long while in use, and no longer in use.
IDLE_SECONDS, IN_USE_SECONDS = 1_500, 604_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Label matchers of one dashboard: what its variables let through, for each kind of series."""

    installation: str
    account: str
    group: str
    key: str
    key_labels: str = KEY_LABELS

    def newest(self, series: str, *, at: str = "") -> str:
        """Drop from *series* what replicas report that read the account less recently than another."""
        labels = f"{INSTALLATION_LABELS}, account"
        read_at = f"cometapi_exporter_last_success_timestamp_seconds{{{self.account}}}{at}"
        behind = f"{read_at} < on ({labels}) group_left () max by ({labels}) ({read_at})"
        return f"({series} unless on ({labels}, {REPLICA_LABELS}) ({behind}))"

    def key_series(self, metric: str) -> str:
        """Select one `cometapi_key_*` gauge, as scraped: one series a key and replica."""
        return f"cometapi_key_{metric}{{{self.key}}}"

    def of_key(self, metric: str, *, at: str = "", only: str = "") -> str:
        """Read one `cometapi_key_*` gauge, one series a key.

        *at* is an offset, none for now. *only* narrows to the keys that it gives, before anything
        is folded: with a thousand keys that is several times cheaper than doing it afterwards.
        """
        series = f"{self.key_series(metric)}{at}"
        chosen = among(series, only) if only else series
        return f"max by ({self.key_labels}) {self.newest(chosen, at=at)}"

    def changed(self, metric: str, window: str, *, at: str = "") -> str:
        """Keep the keys of which a gauge had more than one value within *window*.

        Not changes() > 0: VictoriaMetrics counts the first sample of a series as a change.
        """
        series = f"{self.key_series(metric)}[{window}]{at}"
        return f"max_over_time({series}) != min_over_time({series})"

    def of_account(self, metric: str) -> str:
        """Read one gauge that has only the account label; *metric* is the whole name."""
        return f"max by (account) {self.newest(f'{metric}{{{self.account}}}')}"

    def usable_count(self) -> str:
        """Count keys that can serve requests, by account and group."""
        return f"max by (account, group) {self.newest(f'cometapi_keys_usable{{{self.group}}}')}"

    def unusable_count(self) -> str:
        """Count keys that cannot serve requests, by account, group and reason."""
        series = f"cometapi_keys_unusable{{{self.group}}}"
        return f"max by (account, group, reason) {self.newest(series)}"

    def usable(self) -> str:
        """Keep the keys that can serve requests now."""
        return f"({self.of_key('usable')} == 1)"

    def was_usable(self) -> str:
        """Keep the keys that could serve requests at some time of the last day."""
        series = f"max_over_time({self.key_series('usable')}[1d])"
        return f"(max by ({self.key_labels}) ({series}) == 1)"

    def stopped_today(self) -> str:
        """Keep the keys that could serve requests at some time of the last day, and cannot now."""
        return f"({self.unusable()} and on (account, key_id) {self.was_usable()})"

    def unusable(self) -> str:
        """Keep the keys that cannot serve requests."""
        return f"({self.of_key('usable')} == 0)"

    def last_usable(self) -> str:
        """Unix time, to ten minutes, at which the key could last serve requests; absent if not within the day."""
        usable_at = f"timestamp({self.key_series('usable')} == 1)"
        by_replica = self.newest(f"max_over_time({usable_at}[1d:10m])")
        return f"max by ({self.key_labels}) {by_replica}"

    def state(self) -> str:
        """Give the number in `states` of each key: usable, dry, or the reason why it is not usable.

        The exporter counts unusable keys by reason but has no reason at each key. Status, expiry
        and quota give the key's own reasons, in the exporter's order. What is left is a reason of
        the account or of the group, and all such keys of one group have the same.
        """
        status, usable = self.key_series("status"), self.key_series("usable")
        codes = {
            f"{usable} == 1": states.USABLE,
            f"{status} == 2": states.DISABLED,
            f"{status} == 3": states.EXPIRED,
            f"{status} == 4": states.EXHAUSTED,
            f"{status} != 1": states.UNKNOWN_STATUS,
            f"{self.key_series('expiry_timestamp_seconds')} <= time()": states.EXPIRED,
            f"{self.key_series('remaining_quota')} <= 0": states.EXHAUSTED,
            self._unusable_in_group("account_disabled"): states.ACCOUNT_DISABLED,
            self._unusable_in_group("account_exhausted"): states.ACCOUNT_EXHAUSTED,
            self._unusable_in_group("group_unavailable"): states.GROUP_UNAVAILABLE,
            f"{usable} == 0": states.UNUSABLE,
        }
        by_replica = self.newest(f"({first_that_holds(codes)})")
        dry = first_that_holds(
            {
                self.probably_dry(): states.PROBABLY_DRY,
                self.possibly_dry(): states.POSSIBLY_DRY,
            }
        )
        return f"({dry} or on ({self.key_labels}) max by ({self.key_labels}) {by_replica})"

    def _unusable_in_group(self, reason: str) -> str:
        group = f"{INSTALLATION_LABELS}, {REPLICA_LABELS}, account, group"
        counted = f'cometapi_keys_unusable{{{self.group}, reason="{reason}"}}'
        return f"{self.key_series('usable')} == 0 and on ({group}) ({counted} > 0)"

    def or_endless(self, expr: str, known: str = "") -> str:
        """Give *expr*, and infinity where *known* (by default, the key) has a value and *expr* has none."""
        return f"{expr} or (0 * ({known or self.of_key('status')}) + {ENDLESS})"

    def or_not_offered(self, expr: str, path: str) -> str:
        """Give *expr*, and NOT_OFFERED for accounts that are up and whose gateway does not offer *path*."""
        offered = self.path_up(path)
        silent = f"{self.of_account('cometapi_up')} == 1 unless on (account) {offered}"
        return f"{expr} or on (account) (0 * ({silent}) + ({NOT_OFFERED}))"

    def path_up(self, path: str = "") -> str:
        """1 where the last request to a path of the gateway's API was answered, else 0; absent if it is not offered."""
        only = f', path="{path}"' if path else ""
        series = f"cometapi_exporter_api_up{{{self.account}{only}}}"
        return f"max by (account, path) {self.newest(series)}"

    def paths_failing(self) -> str:
        """Seconds since each path that fails was last answered, to five minutes; infinity if not within the day."""
        answered_at = f"timestamp(cometapi_exporter_api_up{{{self.account}}} == 1)"
        last = f"max by (account, path) (max_over_time({answered_at}[1d:5m]))"
        failing = f"{self.path_up()} == 0"
        return f"(time() - {last} and {failing} or 0 * ({failing}) + {ENDLESS})"

    def paths_unknown(self) -> str:
        """Give one series for each account of whose paths nothing is known, with the word as its `path`."""
        unknown = f"{self.accounts()} unless on (account) {self.path_up()}"
        return f'label_replace({unknown}, "path", "unknown", "", "")'

    def exporters(self) -> str:
        """Subtract from the exporters that respond those that should; labels `here` and `wanted` have the two as text."""
        here = f"(sum({self._exporters_here()}) or vector(0))"
        wanted = f"(sum({self._exporters_wanted()}) or vector(1))"
        return difference_as_text(here, wanted)

    def _exporters_here(self) -> str:
        """Count the exporters of each installation that respond."""
        build_info = f"cometapi_exporter_build_info{{{self.installation}}}"
        return f"count by ({INSTALLATION_LABELS}) ({build_info})"

    def _exporters_wanted(self) -> str:
        """Count the exporters that each installation should have.

        That is the largest of: those that respond, the usual number of the last day (the median, so
        that a rolling update does not count), the number of shards, and the targets that Prometheus
        still has.
        """
        shards = f"max_over_time(cometapi_exporter_shards{{{self.installation}}}[1d])"
        known = f"max_over_time(cometapi_exporter_build_info{{{self.installation}}}[1d])"
        targets = (
            f"up{{{self.installation}}} and on ({INSTALLATION_LABELS}, {REPLICA_LABELS}) {known}"
        )
        counts = {
            "here": self._exporters_here(),
            "usual": f"quantile_over_time(0.5, {self._exporters_here()}[1d:5m])",
            "shards": f"max by ({INSTALLATION_LABELS}) ({shards})",
            "targets": f"count by ({INSTALLATION_LABELS}) ({targets})",
        }
        named = [
            f'label_replace({count}, "by", "{name}", "", "")' for name, count in counts.items()
        ]
        return f"max by ({INSTALLATION_LABELS}) ({' or '.join(named)})"

    def accounts(self) -> str:
        """1 for each account: those that an exporter reads, and those of the last day whose exporter is missing.

        An account that is gone although no exporter is missing was removed on purpose.
        """
        interval = f"cometapi_exporter_refresh_interval_seconds{{{self.account}}}"
        complete = f"{self._exporters_here()} >= {self._exporters_wanted()}"
        lost = f"max_over_time({interval}[1d]) unless on ({INSTALLATION_LABELS}) ({complete})"
        return f"(0 * max by (account) ({interval} or ({lost})) + 1)"

    def accounts_up(self) -> str:
        """Subtract from the accounts that are up all accounts; labels `here` and `wanted` have the two as text."""
        up = f"(sum({self.of_account('cometapi_up')}) or vector(0))"
        return difference_as_text(up, f"count({self.accounts()})")

    def account_state(self) -> str:
        """Give the number in `states` of each account."""
        up = self.of_account("cometapi_up")
        listed = f"sum by (account) ({self.usable_count()})"
        codes = {
            f"{up} == 1 and on (account) ({self.spendable()} <= 0)": states.ACCOUNT_EMPTY,
            f"{up} == 1": states.ACCOUNT_UP,
            f"{up} == 0 and on (account) {listed}": states.ACCOUNT_FAILING,
            f"{up} == 0 and on (account) {self._last_success()}": states.ACCOUNT_STALE,
            f"{up} == 0": states.ACCOUNT_FAILING,
            self._interval(): states.ACCOUNT_NOT_READ_YET,
            self.accounts(): states.ACCOUNT_NO_EXPORTER,
        }
        return first_that_holds(codes)

    def _interval(self) -> str:
        series = f"cometapi_exporter_refresh_interval_seconds{{{self.account}}}"
        return f"max by (account) ({series})"

    def _last_success(self) -> str:
        series = f"cometapi_exporter_last_success_timestamp_seconds{{{self.account}}}"
        return f"max by (account) (max_over_time({series}[1d]))"

    def data_age(self) -> str:
        """Seconds since each account was last read, also by an exporter that is gone; absent if never."""
        return f"(time() - {self._last_success()} and on (account) {self.accounts()})"

    def failure_reason(self) -> str:
        """Failures of each account that is failing, with the label `reason`: the most frequent of the last hour."""
        series = (
            f'cometapi_exporter_refresh_failures_total{{{self.account}, reason!="inconsistent"}}'
        )
        failures = f"max by (account, reason) (increase({series}[1h]))"
        return f"topk by (account) (1, {failures} > 0) and on (account) ({self.of_account('cometapi_up')} == 0)"

    def unknown_keys(self) -> str:
        """Give one series for each cause why keys are missing in a table, with the cause as its `key_name`."""
        listed = f"max by (account) (cometapi_keys_usable{{{self.account}}})"
        with_keys = f"sum by (account) (cometapi_keys{{{self.account}}}) > 0"
        status = f"max by (account) (cometapi_key_status{{{self.account}}})"
        return " or ".join(
            (
                _cause(
                    "Unknown (accounts not read: $1)",
                    f"{self.accounts()} unless on (account) {listed}",
                ),
                _cause(
                    "Not listed, --keys.counts-only (accounts: $1)",
                    f"({with_keys}) unless on (account) {status}",
                ),
                f'label_replace(vector(0), "key_name", "Unknown: no exporter responds", "", "") unless on () {self.accounts()}',
            )
        )

    def expires_in(self) -> str:
        """Seconds until expiry, exact at the time of the question and not at the last scrape."""
        return f"({self.of_key('expiry_timestamp_seconds')} - time())"

    def within_expiry_warning(self) -> str:
        """Keep the keys that expire within the time that the user configured for them."""
        limit = self.of_key("expiry_warning_threshold_seconds")
        return f"({self.expires_in()} > 0 <= on ({self.key_labels}) {limit})"

    def below_low_quota(self) -> str:
        """Keep the keys with less left than the user configured for them."""
        return f"({self.of_key('remaining_quota')} < on ({self.key_labels}) {self.of_key('low_quota_threshold')})"

    def burn(self, window: str = "$window", *, only: str = "") -> str:
        """Quota units spent a second, by the slope of used quota over *window*.

        Read from used quota, which top-ups leave alone; refunds can turn the slope negative, hence
        the clamp. `and` drops keys that were deleted or renamed within the window, and those not in
        *only*.
        """
        used = self.key_series("used_quota")
        living = f"({among(used, only)})" if only else used
        return f"clamp_min(max by ({self.key_labels}) (deriv({used}[{window}]) and {living}), 0)"

    def runway(self) -> str:
        """Seconds until the quota is spent at the present rate; no series where nothing is being spent."""
        return f"(clamp_min({self.of_key('remaining_quota')}, 0) / ({self.burn()} > 0))"

    def lasts(self) -> str:
        """Seconds until the quota of each key is spent: 0 if it is or probably is, ENDLESS or IDLE if no end is known."""
        left = self.of_key("remaining_quota")
        unlimited = f"{self.of_key('unlimited_quota')} == 1"
        return (
            f"0 * ({self.probably_dry()}) or 0 * ({left} <= 0) or {self.runway()}"
            f" or 0 * ({unlimited}) + {ENDLESS} or 0 * {left} + ({IDLE})"
        )

    def runs_dry_within(self, seconds: int) -> str:
        """Keep the usable keys whose quota, or whose account's, is spent within *seconds*."""
        by_account = f"on (account) ({self.account_runway()} < {seconds})"
        return (
            f"({self.runway()} < {seconds} and {self.usable()} or {self.usable()} and {by_account})"
        )

    def spent(self, window: str = "$__range", *, at_end: bool = False) -> str:
        """Quota units spent within *window*; *at_end* pins it to the end of a graph's time range."""
        moment = " @ end()" if at_end else ""
        delta = f"delta({self.key_series('used_quota')}[{window}]{moment})"
        by_name = f"clamp_min(max by ({KEY_LABELS}) ({delta}), 0)"
        if self.key_labels == KEY_LABELS:
            return by_name
        # A renamed key has a series for each of its names.
        return f"sum by ({self.key_labels}) ({by_name})"

    def account_burn(self) -> str:
        """Quota units that an account spends a second."""
        slope = f"deriv(cometapi_account_used_quota{{{self.account}}}[$window])"
        return f"clamp_min(max by (account) ({slope}), 0)"

    def account_runway(self) -> str:
        """Seconds until an account can pay no more at the present rate; infinity where nothing is spent."""
        left = self.spendable()
        runway = f"clamp_min({left}, 0) / ({self.account_burn()} > 0)"
        return f"({self.or_endless(runway, left)})"

    def spendable(self) -> str:
        """Quota units that an account can pay with: wallet, subscriptions or both; absent where nothing limits."""
        return self.of_account("cometapi_account_spendable_quota")

    def spendable_in_words(self) -> str:
        """Give the same, ENDLESS where a subscription without limit pays, and NOT_OFFERED where that is so."""
        end = self.of_account("cometapi_account_subscription_end_timestamp_seconds")
        left = self.of_account("cometapi_account_subscription_remaining_quota")
        unlimited = f"0 * ({end} unless on (account) {left}) + {ENDLESS}"
        known = f"{self.spendable()} or on (account) ({unlimited})"
        return f"({self.or_not_offered(known, BALANCE_PATH)})"

    def request_price(self) -> str:
        """Quota units of an account's typical request: the mean of all time, or of the last day if that is higher."""
        used, requests = "cometapi_account_used_quota", "cometapi_account_requests_total"
        spent, sent = (
            f"delta({used}{{{self.account}}}[1d])",
            f"increase({requests}{{{self.account}}}[1d])",
        )
        all_spent = f"max by (account) ({used}{{{self.account}}})"
        all_sent = f"max by (account) ({requests}{{{self.account}}})"
        always = f"{all_spent} / ({all_sent} > 0)"
        return f"(max by (account) ({spent} / ({sent} > 0)) > {always} or {always})"

    def requests_left(self) -> str:
        """How many typical requests the quota of a key pays for; no series where it is unlimited."""
        return f"({self.of_key('remaining_quota')} / on (account) group_left () {self.request_price()})"

    def probably_dry(self) -> str:
        """Keep the keys that have probably run dry: the bundled alert fires.

        It knows what the key's own requests cost. Without the rules this selects nothing.
        """
        alert = f'ALERTS{{alertname="CometAPIKeyProbablyDry", alertstate="firing", {self.key}}}'
        return f"max by ({self.key_labels}) ({alert})"

    def possibly_dry(self) -> str:
        """Keep the keys that possibly ran dry: less is left than a typical request costs, and nothing is being spent.

        A gateway reserves the price of a request before it serves it, so a dry key keeps a positive
        rest. Where the bundled rules know what the key's own requests cost, their alert decides.
        Idle time ends with the last refresh, or every key would look idle while refreshes fail.
        """
        read_at = f"cometapi_exporter_last_success_timestamp_seconds{{{self.account}}}"
        last_refresh = f"(max by (account) ({read_at}) - {IDLE_SECONDS})"
        idle = f"{self.of_key('last_used_timestamp_seconds')} < on (account) group_left () {last_refresh}"
        judged = f"{self.requests_left()} < 1 and ({idle} > time() - {IN_USE_SECONDS}) and {self.usable()}"
        own_price = f"key:cometapi_key_used_quota:smallest_step{{{self.account}}}"
        return f"({judged} unless on (account, key_id) {own_price})"

    def dry(self) -> str:
        """Keep the keys that probably or possibly ran dry."""
        return f"({self.probably_dry()} or {self.possibly_dry()})"

    def model_growth(self, metric: str, *, at_end: bool = False) -> str:
        """Growth of models within the time range."""
        series = f"cometapi_usage_{metric}_total{{{self.key}}}"
        moment = " @ end()" if at_end else ""
        return f"max by ({MODEL_LABELS}) (increase({series}[$__range]{moment}))"

    def model_rate(self, metric: str) -> str:
        """Growth of models within the hour before."""
        series = f"cometapi_usage_{metric}_total{{{self.key}}}"
        return f"max by ({MODEL_LABELS}) (increase({series}[1h]))"

    def in_usd(self, expr: str) -> str:
        """Turn quota units into dollars; *expr* must keep the account label."""
        rate = self.of_account("cometapi_quota_units_per_usd")
        return f"({expr}) / on (account) group_left () {rate}"

    def in_usd_by_newest_rate(self, expr: str) -> str:
        """Do as `in_usd` at every moment of a graph, also before the exporter ran: a backfill has no rate.

        The rate is that of the day before the graph's last moment, or of the day after it: a graph
        of whole days ends at midnight, before today.
        """
        series = f"cometapi_quota_units_per_usd{{{self.account}}}"
        rate = f"max by (account) (last_over_time({series}[2d] @ end() offset -1d))"
        return f"({expr}) / on (account) group_left () {rate}"

    def zero_if_none(self, count: str, judged: str = "") -> str:
        """Show 0 where *judged* (by default, any key) has a value but none is counted, and else nothing."""
        return f"{count} or 0 * count({judged or self.of_key('status')})"


def first_that_holds(codes: Mapping[str, int]) -> str:
    """Give for each series the code of the first of *codes* whose expression has it."""
    return " or ".join(f"0 * ({condition}) + {code}" for condition, code in codes.items())


def difference_as_text(here: str, wanted: str) -> str:
    """Give *here* minus *wanted*, single values, with both as text in labels of these names."""
    texts = (
        f'count_values("here", {here}) * on () group_left (wanted) count_values("wanted", {wanted})'
    )
    return f"{texts} * on () group_left () ({here} - {wanted})"


def _cause(text: str, accounts: str) -> str:
    """Give one series with *text* as its `key_name`, in which `$1` is the number of *accounts*; none for no account."""
    counted = f'count_values("accounts", count({accounts}))'
    return f'max by (key_name) (label_replace({counted}, "key_name", "{text}", "accounts", "(.+)"))'


def per_day(expr: str) -> str:
    """Turn a value per second into one per day."""
    return f"({expr}) * {SECONDS_PER_DAY}"


def among(expr: str, chosen: str) -> str:
    """Keep the keys of *expr* that are also in *chosen*; a plain selector needs no brackets."""
    return f"{expr} and on (account, key_id) ({chosen})"


def top_spenders(scope: Scope, limit: int) -> str:
    """Choose the keys that spent most in the shown time range: one set for the whole graph."""
    return f"topk({limit}, {scope.spent(at_end=True)})"


def shown_if_usd(expr: str) -> str:
    """Give *expr* only while the money switch is on USD, that is 1."""
    return _if_matched(expr, 'money!~"x{$money}"')


def shown_if_units(expr: str) -> str:
    """Give *expr* only while the money switch is on quota units, that is 0."""
    return _if_matched(expr, 'money=~"x{$money}"')


def _if_matched(expr: str, matcher: str) -> str:
    """Add *matcher* to every selector of *expr*.

    No series has a label money, so its value is empty: matched by `x{0}` and not by `x{1}`. The
    half of a pair that is switched off thus selects nothing and costs nothing, which no `and`
    achieves.
    """
    return expr.replace(_JOB, f"{_JOB}, {matcher}")


_JOB = 'job=~"$job"'
INSTALLATION = f'{_JOB}, cluster=~"$cluster", namespace=~"$namespace"'
_ANY = f'{INSTALLATION}, account=~"$account"'
OVERVIEW = Scope(
    installation=INSTALLATION,
    account=_ANY,
    group=f'{_ANY}, group=~"$group"',
    key=f'{_ANY}, group=~"$group", key_id=~"$key"',
)

_ONE = f'{INSTALLATION}, account="$account"'
ONE_KEY = Scope(
    installation=INSTALLATION,
    account=_ONE,
    group=_ONE,
    key=f'{_ONE}, key_id="$key"',
    key_labels=ONE_KEY_LABELS,
)

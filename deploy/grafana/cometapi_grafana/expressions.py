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
from dataclasses import dataclass, replace

from cometapi_grafana import states

KEY_LABELS = "account, group, key_id, key_name"
MODEL_LABELS = f"model, {KEY_LABELS}"
# A renamed key keeps only these.
ONE_KEY_LABELS = "account, key_id"
# What keeps installations of the exporter apart, and what its replicas differ in.
INSTALLATION_LABELS = "job, cluster, namespace"
REPLICA_LABELS = "instance, pod"
READ_AT = "cometapi_exporter_last_success_timestamp_seconds"
SECONDS_PER_DAY = 86_400
ENDLESS = "Inf"
"""Nothing limits it: an unlimited key, a key that never expires."""
IDLE = "-Inf"
"""Limited, but nothing is being spent."""
NOT_OFFERED = "-Inf"
"""The gateway does not offer the path that would tell."""
PROBABLY_DRY, POSSIBLY_DRY = "(-2)", "(-1)"
"""In place of seconds."""
BALANCE_PATH, GROUPS_PATH = "/api/user/self", "/api/user/self/groups"
# As in the bundled rules: unused for so long while in use, and no longer in use.
IDLE_SECONDS, IN_USE_SECONDS = 1_500, 604_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Label matchers of one dashboard: what its variables let through, for each kind of series.

    *account_labels* tell accounts apart, and *key_labels* keys. Prometheus gives all series of one
    exporter the same target labels, so series of one key or account are compared as scraped, and
    folded to one for all replicas at the end: that keeps queries short and fast.
    """

    installation: str
    account: str
    group: str
    key: str
    account_labels: str = "account"
    key_labels: str = KEY_LABELS

    @property
    def key_id(self) -> str:
        """The labels that a key keeps when it is renamed or moved to another group."""
        return f"{self.account_labels}, key_id"

    @property
    def group_labels(self) -> str:
        """The labels that tell groups apart."""
        return f"{self.account_labels}, group"

    @property
    def named_key_labels(self) -> str:
        """All labels of a key."""
        return f"{self.group_labels}, key_id, key_name"

    def newest(self, series: str, *, at: str = "") -> str:
        """Drop from *series* those of replicas that did not read the account last."""
        labels = f"{INSTALLATION_LABELS}, account"
        read_at = f"{READ_AT}{{{_JOB}}}{at}"
        behind = f"{read_at} < on ({labels}) group_left () max by ({labels}) ({read_at})"
        return f"({series} unless on ({labels}, {REPLICA_LABELS}) ({behind}))"

    def newest_listing(self, series: str, *, at: str = "") -> str:
        """Keep of *series* about keys what the replica reports that read the account last.

        Like `newest`, and shorter: where keys are known, it is known when they were read.
        """
        labels = f"{INSTALLATION_LABELS}, account"
        last = f"topk by ({labels}) (1, {READ_AT}{{{_JOB}}}{at})"
        return f"({series} and on ({labels}, {REPLICA_LABELS}) {last})"

    def key_series(self, metric: str) -> str:
        """Select one `cometapi_key_*` gauge, as scraped: one series a key and replica."""
        return f"cometapi_key_{metric}{{{self.key}}}"

    def account_series(self, metric: str) -> str:
        """Select one gauge of accounts, as scraped; *metric* is the whole name."""
        return f"{metric}{{{self.account}}}"

    def by_key(self, series: str, *, at: str = "") -> str:
        """Fold *series* of keys, as scraped, to one series a key."""
        return f"max by ({self.key_labels}) {self.newest_listing(f'({series})', at=at)}"

    def by_account(self, series: str) -> str:
        """Fold *series* of accounts, as scraped, to one series an account."""
        return f"max by ({self.account_labels}) {self.newest(f'({series})')}"

    def of_key(self, metric: str, *, at: str = "", only: str = "") -> str:
        """Read one `cometapi_key_*` gauge, one series a key.

        *at* is an offset, none for now. *only* narrows to the keys that it gives, before anything
        is folded: with a thousand keys that is several times cheaper than doing it afterwards.
        """
        series = f"{self.key_series(metric)}{at}"
        chosen = self.among(series, only) if only else series
        return f"max by ({self.key_labels}) {self.newest_listing(chosen, at=at)}"

    def of_account(self, metric: str) -> str:
        """Read one gauge of accounts, one series an account; *metric* is the whole name."""
        return f"max by ({self.account_labels}) {self.newest(self.account_series(metric))}"

    def among(self, expr: str, chosen: str) -> str:
        """Keep the keys of *expr* that are also in *chosen*; a plain selector needs no brackets."""
        return f"{expr} and on ({self.key_id}) ({chosen})"

    def changed(self, metric: str, window: str, *, at: str = "") -> str:
        """Keep the keys of which a gauge had more than one value within *window*.

        Not changes() > 0: VictoriaMetrics counts the first sample of a series as a change.
        """
        series = f"{self.key_series(metric)}[{window}]{at}"
        return f"max_over_time({series}) != min_over_time({series})"

    def usable_count(self) -> str:
        """Count keys that can serve requests, by account and group."""
        series = f"cometapi_keys_usable{{{self.group}}}"
        return f"max by ({self.group_labels}) {self.newest_listing(series)}"

    def unusable_count(self) -> str:
        """Count keys that cannot serve requests, by account, group and reason."""
        series = f"cometapi_keys_unusable{{{self.group}}}"
        return f"max by ({self.group_labels}, reason) {self.newest_listing(series)}"

    def is_usable(self) -> str:
        """Keep the series of keys that can serve requests now."""
        return f"{self.key_series('usable')} == 1"

    def is_unusable(self) -> str:
        """Keep the series of keys that cannot serve requests."""
        return f"{self.key_series('usable')} == 0"

    def is_enabled(self) -> str:
        """Keep the series of keys that the gateway reports as enabled."""
        return f"{self.key_series('status')} == 1"

    def usable(self) -> str:
        """Keep the keys that can serve requests now."""
        return f"({self.of_key('usable')} == 1)"

    def was_usable(self) -> str:
        """Give 1 for keys that could serve requests at some time of the last day, else 0."""
        series = f"max_over_time({self.key_series('usable')}[1d])"
        return f"max by ({self.key_id}) ({series})"

    def stopped_today(self) -> str:
        """Keep the series of keys that could serve requests within the last day, and cannot now."""
        return f"{self.is_unusable()} and on ({self.key_id}) ({self.was_usable()} == 1)"

    def last_usable(self) -> str:
        """Unix time, to ten minutes, at which the key could last serve requests; a day at most."""
        usable_at = f"timestamp({self.is_usable()})"
        return self.by_key(f"max_over_time({usable_at}[1d:10m])")

    def state(self) -> str:
        """Give the number in `states` of each key: usable, dry, or why it is not usable."""
        dry = first_that_holds(
            {
                self.probably_dry(): states.PROBABLY_DRY,
                self.possibly_dry(): states.POSSIBLY_DRY,
            }
        )
        return f"({dry} or on ({self.key_labels}) {self.state_but_for_dryness()})"

    def state_but_for_dryness(self) -> str:
        """Give the number in `states` of each key: usable, or the reason why it is not.

        The exporter counts unusable keys by reason but has no reason at each key. Status, expiry
        and quota give the key's own reasons, in the exporter's order. What is left is a reason of
        the account or of the group, and all such keys of one group have the same.
        """
        status = self.key_series("status")
        codes = {
            self.is_usable(): states.USABLE,
            f"{status} == 2": states.DISABLED,
            f"{status} == 3": states.EXPIRED,
            f"{status} == 4": states.EXHAUSTED,
            f"{status} != 1": states.UNKNOWN_STATUS,
            f"{self.key_series('expiry_timestamp_seconds')} <= time()": states.EXPIRED,
            f"{self.key_series('remaining_quota')} <= 0": states.EXHAUSTED,
            self._unusable_in_group("account_disabled"): states.ACCOUNT_DISABLED,
            self._unusable_in_group("account_exhausted"): states.ACCOUNT_EXHAUSTED,
            self._unusable_in_group("group_unavailable"): states.GROUP_UNAVAILABLE,
            self.is_unusable(): states.UNUSABLE,
        }
        return self.by_key(first_that_holds(codes))

    def _unusable_in_group(self, reason: str) -> str:
        group = f"{INSTALLATION_LABELS}, {REPLICA_LABELS}, account, group"
        counted = f'cometapi_keys_unusable{{{self.group}, reason="{reason}"}}'
        return f"{self.is_unusable()} and on ({group}) ({counted} > 0)"

    def key_or_endless(self, series: str, known: str = "") -> str:
        """Fold *series* of keys, with ENDLESS where only *known* (by default, the key) is there."""
        return self.by_key(f"{series} or 0 * ({known or self.key_series('status')}) + {ENDLESS}")

    def or_endless(self, expr: str, known: str) -> str:
        """Give *expr*, and ENDLESS where only *known* has a value."""
        return f"{expr} or (0 * ({known}) + {ENDLESS})"

    def or_not_offered(self, expr: str, path: str) -> str:
        """Give *expr*, and NOT_OFFERED for accounts whose gateway does not offer *path*."""
        silent = self.by_account(self._not_offered(path))
        return f"{expr} or on ({self.account_labels}) {silent}"

    def _not_offered(self, path: str) -> str:
        """Give NOT_OFFERED for series of accounts that are up and whose gateway lacks *path*."""
        offered = f'cometapi_exporter_api_up{{{self.account}, path="{path}"}}'
        up = f"{self.account_series('cometapi_up')} == 1"
        return f"0 * ({up} unless ignoring (path) {offered}) + ({NOT_OFFERED})"

    def balance_not_offered(self) -> str:
        """Give NOT_OFFERED for accounts whose gateway does not offer the balance."""
        return self.by_account(self._not_offered(BALANCE_PATH))

    def path_up(self) -> str:
        """1 where the last request to a path was answered, else 0; absent if not offered."""
        series = self.account_series("cometapi_exporter_api_up")
        return f"max by ({self.account_labels}, path) {self.newest(series)}"

    def paths_failing(self) -> str:
        """Seconds since each failing path was last answered, to five minutes.

        ENDLESS where that is more than a day ago.
        """
        answered_at = f"timestamp(cometapi_exporter_api_up{{{self.account}}} == 1)"
        last = f"max by ({self.account_labels}, path) (max_over_time({answered_at}[1d:5m]))"
        failing = f"{self.path_up()} == 0"
        return f"(time() - {last} and {failing} or 0 * ({failing}) + {ENDLESS})"

    def paths_unknown(self) -> str:
        """Give one series for each account of whose paths nothing is known; its `path` says so."""
        unknown = f"{self.accounts()} unless on ({self.account_labels}) {self.path_up()}"
        return f'label_replace({unknown}, "path", "unknown", "", "")'

    def exporters(self) -> str:
        """Subtract from the exporters that respond those that should, as `difference_as_text`."""
        here = _exporters_here(self.installation)
        wanted = _largest({"": here, **_exporters_wanted(self.installation)})
        return difference_as_text(f"(sum({here}) or vector(0))", f"(sum({wanted}) or vector(1))")

    def accounts(self) -> str:
        """1 for each account that an exporter reads, and for those of a missing exporter.

        A missing exporter is one that was there within the last day. If no exporter is missing, an
        account that is gone was removed on purpose.
        """
        interval = self.account_series("cometapi_exporter_refresh_interval_seconds")
        # Of all installations: those that are chosen are chosen by the accounts.
        complete = f"{_exporters_here(_JOB)} >= {_largest(_exporters_wanted(_JOB))}"
        lost = f"max_over_time({interval}[1d]) unless on ({INSTALLATION_LABELS}) ({complete})"
        return f"(0 * max by ({self.account_labels}) ({interval} or {lost}) + 1)"

    def accounts_of_the_day(self) -> str:
        """Select the accounts that an exporter had at some time of the last day."""
        interval = self.account_series("cometapi_exporter_refresh_interval_seconds")
        return f"max_over_time({interval}[1d])"

    def where(self) -> str:
        """1 for each account; `where` tells the installation of those whose name is not unique."""
        interval = self.account_series("cometapi_exporter_refresh_interval_seconds")
        labels = f"{INSTALLATION_LABELS}, account"
        each = f"max by ({labels}) ({interval}) ^ 0"
        is_shared = f"count by (account) (max by ({labels}) ({interval})) > 1"
        shared = f"{each} and on (account) ({is_shared})"
        place = f'label_join({shared}, "where", " ", "cluster", "namespace", "job")'
        return f"({place} or on ({labels}) {each})"

    def placed(self, expr: str) -> str:
        """Give *expr* the label `where` of its account."""
        return f"({expr}) * on ({self.account_labels}) group_left (where) {self.where()}"

    def shared_name(self) -> str:
        """Give the number in `states` of accounts whose name several installations have."""
        interval = self.account_series("cometapi_exporter_refresh_interval_seconds")
        each = f"count by ({INSTALLATION_LABELS}, account) ({interval})"
        return f"0 * (count by (account) ({each}) > 1) + {states.ACCOUNT_NAME_SHARED}"

    def accounts_up(self) -> str:
        """Subtract from the accounts that are up all accounts, as `difference_as_text`."""
        up = f"(sum({self.of_account('cometapi_up')}) or vector(0))"
        return difference_as_text(up, f"count({self.accounts()})")

    def account_state(self) -> str:
        """Give the number in `states` of each account."""
        up = self.account_series("cometapi_up")
        spendable = self.account_series("cometapi_account_spendable_quota")
        keys = self.account_series("cometapi_keys_usable")
        replica = f"{INSTALLATION_LABELS}, {REPLICA_LABELS}, account"
        codes = {
            f"{up} == 1 and {spendable} <= 0": states.ACCOUNT_EMPTY,
            f"{up} == 1": states.ACCOUNT_UP,
            f"{up} == 0 and on ({replica}) {keys}": states.ACCOUNT_FAILING,
            f"{up} == 0 and on ({self.account_labels}) {self._last_success()}": states.ACCOUNT_STALE,
            f"{up} == 0": states.ACCOUNT_FAILING,
            self.account_series("cometapi_exporter_refresh_interval_seconds"): (
                states.ACCOUNT_NOT_READ_YET
            ),
        }
        here = self.by_account(first_that_holds(codes))
        return f"({here} or 0 * {self.accounts()} + {states.ACCOUNT_NO_EXPORTER})"

    def _last_success(self) -> str:
        return f"max by ({self.account_labels}) (max_over_time({READ_AT}{{{self.account}}}[1d]))"

    def data_age(self) -> str:
        """Seconds since each account was last read, by whichever exporter; absent if never."""
        return f"(time() - {self._last_success()} and {self.accounts()})"

    def failure_reason(self) -> str:
        """Failures of each failing account for the most frequent `reason` of the last hour."""
        series = (
            f'cometapi_exporter_refresh_failures_total{{{self.account}, reason!="inconsistent"}}'
        )
        failures = f"max by ({self.account_labels}, reason) (increase({series}[1h]))"
        failing = f"{self.of_account('cometapi_up')} == 0"
        labels = self.account_labels
        return f"topk by ({labels}) (1, {failures} > 0) and on ({labels}) ({failing})"

    def unknown_keys(self) -> str:
        """Give one series for each cause why a table lacks keys, with the cause as `key_name`."""
        listed = self.account_series("cometapi_keys_usable")
        counted = f"sum by ({self.account_labels}) ({self.account_series('cometapi_keys')}) > 0"
        status = self.account_series("cometapi_key_status")
        nowhere = 'label_replace(vector(0), "key_name", "Unknown: no exporter responds", "", "")'
        return " or ".join(
            (
                self.cause(
                    "Unknown (accounts not read: $1)",
                    f"{self.accounts()} unless on ({self.account_labels}) {listed}",
                ),
                self.cause(
                    "Not listed, --keys.counts-only (accounts: $1)",
                    f"{counted} unless on ({self.account_labels}) {status}",
                ),
                f"{nowhere} unless on () {self.accounts_of_the_day()}",
            )
        )

    def cause(self, text: str, accounts: str) -> str:
        """Give one series with *text* as `key_name`, `$1` being the number of *accounts*."""
        counted = f'count_values("accounts", count({accounts}))'
        replaced = f'label_replace({counted}, "key_name", "{text}", "accounts", "(.+)")'
        return f"max by (key_name) ({replaced})"

    def policy_counts(self) -> str:
        """Select how many keys break each policy that is set, as scraped."""
        return self.account_series("cometapi_keys_violating_policy")

    def without_policies(self) -> str:
        """Give one series that says for how many accounts no policy is set, if for any."""
        listed = f"max by ({self.account_labels}) ({self.account_series('cometapi_keys_usable')})"
        without = f"{listed} unless on ({self.account_labels}) {self.policy_counts()}"
        return self.cause("No policies are set (accounts: $1)", without)

    def broken_policies(self) -> str:
        """Unix time of the last use of each key and `policy` that it breaks; 0 for never."""
        last_used = self.key_series("last_used_timestamp_seconds")
        last_use = f"({last_used} or 0 * {self.key_series('status')})"
        broken = (
            f"{self.key_series('policy_violation')} * ignoring (policy) group_left () {last_use}"
        )
        return f"max by ({self.key_labels}, policy) {self.newest_listing(broken)}"

    def expires_in(self) -> str:
        """Seconds until expiry, exact at the time of the question and not at the last scrape."""
        return f"({self.of_key('expiry_timestamp_seconds')} - time())"

    def seconds_to_expiry(self) -> str:
        """Seconds until expiry, of the series as scraped."""
        return f"{self.key_series('expiry_timestamp_seconds')} - time()"

    def within_expiry_warning(self) -> str:
        """Keep the series of keys that expire within the time that the user configured for them."""
        limit = self.key_series("expiry_warning_threshold_seconds")
        return f"{self.seconds_to_expiry()} > 0 <= {limit}"

    def below_low_quota(self) -> str:
        """Keep the series of keys with less left than the user configured for them."""
        return f"{self.key_series('remaining_quota')} < {self.key_series('low_quota_threshold')}"

    def burn(self, window: str = "$window", *, only: str = "") -> str:
        """Quota units spent a second, by the slope of used quota over *window*.

        Read from used quota, which top-ups leave alone; refunds can turn the slope negative, hence
        the clamp. `and` drops keys that were deleted or renamed within the window, and those not in
        *only*.
        """
        used = self.key_series("used_quota")
        living = f"({self.among(used, only)})" if only else used
        return f"clamp_min(max by ({self.key_labels}) (deriv({used}[{window}]) and {living}), 0)"

    def runway(self, *, only_usable: bool = False) -> str:
        """Seconds until the quota is spent at the present rate; absent where nothing is spent."""
        left = self.key_series("remaining_quota")
        if only_usable:
            left = f"{left} and {self.is_usable()}"
        return f"(clamp_min({self.by_key(left)}, 0) / ({self.burn()} > 0))"

    def lasts(self) -> str:
        """Seconds until the quota of each key is spent; 0 if probably dry, ENDLESS, or IDLE."""
        left, unlimited = self.key_series("remaining_quota"), self.key_series("unlimited_quota")
        at_rest = f"0 * ({unlimited} == 1) + {ENDLESS} or 0 * ({left} > 0) + ({IDLE}) or 0 * {left}"
        return f"0 * {self.probably_dry()} or {self.runway()} or {self.by_key(at_rest)}"

    def lasts_or_dry(self) -> str:
        """Give the same for keys with a limit; dry ones have PROBABLY_DRY or POSSIBLY_DRY.

        Those come first in ascending order, and keys that spend nothing, as ENDLESS, last.
        """
        probably = f"0 * {self.probably_dry()} + {PROBABLY_DRY}"
        possibly = f"0 * {self.possibly_dry()} + {POSSIBLY_DRY}"
        at_rest = f"0 * {self.of_key('remaining_quota')} + {ENDLESS}"
        return f"{probably} or {possibly} or {self.runway()} or {at_rest}"

    def runs_dry_within(self, seconds: int) -> str:
        """Keep the usable keys whose quota, or whose account's, is spent within *seconds*."""
        with_account = f"on ({self.account_labels}) ({self.account_runway()} < {seconds})"
        runway = self.runway(only_usable=True)
        return f"({runway} < {seconds} or {self.usable()} and {with_account})"

    def spent(self, window: str = "$__range", *, at_end: bool = False) -> str:
        """Quota units spent within *window*, or with *at_end* before the end of a graph."""
        moment = " @ end()" if at_end else ""
        delta = f"delta({self.key_series('used_quota')}[{window}]{moment})"
        by_name = f"clamp_min(max by ({self.named_key_labels}) ({delta}), 0)"
        if self.key_labels == self.named_key_labels:
            return by_name
        # A renamed key has a series for each of its names.
        return f"sum by ({self.key_labels}) ({by_name})"

    def account_burn(self) -> str:
        """Quota units that an account spends a second."""
        slope = f"deriv(cometapi_account_used_quota{{{self.account}}}[$window])"
        return f"clamp_min(max by ({self.account_labels}) ({slope}), 0)"

    def account_runway(self) -> str:
        """Seconds until an account can pay no more; ENDLESS where nothing is spent."""
        left = self.spendable()
        runway = f"clamp_min({left}, 0) / ({self.account_burn()} > 0)"
        return f"({self.or_endless(runway, left)})"

    def spendable(self) -> str:
        """Quota units that an account can pay with in all; absent where nothing limits."""
        return self.of_account("cometapi_account_spendable_quota")

    def spendable_in_words(self) -> str:
        """Give the same, ENDLESS where a subscription without limit pays, or NOT_OFFERED."""
        spendable = self.account_series("cometapi_account_spendable_quota")
        end = self.account_series("cometapi_account_subscription_end_timestamp_seconds")
        left = self.account_series("cometapi_account_subscription_remaining_quota")
        unlimited = f"0 * ({end} unless {left}) + {ENDLESS}"
        words = f"{spendable} or {unlimited} or {self._not_offered(BALANCE_PATH)}"
        return self.by_account(words)

    def request_price(self) -> str:
        """Quota units of a typical request: the mean of all time, or of the last day if higher."""
        used = self.account_series("cometapi_account_used_quota")
        requests = self.account_series("cometapi_account_requests_total")
        # Not of data that is stale, and no longer shown.
        of_the_day = f"(delta({used}[1d]) / (increase({requests}[1d]) > 0) and {used})"
        means = {"day": of_the_day, "": f"{used} / ({requests} > 0)"}
        return _largest(means, by=self.account_labels)

    def requests_left(self) -> str:
        """How many typical requests the quota of a key pays for; absent where unlimited."""
        price = f"on ({self.account_labels}) group_left () {self.request_price()}"
        return f"({self.of_key('remaining_quota')} / {price})"

    def probably_dry(self) -> str:
        """Keep the keys that have probably run dry: the bundled alert fires.

        It knows what the key's own requests cost. Without the rules this selects nothing.
        """
        alert = f'ALERTS{{alertname="CometAPIKeyProbablyDry", alertstate="firing", {self.key}}}'
        return f"max by ({self.key_labels}) ({alert})"

    def possibly_dry(self) -> str:
        """Keep the keys that possibly ran dry."""
        return f"({self.by_key(self.looks_dry())})"

    def looks_dry(self) -> str:
        """Keep the series of keys with less left than a request costs, and that spend nothing.

        A gateway reserves the price of a request before it serves it, so a dry key keeps a positive
        rest. Where the bundled rules know what the key's own requests cost, their alert decides.
        Idle time ends with the last refresh, or every key would look idle while refreshes fail.
        """
        labels = self.account_labels
        price = f"on ({labels}) group_left () {self.request_price()}"
        last_refresh = f"(max by ({labels}) ({READ_AT}{{{self.account}}}) - {IDLE_SECONDS})"
        last_used = self.key_series("last_used_timestamp_seconds")
        idle = (
            f"{last_used} < on ({labels}) group_left () {last_refresh} > time() - {IN_USE_SECONDS}"
        )
        left = f"{self.key_series('remaining_quota')} < {price}"
        own_price = f"key:cometapi_key_used_quota:smallest_step{{{self.account}}}"
        judged = f"{left} and {idle} and {self.is_usable()}"
        return f"{judged} unless on ({self.key_id}) {own_price}"

    def dry(self) -> str:
        """Keep the keys that probably or possibly ran dry."""
        return f"({self.probably_dry()} or {self.possibly_dry()})"

    def model_growth(self, metric: str, *, at_end: bool = False) -> str:
        """Growth of models within the time range."""
        series = f"cometapi_usage_{metric}_total{{{self.key}}}"
        moment = " @ end()" if at_end else ""
        growth = f"increase({series}[$__range]{moment})"
        return f"max by (model, {self.named_key_labels}) ({growth})"

    def model_rate(self, metric: str) -> str:
        """Growth of models within the hour before."""
        series = f"cometapi_usage_{metric}_total{{{self.key}}}"
        return f"max by (model, {self.named_key_labels}) (increase({series}[1h]))"

    def in_usd(self, expr: str) -> str:
        """Turn quota units into dollars; *expr* must keep the labels of the account."""
        rate = self.of_account("cometapi_quota_units_per_usd")
        return f"({expr}) / on ({self.account_labels}) group_left () {rate}"

    def in_usd_by_newest_rate(self, expr: str) -> str:
        """Do as `in_usd` at every moment of a graph, also before the exporter ran.

        Backfilled history has no rate. The rate is that of the day before the graph's last moment,
        or of the day after it: a graph of whole days ends at midnight, before today.
        """
        series = f"cometapi_quota_units_per_usd{{{self.account}}}"
        rate = f"max by ({self.account_labels}) (last_over_time({series}[2d] @ end() offset -1d))"
        return f"({expr}) / on ({self.account_labels}) group_left () {rate}"

    def zero_if_none(self, count: str, judged: str = "") -> str:
        """Show 0 where *judged* (by default, any key) has a value but none is counted."""
        return f"{count} or 0 * count({judged or self.key_series('status')})"


def _exporters_here(matchers: str) -> str:
    """Count the exporters of each installation that respond."""
    return f"count by ({INSTALLATION_LABELS}) (cometapi_exporter_build_info{{{matchers}}})"


def _exporters_wanted(matchers: str) -> dict[str, str]:
    """Count the exporters that each installation should have, by what says so.

    That is the largest of: the usual number of the last day (the median, so that a rolling update
    does not count), the number of shards, and the targets that Prometheus still has.
    """
    shards = f"max_over_time(cometapi_exporter_shards{{{matchers}}}[1d])"
    known = f"max_over_time(cometapi_exporter_build_info{{{matchers}}}[1d])"
    targets = f"up{{{matchers}}} and on ({INSTALLATION_LABELS}, {REPLICA_LABELS}) {known}"
    return {
        "usual": f"quantile_over_time(0.5, {_exporters_here(matchers)}[1d:5m])",
        "shards": f"max by ({INSTALLATION_LABELS}) ({shards})",
        "targets": f"count by ({INSTALLATION_LABELS}) ({targets})",
    }


def _largest(values: Mapping[str, str], *, by: str = INSTALLATION_LABELS) -> str:
    """Give the largest of *values*, which have names, for each value of the labels *by*."""
    named = [
        f'label_replace({value}, "of", "{name}", "", "")' if name else value
        for name, value in values.items()
    ]
    return f"max by ({by}) ({' or '.join(named)})"


def first_that_holds(codes: Mapping[str, int]) -> str:
    """Give for each series the code of the first of *codes* whose expression has it."""
    return " or ".join(f"0 * ({condition}) + {code}" for condition, code in codes.items())


def difference_as_text(here: str, wanted: str) -> str:
    """Give *here* minus *wanted*, single values, with both as text in labels of these names."""
    texts = (
        f'count_values("here", {here}) * on () group_left (wanted) count_values("wanted", {wanted})'
    )
    return f"{texts} * on () group_left () ({here} - {wanted})"


def per_day(expr: str) -> str:
    """Turn a value per second into one per day."""
    return f"({expr}) * {SECONDS_PER_DAY}"


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
    """Add *matcher* to every selector of *expr* that selects accounts or keys.

    No series has a label money, so its value is empty: matched by `x{0}` and not by `x{1}`. The
    half of a pair that is switched off thus selects nothing and costs nothing, which no `and`
    achieves.
    """
    for account in (_ANY_ACCOUNT, _ONE_ACCOUNT):
        expr = expr.replace(account, f"{account}, {matcher}")
    return expr


_JOB = 'job=~"$job"'
INSTALLATION = f'{_JOB}, cluster=~"$cluster", namespace=~"$namespace"'
_ANY_ACCOUNT, _ONE_ACCOUNT = 'account=~"$account"', 'account="$account"'
_ANY = f"{INSTALLATION}, {_ANY_ACCOUNT}"
OVERVIEW = Scope(
    installation=INSTALLATION,
    account=_ANY,
    group=f'{_ANY}, group=~"$group"',
    key=f'{_ANY}, group=~"$group", key_id=~"$key"',
)

# Accounts of one name in several clusters, namespaces or jobs are several accounts.
BY_INSTALLATION = replace(
    OVERVIEW,
    account_labels=f"{INSTALLATION_LABELS}, account",
    key_labels=f"{INSTALLATION_LABELS}, {KEY_LABELS}",
)

_ONE = f"{INSTALLATION}, {_ONE_ACCOUNT}"
ONE_KEY = Scope(
    installation=INSTALLATION,
    account=_ONE,
    group=_ONE,
    key=f'{_ONE}, key_id="$key"',
    key_labels=ONE_KEY_LABELS,
)

"""What the dashboards ask of Prometheus, as PromQL text.

Pure: text in, text out. Knows no panels, units or colours. Raw metrics only, so the dashboards work
without recording rules. Every selector is folded with `max by`, so that two replicas of the
exporter look like one.
"""

from dataclasses import dataclass

KEY_LABELS = "account, group, key_id, key_name"
MODEL_LABELS = f"model, {KEY_LABELS}"
SECONDS_PER_DAY = 86_400
# As in the bundled rules: unused for so long while in use, and no longer in use.
IDLE_SECONDS, IN_USE_SECONDS = 1_500, 604_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Label matchers of one dashboard: what its variables let through, for each kind of series."""

    account: str
    group: str
    key: str

    def key_series(self, metric: str) -> str:
        """Select one `cometapi_key_*` gauge, as scraped: one series a key and replica."""
        return f"cometapi_key_{metric}{{{self.key}}}"

    def of_key(self, metric: str, *, at: str = "", only: str = "") -> str:
        """Read one `cometapi_key_*` gauge, one series a key.

        *at* is an offset, none for now. *only* narrows to the keys that it gives, before anything
        is folded: with a thousand keys that is several times cheaper than doing it afterwards.
        """
        series = f"{self.key_series(metric)}{at}"
        return f"max by ({KEY_LABELS}) ({among(series, only) if only else series})"

    def changed(self, metric: str, window: str, *, at: str = "") -> str:
        """Keep the keys of which a gauge had more than one value within *window*.

        Not changes() > 0: VictoriaMetrics counts the first sample of a series as a change.
        """
        series = f"{self.key_series(metric)}[{window}]{at}"
        return f"max_over_time({series}) != min_over_time({series})"

    def of_account(self, metric: str) -> str:
        """Read one gauge that has only the account label; *metric* is the whole name."""
        return f"max by (account) ({metric}{{{self.account}}})"

    def of_status(self, status: str) -> str:
        """Count keys in the states that the regular expression *status* names, by account and group."""
        return (
            f'max by (account, group, status) (cometapi_keys{{{self.group}, status=~"{status}"}})'
        )

    def usable_count(self) -> str:
        """Count keys that can serve requests, by account and group."""
        return f"max by (account, group) (cometapi_keys_usable{{{self.group}}})"

    def unusable_count(self) -> str:
        """Count keys that cannot serve requests, by account, group and reason."""
        return f"max by (account, group, reason) (cometapi_keys_unusable{{{self.group}}})"

    def usable(self) -> str:
        """Keep the keys that can serve requests now."""
        return f"({self.of_key('usable')} == 1)"

    def state(self) -> str:
        """Give a key's status code, plus 10 where the key is usable."""
        return f"{self.of_key('status')} + on ({KEY_LABELS}) 10 * {self.of_key('usable')}"

    def or_endless(self, expr: str, known: str = "") -> str:
        """Give *expr*, and infinity where *known* (by default, the key) has a value and *expr* has none."""
        return f"{expr} or (0 * ({known or self.of_key('status')}) + Inf)"

    def exporter(self) -> str:
        """1 where every account's last refresh succeeded, 0 where one failed, -1 where no exporter answers."""
        return f"min({self.of_account('cometapi_up')}) or vector(-1)"

    def expires_in(self) -> str:
        """Seconds until expiry, exact at the time of the question and not at the last scrape."""
        return f"({self.of_key('expiry_timestamp_seconds')} - time())"

    def within_expiry_warning(self) -> str:
        """Keep the keys that expire within the time that the user configured for them."""
        limit = self.of_key("expiry_warning_threshold_seconds")
        return f"({self.expires_in()} > 0 <= on ({KEY_LABELS}) {limit})"

    def below_low_quota(self) -> str:
        """Keep the keys with less left than the user configured for them."""
        return f"({self.of_key('remaining_quota')} < on ({KEY_LABELS}) {self.of_key('low_quota_threshold')})"

    def burn(self, window: str = "$window", *, only: str = "") -> str:
        """Quota units spent a second, by the slope of used quota over *window*.

        Read from used quota, which top-ups leave alone; refunds can turn the slope negative, hence
        the clamp. `and` drops keys that were deleted or renamed within the window, and those not in
        *only*.
        """
        used = self.key_series("used_quota")
        living = f"({among(used, only)})" if only else used
        return f"clamp_min(max by ({KEY_LABELS}) (deriv({used}[{window}]) and {living}), 0)"

    def runway(self) -> str:
        """Seconds until the quota is spent at the present rate; no series where nothing is being spent."""
        return f"(clamp_min({self.of_key('remaining_quota')}, 0) / ({self.burn()} > 0))"

    def spent(self, window: str = "$__range", *, at_end: bool = False) -> str:
        """Quota units spent within *window*; *at_end* pins it to the end of a graph's time range."""
        moment = " @ end()" if at_end else ""
        delta = f"delta({self.key_series('used_quota')}[{window}]{moment})"
        return f"clamp_min(max by ({KEY_LABELS}) ({delta}), 0)"

    def account_burn(self) -> str:
        """Quota units that an account spends a second."""
        slope = f"deriv(cometapi_account_used_quota{{{self.account}}}[$window])"
        return f"clamp_min(max by (account) ({slope}), 0)"

    def account_runway(self) -> str:
        """Seconds until an account can pay no more at the present rate; infinity where nothing is spent."""
        left = self.spendable()
        return self.or_endless(f"clamp_min({left}, 0) / ({self.account_burn()} > 0)", left)

    def spendable(self) -> str:
        """Quota units that an account can pay with: wallet, subscriptions or both; absent where nothing limits."""
        return self.of_account("cometapi_account_spendable_quota")

    def request_price(self) -> str:
        """Quota units of an account's usual request: the mean of all time, or of the last day if that is higher."""
        used, requests = "cometapi_account_used_quota", "cometapi_account_requests_total"
        spent, sent = (
            f"delta({used}{{{self.account}}}[1d])",
            f"increase({requests}{{{self.account}}}[1d])",
        )
        always = f"{self.of_account(used)} / ({self.of_account(requests)} > 0)"
        return f"(max by (account) ({spent} / ({sent} > 0)) > {always} or {always})"

    def requests_left(self) -> str:
        """How many usual requests the quota of a key pays for; no series where it is unlimited."""
        return f"({self.of_key('remaining_quota')} / on (account) group_left () {self.request_price()})"

    def dry(self) -> str:
        """Keep the keys that probably ran dry: less is left than a request costs, and nothing is being spent.

        A gateway reserves the price of a request before it serves it, so a dry key keeps a positive
        rest. The bundled alert knows more, so a key counts as well where it fires; without the
        rules that part selects nothing. Idle time ends with the last refresh, or every key would
        look idle while refreshes fail.
        """
        last_refresh = f"({self.of_account('cometapi_exporter_last_success_timestamp_seconds')} - {IDLE_SECONDS})"
        idle = f"{self.of_key('last_used_timestamp_seconds')} < on (account) group_left () {last_refresh}"
        judged = f"{self.requests_left()} < 1 and ({idle} > time() - {IN_USE_SECONDS}) and {self.usable()}"
        alert = f'ALERTS{{alertname="CometAPIKeyProbablyDry", alertstate="firing", {self.key}}}'
        return f"(({judged}) or max by ({KEY_LABELS}) ({alert}))"

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

    def zero_if_none(self, count: str) -> str:
        """Show 0 where keys exist but none is counted, and nothing at all where no key is known."""
        return f"{count} or 0 * count({self.of_key('status')})"


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
_ANY = f'{_JOB}, account=~"$account"'
OVERVIEW = Scope(
    account=_ANY, group=f'{_ANY}, group=~"$group"', key=f'{_ANY}, group=~"$group", key_id=~"$key"'
)

_ONE = f'{_JOB}, account="$account"'
ONE_KEY = Scope(account=_ONE, group=_ONE, key=f'{_ONE}, key_id="$key"')

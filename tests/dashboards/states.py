"""Histories of installations in which something is wrong or unusual: one cluster a state.

Pure and deterministic. Prometheus holds all of them, and the variable Cluster chooses one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from dashboards.sample_history import PastKey, Sample, line, policy_counts, scrape
from dashboards.sample_keys import CROWD, DAY, END, HOUR, MINUTE, SampleKey

SPAN = 3 * HOUR
STEP = 60
# Samples of what is longer ago are farther apart, but less than Prometheus' lookback of five
# minutes: every sample costs the tests time.
EARLIER, EARLIER_STEP = 40 * MINUTE, 4 * MINUTE
HALF_AN_HOUR_AGO = END - 30 * MINUTE

Accounts = dict[str, tuple[PastKey, ...]]
Change = Callable[[Iterable[Sample], int], Iterable[Sample]]

USED = SampleKey(
    id=1, name="checkout", burn=500, used=90_000_000, remaining=2_000_000_000, group="vip"
)
IDLE = SampleKey(id=2, name="nightly")
KEYS = (USED, IDLE)
LIMITED_AT_REST = SampleKey(id=3, name="at rest")
RUNS_DRY = SampleKey(id=4, name="dry", used=9_000_000, remaining=20, last_used=END - 40 * MINUTE)
STOPPED = SampleKey(
    id=5,
    name="just stopped",
    status=4,
    status_before=1,
    changed_ago=10 * MINUTE,
    remaining=0,
    granted=-5_000,
)
STRANGE = tuple(
    SampleKey(id=number, name=name, group=group)
    for number, (name, group) in enumerate(
        [
            ("", ""),
            (".*|(a+)+$", "a.b"),
            ('"quoted" \\ back', "'x'"),
            ("</script><b>bold</b>", "<i>"),
            ("数据处理", "默认"),
            ("🚀 launch", "🚀"),
            ("a name of one hundred and twenty letters " * 3, "vip"),
            ("${account} $__all {{key_id}}", "${group}"),
            ("twin", "vip"),
            ("twin", "vip"),
        ],
        start=1,
    )
)
MANY = tuple(
    SampleKey(id=number, name=f"worker-{number}", group=f"g{number % 15}", burn=number % 100)
    for number in range(1, 10_001)
)
# They expired months ago and still look enabled; one more key stopped ten minutes ago.
LONG_EXPIRED = tuple(
    SampleKey(
        id=100 + number,
        name=f"old-{number}",
        used=900_000_000,
        expires_in=-90 * DAY,
        last_used=END - 90 * DAY - number,
    )
    for number in range(40)
)


def unchanged(samples: Iterable[Sample], _: int) -> Iterable[Sample]:
    """Change nothing."""
    return samples


@dataclass(frozen=True, slots=True, kw_only=True)
class PastExporter:
    """One exporter of a state: when it was scraped, and how its samples differ from usual ones.

    *target_until* is how long Prometheus has it as a target: `up` is 0 once it does not respond.
    """

    accounts: Accounts
    instance: str = "a:10144"
    namespace: str = "monitoring"
    began: int = END - SPAN
    until: int = END
    target_until: int = END
    change: Change = unchanged
    also: dict[str, float] = field(default_factory=dict)

    def samples(self, at: int) -> Iterator[Sample]:
        """Give what Prometheus stores of it at one moment."""
        if at < self.began or at > self.target_until:
            return
        yield "up", {}, int(at <= self.until)
        if at > self.until:
            return
        for name, labels, value in self.change(scrape(list(self.accounts.items()), at), at):
            yield name, labels, self.also.get(name, value)


def state_lines() -> Iterator[str]:
    """Give the lines of OpenMetrics of every state."""
    for cluster, exporters in STATES.items():
        for at in _times():
            for exporter in exporters:
                where = {"job": "cometapi", "cluster": cluster, "namespace": exporter.namespace}
                where |= {"instance": exporter.instance, "pod": exporter.instance}
                for name, labels, value in exporter.samples(at):
                    yield line(name, labels | where, value, at)


def _times() -> Iterator[int]:
    yield from range(END - SPAN, END - EARLIER, EARLIER_STEP)
    yield from range(END - EARLIER, END + 1, STEP)


def _without(*names: str) -> Change:
    """Leave out the families whose name begins with one of *names*."""

    def change(samples: Iterable[Sample], _: int) -> Iterator[Sample]:
        for sample in samples:
            if not sample[0].startswith(names):
                yield sample

    return change


def _cut_off(since: int) -> Change:
    """Freeze what was read at *since*: refreshes have failed from then on."""

    def change(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
        for name, labels, value in samples:
            if at > since and name == "cometapi_up":
                yield name, labels, 0
            elif at > since and name == "cometapi_exporter_last_success_timestamp_seconds":
                yield name, labels, since
            elif at > since and name == "cometapi_exporter_refresh_failures_total":
                failures = (at - since) // STEP if labels["reason"] == "unreachable" else 0
                yield name, labels, failures
            elif at > since and name == "cometapi_exporter_api_up":
                yield name, labels, 0
            else:
                yield name, labels, value

    return change


def _cut_off_replica(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
    """Serve for half an hour what was read before: the key that has stopped since still looks usable."""
    for name, labels, value in _cut_off(HALF_AN_HOUR_AGO)(samples, at):
        if (labels.get("key_id") == "5" and name == "cometapi_key_usable") or (
            labels.get("key_id") == "5" and name == "cometapi_key_status"
        ):
            yield name, labels, 1
        else:
            yield name, labels, value


def _withdrawn(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
    """Fail for two hours, and withdraw the data of keys and accounts after one."""
    since = END - 2 * HOUR
    gone = ("cometapi_key", "cometapi_account_", "cometapi_usage_", "cometapi_group_")
    for sample in _cut_off(since)(samples, at):
        if at < since + HOUR or not sample[0].startswith(gone):
            yield sample


def _never_read(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
    gone = ("cometapi_key", "cometapi_account_", "cometapi_usage_", "cometapi_group_")
    never = (*gone, "cometapi_exporter_last_success", "cometapi_gateway_", "cometapi_quota_units")
    yield from _without(*never)(_cut_off(END - SPAN - 1)(samples, at), at)


def _one_of_three_fails(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
    """Fail one account, and do not yet have read another."""
    failing = _cut_off(END - 20 * MINUTE)
    for sample in samples:
        account = sample[1].get("account")
        if account == "failing":
            yield from failing([sample], at)
        elif account == "new":
            if sample[0] == "cometapi_exporter_refresh_interval_seconds":
                yield sample
        else:
            yield sample


def _poor(samples: Iterable[Sample], _: int) -> Iterator[Sample]:
    """Leave the account little more than two dollars."""
    for name, labels, value in samples:
        if name in ("cometapi_account_spendable_quota", "cometapi_account_remaining_quota"):
            yield name, labels, 1_075_000
        else:
            yield name, labels, value


def _without_balance(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
    """Have a gateway that offers neither balance nor groups."""
    for sample in _without("cometapi_account_", "cometapi_group_")(samples, at):
        if sample[1].get("path") not in ("/api/user/self", "/api/user/self/groups"):
            yield sample


def _renamed(samples: Iterable[Sample], at: int) -> Iterator[Sample]:
    """Rename each key an hour ago."""
    for name, labels, value in samples:
        if "key_name" in labels and at < END - HOUR:
            yield name, labels | {"key_name": "old name"}, value
        else:
            yield name, labels, value


def _rules_judge(samples: Iterable[Sample], _: int) -> Iterator[Sample]:
    """Record what the requests of two keys cost: the rest of one does not pay for them, that of the other does."""
    for name, labels, value in samples:
        yield name, labels, value
        if name == "cometapi_key_usable" and labels["key_id"] in ("4", "6"):
            recorded = {"account": labels["account"], "key_id": labels["key_id"]}
            yield "key:cometapi_key_used_quota:smallest_step", recorded, 1
        if name == "cometapi_key_usable" and labels["key_id"] == "4":
            firing = {"alertname": "CometAPIKeyProbablyDry", "alertstate": "firing"}
            yield "ALERTS", labels | firing, 1


def _with_policies(broken: dict[str, tuple[str, ...]]) -> Change:
    """Have policies, which the keys with these IDs break."""
    every = [policy for policies in broken.values() for policy in policies]

    def change(samples: Iterable[Sample], _: int) -> Iterator[Sample]:
        for name, labels, value in samples:
            yield name, labels, value
            if name == "cometapi_up":
                yield from policy_counts(labels, every)
            if name == "cometapi_key_usable":
                for policy in broken.get(labels["key_id"], ()):
                    yield "cometapi_key_policy_violation", labels | {"policy": policy}, 1

    return change


def _alone(**changes: object) -> list[PastExporter]:
    return [replace(PastExporter(accounts={"production": KEYS}), **changes)]


STATES: dict[str, list[PastExporter]] = {
    "all is well": _alone(),
    "exporter does not respond": _alone(until=HALF_AN_HOUR_AGO),
    "one of two exporters does not respond": [
        PastExporter(accounts={"production": KEYS}),
        PastExporter(accounts={"staging": KEYS}, instance="b:10144", until=HALF_AN_HOUR_AGO),
    ],
    "one of two shards is lost": [
        PastExporter(accounts={"production": KEYS}, also={"cometapi_exporter_shards": 2}),
        PastExporter(
            accounts={"staging": KEYS},
            instance="b:10144",
            until=HALF_AN_HOUR_AGO,
            target_until=HALF_AN_HOUR_AGO,
            also={"cometapi_exporter_shards": 2, "cometapi_exporter_shard_index": 1},
        ),
    ],
    "a replica is cut off": [
        PastExporter(accounts={"production": (*KEYS, STOPPED)}),
        PastExporter(
            accounts={"production": (*KEYS, STOPPED)}, instance="b:10144", change=_cut_off_replica
        ),
    ],
    "gateway is away": _alone(change=_cut_off(END - 20 * MINUTE)),
    "data is stale": _alone(change=_withdrawn),
    "never read": _alone(change=_never_read),
    "one account of three fails": _alone(
        accounts={"good": KEYS, "failing": KEYS, "new": KEYS}, change=_one_of_three_fails
    ),
    "account runs out": _alone(change=_poor),
    "no balance is offered": _alone(
        accounts={"production": (*KEYS, RUNS_DRY)}, change=_without_balance
    ),
    "counts only": _alone(
        accounts={"production": (*KEYS, STOPPED)}, change=_without("cometapi_key_")
    ),
    "usage is off": _alone(change=_without("cometapi_usage_")),
    "a key stopped and 40 expired long ago": _alone(
        accounts={"production": (*KEYS, STOPPED, *LONG_EXPIRED)}
    ),
    "keys are dry or at rest": _alone(
        accounts={"production": (*KEYS, LIMITED_AT_REST, RUNS_DRY, replace(IDLE, id=9, group=""))}
    ),
    "keys are dry by the rules": _alone(
        accounts={"production": (*KEYS, RUNS_DRY, replace(RUNS_DRY, id=6, name="cheap"))},
        change=_rules_judge,
    ),
    "policies hold": _alone(change=_with_policies({})),
    "policies are broken": _alone(
        accounts={
            "production": (
                USED,
                replace(IDLE, last_used=END - 2 * HOUR),
                replace(IDLE, id=3, name="never used", last_used=None),
            )
        },
        change=_with_policies(
            {"1": ("max_lifetime", "model_limits"), "2": ("name",), "3": ("max_unused",)}
        ),
    ),
    "two namespaces share a name": [
        PastExporter(accounts={"default": KEYS}, namespace="team-a"),
        PastExporter(
            accounts={"default": (*KEYS, RUNS_DRY)},
            namespace="team-b",
            instance="b:10144",
            change=_cut_off(END - 20 * MINUTE),
        ),
    ],
    "renamed": _alone(change=_renamed),
    "strange names": _alone(accounts={"</b> \"x\" 'y' \\ 账户": STRANGE}),
    "one key": _alone(accounts={"production": (USED,)}),
    "1,000 keys": _alone(accounts={"crowd": CROWD}, began=END - 2 * MINUTE),
    "10,000 keys": _alone(accounts={"crowd": MANY}, began=END),
}

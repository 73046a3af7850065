"""Situations of real life and the alerts that fire in them, minute by minute, as promtool runs them.

Pure: writes the files of `promtool test rules`. Each situation has its look-alike, in which nothing
(or something else) fires. Values are one a minute, in promtool's notation: `5x3` is 5 four times,
`0+60x3` is 0, 60, 120, 180, `_x3` is nothing for three minutes, and `stale` ends a series.
"""

from dataclasses import dataclass
from typing import Any

USD = 500_000
LONG = 400
"""Minutes for which a series goes on unless a scenario says something else."""
Rows = dict[int, set[str]]
"""By minute, everything that fires: the alert without `CometAPI`, and the key or account if any."""


@dataclass(frozen=True)
class Scenario:
    """What Prometheus scrapes, and what fires when."""

    name: str
    series: dict[str, str]
    firing: Rows
    interval: str = "1m"
    by: str = "key_id"

    def as_test(self) -> dict[str, Any]:
        """Return the scenario as a test of promtool."""
        return {
            "name": self.name,
            "interval": self.interval,
            "input_series": [{"series": name, "values": self.series[name]} for name in self.series],
            "promql_expr_test": [self._row(minute) for minute in self.firing],
        }

    def _row(self, minute: int) -> dict[str, Any]:
        expected = [alert.split() for alert in sorted(self.firing[minute])]
        return {
            "expr": f'count by (alertname, {self.by}) (ALERTS{{alertstate="firing"}})',
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": self._labels(*words), "value": 1} for words in expected],
        }

    def _labels(self, name: str, value: str = "") -> str:
        more = f',{self.by}="{value}"' if value else ""
        return f'{{alertname="CometAPI{name}"{more}}}'


def exporter(until: str = f"1x{LONG}", **labels: str) -> dict[str, str]:
    """Return the series of one exporter that responds."""
    where = _labels({"job": "c", "instance": "i"} | labels)
    return {
        f"up{{{where}}}": until,
        f'cometapi_exporter_build_info{{{where},version="1",python_version="3"}}': until,
    }


def account(
    name: str = "main",
    *,
    up: str = f"1x{LONG}",
    read: str = f"0+60x{LONG}",
    shown: str = f"1x{LONG}",
    configured: str = f"60x{LONG}",
    **labels: str,
) -> dict[str, str]:
    """Return the series of an account.

    *read* is when it was last read, *shown* the number of its keys while its data is exposed,
    *configured* its refresh interval.
    """
    where = _labels({"job": "c", "instance": "i", "account": name} | labels)
    return {
        f"cometapi_up{{{where}}}": up,
        f"cometapi_exporter_last_success_timestamp_seconds{{{where}}}": read,
        f"cometapi_exporter_refresh_interval_seconds{{{where}}}": configured,
        f"cometapi_quota_units_per_usd{{{where}}}": f"{USD}x{LONG}",
        f'cometapi_keys{{{where},group="vip",status="enabled"}}': shown,
    }


def key(
    number: int,
    *,
    account: str = "main",
    name: str = "",
    instance: str = "i",
    **values: str,
) -> dict[str, str]:
    """Return the series of a key by the end of their names; usable, enabled and used just now."""
    identity = {"account": account, "key_id": str(number), "key_name": name or f"k{number}"}
    where = _labels({"job": "c", "instance": instance} | identity | {"group": "vip"})
    usual = {
        "usable": f"1x{LONG}",
        "status": f"1x{LONG}",
        "last_used_timestamp_seconds": f"0+60x{LONG}",
    }
    return {f"cometapi_key_{end}{{{where}}}": text for end, text in (usual | values).items()}


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def spending(quota: int, price: int, minutes: int) -> dict[str, str]:
    """Spend *price* a minute for so many minutes, then rest."""
    spent = price * minutes
    rest = LONG - minutes - 1
    return {
        "remaining_quota": f"{quota}-{price}x{minutes} {quota - spent}x{rest}",
        "used_quota": f"0+{price}x{minutes} {spent}x{rest}",
    }


def pages(values: str) -> dict[str, str]:
    """Return how many pages of the keys of account main were read."""
    labels = {"job": "c", "instance": "i", "account": "main", "path": "/api/token/", "code": "200"}
    return {f"cometapi_exporter_api_requests_total{{{_labels(labels)}}}": values}


LONG_LISTINGS = "_x20 " + " ".join(f"{1260 * number}x20" for number in range(18))
"""When the account was last read, if every listing takes 21 minutes."""
ENDING = {
    "usable": "1x60 stale",
    "status": "1x60 stale",
    "last_used_timestamp_seconds": "0+60x60 stale",
}
OLD_REPLICA = {"read": f"0+60x20 1200x{LONG}", "up": f"1x20 0x{LONG}", "instance": "a"}

SCENARIOS = [
    # --- keys that go away ---------------------------------------------------------------------
    Scenario(
        "a key is deleted while in use",
        exporter() | account() | key(1, **ENDING) | key(2),
        {62: set(), 64: {"KeyDeletedInUse 1"}, 390: {"KeyDeletedInUse 1"}},
    ),
    Scenario(
        "look-alike: it rested for an hour before it was deleted",
        exporter()
        | account()
        | key(1, **ENDING | {"last_used_timestamp_seconds": "0x65 stale"})
        | key(2),
        {64: set(), 90: set()},
    ),
    Scenario(
        "look-alike: it was renamed",
        exporter()
        | account()
        | key(1, **ENDING)
        | key(
            1,
            name="new",
            usable="_x61 1x300",
            status="_x61 1x300",
            last_used_timestamp_seconds="_x61 3660+60x300",
        )
        | key(2),
        {64: set(), 90: set()},
    ),
    Scenario(
        "look-alike: a filter leaves it out",
        exporter()
        | account()
        | {
            'cometapi_exporter_excluded_keys{job="c",instance="i",account="main"}': "0x60 1x300",
            'cometapi_exporter_skipped_keys{job="c",instance="i",account="main"}': "0x360",
        }
        | key(1, **ENDING)
        | key(2),
        {64: set(), 90: set()},
    ),
    Scenario(
        "look-alike: only counts are exposed",
        exporter() | account() | key(1, **ENDING) | key(2, **ENDING),
        {64: set(), 90: set()},
    ),
    Scenario(
        "look-alike: the account is taken out of the configuration",
        exporter()
        | account()
        | account(
            "gone",
            up="1x60 stale",
            read="0+60x60 stale",
            shown="1x60 stale",
            configured="60x60 stale",
        )
        | key(1, account="gone", **ENDING),
        {64: set(), 90: set()},
    ),
    Scenario(
        "a key in use is limited to some models",
        exporter()
        | account()
        | key(1)
        | {
            f'cometapi_key_info{{job="c",account="main",key_id="1",key_name="k1",group="vip",model_limits="{value}",ip_allowlist="false",cross_group_retry="false"}}': text
            for value, text in {"false": "1x99 stale", "true": "_x100 1x200"}.items()
        },
        {99: set(), 103: {"KeyRestricted 1"}, 155: {"KeyRestricted 1"}, 175: set()},
    ),
    Scenario(
        "look-alike: it is created with the limit",
        exporter()
        | account()
        | key(1)
        | {
            'cometapi_key_info{job="c",account="main",key_id="1",key_name="k1",group="vip",model_limits="true",ip_allowlist="false",cross_group_retry="false"}': "_x100 1x200"
        },
        {103: set(), 155: set()},
    ),
    # --- quota ---------------------------------------------------------------------------------
    Scenario(
        "a key spends all it has within 50 minutes",
        exporter() | account() | key(1, **spending(50 * 10_000, 10_000, 49)),
        {4: set(), 12: {"KeyBurningFast 1"}, 40: {"KeyBurningFast 1"}},
    ),
    Scenario(
        "look-alike: the same speed, with enough left",
        exporter() | account() | key(1, **spending(5_000_000, 10_000, 49)),
        {12: set(), 45: set()},
    ),
    Scenario(
        "a key runs dry: 2,000 left of requests that cost 5,000",
        exporter() | account() | key(1, **spending(302_000, 5_000, 60)),
        {
            82: {"KeyBurningFast 1", "KeyQuotaLow 1", "KeyQuotaRunningOut 1"},
            87: {"KeyProbablyDry 1", "KeyQuotaLow 1", "KeyQuotaRunningOut 1"},
            390: {"KeyProbablyDry 1", "KeyQuotaLow 1"},
        },
    ),
    Scenario(
        "look-alike: a finished job, 82 requests left, less than its last quarter of an hour",
        exporter() | account() | key(1, **spending(412_000 + 60 * 45_000, 45_000, 60)),
        {120: {"KeyQuotaRunningOut 1"}, 300: set()},
    ),
    Scenario(
        "look-alike: a light key at night, 4 requests left",
        exporter() | account() | key(1, **spending(20_000 + 60 * 5_000, 5_000, 60)),
        {120: {"KeyQuotaLow 1", "KeyQuotaRunningOut 1"}, 300: {"KeyQuotaLow 1"}},
    ),
    Scenario(
        "look-alike: a cheap key, 44 of its requests left, where usual ones cost 47 times as much",
        exporter()
        | account()
        | {
            'cometapi_account_used_quota{job="c",instance="i",account="main"}': f"4727000x{LONG}",
            'cometapi_account_requests_total{job="c",instance="i",account="main"}': f"1000x{LONG}",
        }
        | key(1, **spending(4_400 + 60 * 100, 100, 60)),
        {120: {"KeyQuotaRunningOut 1"}, 300: set()},
    ),
    Scenario(
        "a key rests since Prometheus started, with less left than a typical request costs",
        exporter()
        | account()
        | {
            'cometapi_account_used_quota{job="c",instance="i",account="main"}': f"15010000x{LONG}",
            'cometapi_account_requests_total{job="c",instance="i",account="main"}': f"10000x{LONG}",
        }
        | key(1, remaining_quota=f"1494x{LONG}", used_quota=f"9006x{LONG}"),
        {24: set(), 27: {"KeyPossiblyDry 1"}},
    ),
    Scenario(
        "a subscription runs dry, and rejected requests move the time of the last use",
        exporter()
        | account()
        | key(1)
        | {
            'cometapi_account_used_quota{job="c",instance="i",account="main"}': "1000000+5000x36 1180000x300",
            'cometapi_account_requests_total{job="c",instance="i",account="main"}': "200+1x36 236x300",
            'cometapi_account_spendable_quota{job="c",instance="i",account="main"}': "182000-5000x36 2000x300",
            'cometapi_account_largest_purse_quota{job="c",instance="i",account="main"}': "182000-5000x36 2000x300",
        },
        {
            55: {"AccountBalanceLow"},
            64: {"AccountBalanceLow", "AccountBalanceRunningOut", "AccountProbablyDry"},
        },
    ),
    Scenario(
        "two subscriptions have enough for a request together, and neither has it alone",
        exporter()
        | account()
        | key(1)
        | {
            'cometapi_account_used_quota{job="c",instance="i",account="main"}': "1000000+5000x36 1180000x300",
            'cometapi_account_requests_total{job="c",instance="i",account="main"}': "200+1x36 236x300",
            'cometapi_account_spendable_quota{job="c",instance="i",account="main"}': "196000-5000x36 16000x300",
            'cometapi_account_largest_purse_quota{job="c",instance="i",account="main"}': "98000-2500x36 3000x300",
        },
        {
            55: {"AccountBalanceLow"},
            64: {"AccountBalanceLow", "AccountBalanceRunningOut", "AccountProbablyDry"},
        },
    ),
    Scenario(
        "an account may be dry, but nobody knows the price of its requests",
        exporter()
        | account()
        | key(1)
        | {
            'cometapi_account_used_quota{job="c",instance="i",account="main"}': f"370000x{LONG}",
            'cometapi_account_requests_total{job="c",instance="i",account="main"}': f"10000x{LONG}",
            'cometapi_account_spendable_quota{job="c",instance="i",account="main"}': f"10x{LONG}",
            'cometapi_account_largest_purse_quota{job="c",instance="i",account="main"}': f"10x{LONG}",
        },
        {20: {"AccountBalanceLow"}, 27: {"AccountBalanceLow", "AccountPossiblyDry"}},
    ),
    Scenario(
        "an empty wallet, and subscriptions that cannot be read",
        exporter()
        | account()
        | {'cometapi_account_remaining_quota{job="c",instance="i",account="main"}': f"0x{LONG}"},
        {14: set(), 16: {"AccountBalanceUnknown"}},
    ),
    Scenario(
        "look-alike: an empty wallet, and a subscription without limit",
        exporter()
        | account()
        | {
            'cometapi_account_remaining_quota{job="c",instance="i",account="main"}': f"0x{LONG}",
            'cometapi_account_subscription_end_timestamp_seconds{job="c",instance="i",account="main"}': f"9000000x{LONG}",
        },
        {16: set(), 60: set()},
    ),
    # --- rotation ------------------------------------------------------------------------------
    Scenario(
        "a key is disabled ten minutes after its last use",
        exporter()
        | account()
        | key(
            1,
            usable="1x60 0x300",
            status="1x60 2x300",
            last_used_timestamp_seconds="0+60x50 3000x300",
        ),
        {62: set(), 64: {"KeyDisabledInUse 1"}},
    ),
    Scenario(
        "look-alike: it was replaced, and rested for two hours before",
        exporter()
        | account()
        | key(
            1,
            usable="1x180 0x200",
            status="1x180 2x200",
            last_used_timestamp_seconds="0+60x60 3600x300",
        ),
        {185: set(), 300: set()},
    ),
    # --- replicas ------------------------------------------------------------------------------
    Scenario(
        "one replica fails and keeps what it read; the other one sees the key exhausted",
        exporter(instance="a")
        | exporter(instance="b")
        | account(**OLD_REPLICA)
        | account(instance="b")
        | key(1, instance="a", remaining_quota=f"500x{LONG}")
        | key(
            1,
            instance="b",
            usable="1x30 0x300",
            status="1x30 4x300",
            remaining_quota="500x30 0x300",
        ),
        {29: set(), 34: {"KeyQuotaExhausted 1", "ReplicaFailing"}},
    ),
    Scenario(
        "one of two replicas is gone from service discovery",
        exporter(instance="a")
        | exporter("1x60 stale", instance="b", node="n2", pod_template_hash="5f")
        | account(instance="a")
        | account(
            instance="b",
            node="n2",
            configured="60x60 stale",
            up="1x60 stale",
            read="0+60x60 stale",
            shown="1x60 stale",
        ),
        {70: set(), 77: {"ReplicaMissing"}},
    ),
    Scenario(
        "look-alike: a rolling update, which runs two pods for three minutes",
        exporter("1x63 stale", instance="a")
        | exporter("_x60 1x300", instance="b")
        | account(
            instance="a",
            configured="60x63 stale",
            up="1x63 stale",
            read="0+60x63 stale",
            shown="1x63 stale",
        )
        | account(
            instance="b",
            configured="_x60 60x300",
            up="_x62 1x300",
            read="_x62 3720+60x300",
            shown="_x62 1x300",
        ),
        {62: set(), 70: set(), 90: set()},
    ),
    # --- installations -------------------------------------------------------------------------
    Scenario(
        "an exporter is gone from service discovery, another one of the job goes on",
        exporter(instance="a")
        | exporter("1x60 stale", instance="b")
        | account("one", instance="a")
        | account(
            "two",
            instance="b",
            configured="60x60 stale",
            up="1x60 stale",
            read="0+60x60 stale",
            shown="1x60 stale",
        ),
        {64: set(), 67: {"ExporterDown two"}, 78: {"ExporterDown two", "ReplicaMissing"}},
        by="account",
    ),
    Scenario(
        "look-alike: the account is taken out of the configuration, with a new pod",
        exporter("1x60 stale", instance="a")
        | exporter("_x61 1x300", instance="b")
        | account(
            "one",
            instance="a",
            configured="60x60 stale",
            up="1x60 stale",
            read="0+60x60 stale",
            shown="1x60 stale",
        )
        | account(
            "one",
            instance="b",
            configured="_x61 60x300",
            up="_x61 1x300",
            read="_x61 3660+60x300",
            shown="_x61 1x300",
        )
        | account(
            "two",
            instance="a",
            configured="60x60 stale",
            up="1x60 stale",
            read="0+60x60 stale",
            shown="1x60 stale",
        ),
        {67: set(), 90: set()},
        by="account",
    ),
    Scenario(
        "an exporter with three accounts dies: one alert for its job",
        exporter("1x60 stale")
        | {
            name: text
            for number in range(3)
            for name, text in account(
                f"a{number}",
                configured="60x60 stale",
                up="1x60 stale",
                read="0+60x60 stale",
                shown="1x60 stale",
            ).items()
        },
        {67: {"ExporterDown"}, 300: {"ExporterDown"}},
        by="account",
    ),
    # --- outages -------------------------------------------------------------------------------
    Scenario(
        "the gateway is away; the data is withdrawn after an hour, and the exporter restarts",
        exporter("1x149 stale stale 1x249")
        | account(
            up="1x60 0x88 stale stale stale 0x247",
            read="0+60x60 3600x88 stale",
            shown="1x120 stale",
            configured="60x149 stale stale 60x249",
        )
        | key(
            1,
            usable="0x120 stale",
            status="1x120 stale",
            remaining_quota="0x120 stale",
            last_used_timestamp_seconds="0x120 stale",
        ),
        {
            50: {"KeyQuotaExhausted 1"},
            130: {"KeyQuotaExhausted 1", "RefreshFailing", "DataStale"},
            155: {"KeyQuotaExhausted 1", "RefreshFailing", "DataStale"},
            390: {"KeyQuotaExhausted 1", "RefreshFailing", "DataStale"},
        },
    ),
    Scenario(
        "look-alike: the key is topped up meanwhile, and the gateway comes back",
        exporter()
        | account(
            up="1x60 0x140 1x200",
            read="0+60x60 3600x140 12000+60x200",
            shown="1x120 _x80 1x200",
        )
        | key(
            1,
            usable="0x120 _x80 1x200",
            status="1x120 _x80 1x200",
            remaining_quota="0x120 _x80 5000x200",
            last_used_timestamp_seconds="0x120 _x80 0x200",
        ),
        {190: {"KeyQuotaExhausted 1", "RefreshFailing", "DataStale"}, 230: set()},
    ),
    # --- listings that take long -----------------------------------------------------------------
    Scenario(
        "a listing takes 21 minutes",
        exporter() | account(up="_x20 1x380", read=LONG_LISTINGS) | pages("0+50x400"),
        {41: set(), 62: set(), 300: set()},
    ),
    Scenario(
        "look-alike: the listing hangs",
        exporter()
        | account(up="_x20 1x380", read="_x20 0x21 1260x360")
        | pages("0+50x50 2500x350"),
        {60: set(), 66: {"DataStale"}, 300: {"DataStale"}},
    ),
    Scenario(
        "look-alike: it goes on, but the data is older than an hour",
        exporter() | account(up="_x20 1x380", read="_x20 0x380") | pages("0+50x400"),
        {64: set(), 66: {"DataStale"}},
    ),
    Scenario(
        "look-alike: the pages come, but the refreshes fail",
        exporter() | account(up="1x20 0x380", read="0+60x20 1200x380") | pages("0+50x400"),
        {40: {"RefreshFailing"}, 41: {"RefreshFailing", "DataStale"}},
    ),
    Scenario(
        "the clock of the exporter is 20 minutes behind",
        exporter() | account(read=f"-1200+60x{LONG}"),
        {60: set(), 300: set()},
    ),
    Scenario(
        "a firewall rejects the requests",
        exporter()
        | account(up=f"1x60 0x{LONG}", read="0+60x60 3600x300")
        | {
            'cometapi_exporter_refresh_failures_total{job="c",instance="i",account="main",reason="blocked"}': "0x60 1+1x300"
        },
        {62: set(), 67: {"RequestsBlocked"}},
    ),
    Scenario(
        "one endpoint fails",
        exporter()
        | account()
        | {
            'cometapi_exporter_api_up{job="c",instance="i",account="main",path="/api/user/self"}': "1x60 0x300"
        },
        {85: set(), 92: {"PathFailing"}},
    ),
    # --- thresholds ----------------------------------------------------------------------------
    Scenario(
        "a key that is set back each day has all of today's quota, and used a hundred times as much",
        exporter()
        | account()
        | key(1, remaining_quota=f"5000000x{LONG}", used_quota=f"500000000x{LONG}"),
        {120: set()},
    ),
    Scenario(
        "look-alike: it has spent 92 % of what it had",
        exporter() | account() | key(1, **spending(5_000_000, 46_000, 100)),
        {200: {"KeyQuotaLow 1"}},
    ),
    Scenario(
        "look-alike: its quota was lowered by hand",
        exporter()
        | account()
        | key(1, remaining_quota="5000000x60 400000x300", used_quota=f"0x{LONG}"),
        {75: set()},
    ),
]

EXPECTED = {
    f"CometAPI{alert.split()[0]}"
    for scenario in SCENARIOS
    for alerts in scenario.firing.values()
    for alert in alerts
}
"""The alerts that fire in at least one scenario; each is silent in another."""

"""List every option once: name, key, metavar, parser, default and help.

Pure: knows no environment, no file, no click. Flag, variable and group follow from a row's name and
key. The table feeds the command line, `--help`, the fields of the configuration file, the error
messages and the generated documents.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from exporter import parsers
from exporter.cometapi.facts import LEAST_UNITS_PER_USD, MOST_UNITS_PER_USD
from exporter.logs import FORMATS, LEVELS
from exporter.server.listen import parse_listen_address, parse_listen_addresses

T = TypeVar("T")

TOKEN_VARIABLE = "COMETAPI_ACCESS_TOKEN"  # noqa: S105 - the variable's name, not a token
# An amount in US dollars; beyond this, the product with any factor is no sane number.
MONEY = parsers.number(1e-6, 1e12, zero=True)
UNITS = parsers.number(LEAST_UNITS_PER_USD, MOST_UNITS_PER_USD)
AUTH_SCHEMES = ("raw", "bearer")
OUTPUT_FORMATS = ("text", "json", "sarif")
USAGES = ("off", "model", "key-model")


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One option, whose value is a T.

    *name* is its flag without the dashes, *key* its name in the settings and the configuration
    file. *metavar* is "" for a switch. *default* is written as the user would write it, None for an
    option that need not have a value. *parse* raises ValueError for a text that means nothing.
    """

    name: str
    key: str
    metavar: str
    parse: Callable[[str], T]
    default: str | None
    help: str

    @property
    def group(self) -> str:
        """The first part of its name, such as `collect`: a section of the configuration file."""
        return self.name.partition(".")[0]

    @property
    def flag(self) -> str:
        """Its flag."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        prefix = "COMETAPI_" if self.group == "cometapi" else "COMETAPI_EXPORTER_"
        return prefix + self.key.upper()

    @property
    def source(self) -> str:
        """How messages name the option where it is set by its flag or its variable."""
        return f"{self.flag} ({self.variable})"

    @property
    def default_value(self) -> T | None:
        """What its default means."""
        if self.default is None:
            return None
        return self.parse(self.default)

    @property
    def is_repeatable(self) -> bool:
        """Whether it takes several values, separated by commas in the variable."""
        return self.parse in (parse_listen_addresses, parsers.labels)


# fmt: off
ACCESS_TOKEN_FILE = Option(
    "cometapi.access-token-file", "access_token_file", "FILE", parsers.path, None,
    "Path to a file with the access token; re-read on every refresh. "
    f"Alternatively set {TOKEN_VARIABLE}.",
)
BASE_URL = Option(
    "cometapi.base-url", "base_url", "URL", parsers.base_url, "https://api.cometapi.com",
    "Base URL of the gateway. A trailing /v1 is removed.",
)
ACCOUNT_NAME = Option(
    "cometapi.account-name", "account_name", "NAME", parsers.account_name, "default",
    "Name of the account, its label in the metrics. With --config.file, each account has its own.",
)
AUTH_SCHEME = Option(
    "cometapi.auth-scheme", "auth_scheme", "WORD", parsers.one_of(AUTH_SCHEMES), "raw",
    "Format of the Authorization header: raw (the token alone) or bearer (Bearer and the token).",
)
HEADERS_FILE = Option(
    "cometapi.headers-file", "headers_file", "FILE", parsers.path, None,
    "Path to a file of Name: value lines to send with every request; re-read like the token.",
)
USER_ID = Option(
    "cometapi.user-id", "user_id", "NUMBER", parsers.whole_number(), None,
    "Numeric user ID, sent as New-Api-User and its variants; required by self-hosted gateways.",
)
QUOTA_PER_USD = Option(
    "cometapi.quota-per-usd", "quota_per_usd", "NUMBER", UNITS, None,
    "Quota units per US dollar. Default: as reported by the gateway, otherwise 500000.",
)
CA_FILE = Option(
    "cometapi.ca-file", "ca_file", "FILE", parsers.path, None,
    "Path to a PEM file of CA certificates to trust instead of the system's.",
)
ALLOW_INSECURE_HTTP = Option(
    "cometapi.allow-insecure-http", "allow_insecure_http", "", parsers.switch, "false",
    "Allow plain HTTP to non-loopback hosts. The token can then be read on the network.",
)
CONFIG_FILE = Option(
    "config.file", "config_file", "FILE", parsers.path, None,
    "Path to a YAML file with several accounts. SIGHUP reloads it.",
)
AUTO_RELOAD_INTERVAL = Option(
    "config.auto-reload-interval", "auto_reload_interval", "DURATION",
    parsers.duration(1, or_zero=True), "0s",
    "How often to check the configuration file for changes and reload it. 0s: never.",
)
INTERVAL = Option(
    "collect.interval", "interval", "DURATION", parsers.duration(0.1), "60s",
    "How often to refresh each account.",
)
TIMEOUT = Option(
    "collect.timeout", "timeout", "DURATION", parsers.duration(0.1), "10s",
    "Timeout of one API request.",
)
STALE_AFTER = Option(
    "collect.stale-after", "stale_after", "DURATION", parsers.duration(0.1), "1h",
    "Stop exposing data older than this. Must be at least two intervals.",
)
CONCURRENCY = Option(
    "collect.concurrency", "concurrency", "NUMBER", parsers.whole_number(most=64), "4",
    "Number of pages to fetch concurrently per account.",
)
MAX_REQUESTS_PER_MINUTE = Option(
    "collect.max-requests-per-minute", "max_requests_per_minute", "NUMBER",
    parsers.whole_number(), "50",
    "Maximum API requests per minute and host, across all accounts.",
)
USAGE = Option(
    "collect.usage", "usage", "WORD", parsers.one_of(USAGES), "model",
    "Spending by model, if the gateway reports it: off, model, or key-model (by key as well).",
)
USAGE_MAX_SERIES = Option(
    "collect.usage-max-series", "usage_max_series", "NUMBER", parsers.whole_number(), "2000",
    'Maximum usage series per account. Further models are summed as model="other".',
)
KEYS_MAX = Option(
    "keys.max", "keys_max", "NUMBER", parsers.whole_number(), "100000",
    "Maximum keys per account. Accounts with more keys fail as too_many_keys.",
)
KEYS_INCLUDE = Option(
    "keys.include", "keys_include", "REGEX", parsers.pattern, None,
    "Only expose keys whose <group>/<name> this RE2 expression fully matches.",
)
KEYS_EXCLUDE = Option(
    "keys.exclude", "keys_exclude", "REGEX", parsers.pattern, None,
    "Do not expose keys whose <group>/<name> this RE2 expression fully matches.",
)
KEYS_COUNTS_ONLY = Option(
    "keys.counts-only", "keys_counts_only", "", parsers.switch, "false",
    "Expose no series per key, only counts by group and the account's own metrics.",
)
SHARDS_TOTAL = Option(
    "shards.total", "shards_total", "NUMBER", parsers.whole_number(most=1000), "1",
    "Number of exporters that share the accounts of --config.file.",
)
SHARDS_INDEX = Option(
    "shards.index", "shards_index", "NUMBER", parsers.whole_number(0), "0",
    "Index of this exporter, from 0 to --shards.total minus 1.",
)
LISTEN_ADDRESS = Option(
    "web.listen-address", "listen_address", "ADDRESS", parse_listen_addresses, ":10144",
    "Address to listen on. Repeatable; in the variable, separate addresses by commas.",
)
TELEMETRY_PATH = Option(
    "web.telemetry-path", "telemetry_path", "PATH", parsers.url_path, "/metrics",
    "Path under which to expose metrics.",
)
NO_STATUS_PAGE = Option(
    "web.no-status-page", "no_status_page", "", parsers.switch, "false",
    "Disable the status page and the JSON API.",
)
WEB_CONFIG_FILE = Option(
    "web.config.file", "web_config_file", "FILE", parsers.path, None,
    "Path to a web configuration file (TLS, basic auth) in exporter-toolkit format.",
)
ENABLE_LIFECYCLE = Option(
    "web.enable-lifecycle", "enable_lifecycle", "", parsers.switch, "false",
    "Enable reload of the configuration file via HTTP (POST or PUT to /-/reload).",
)
PROBE_LISTEN_ADDRESS = Option(
    "probe.listen-address", "probe_listen_address", "ADDRESS", parse_listen_address, None,
    "Additional plain HTTP address that serves only /-/healthy and /-/ready.",
)
LOG_LEVEL = Option(
    "log.level", "log_level", "LEVEL", parsers.one_of(LEVELS, warn="warning"), "info",
    f"Only log messages with the given severity or above. One of: {', '.join(LEVELS)}.",
)
LOG_FORMAT = Option(
    "log.format", "log_format", "FORMAT", parsers.one_of(FORMATS), "logfmt",
    f"Output format of log messages. One of: {', '.join(FORMATS)}.",
)
OUTPUT_FORMAT = Option(
    "output.format", "output_format", "FORMAT", parsers.one_of(OUTPUT_FORMATS), "text",
    "Output format of --check and --audit: text, json, or sarif (2.1.0, --audit only).",
)
BACKFILL_DAYS = Option(
    "backfill.days", "backfill_days", "NUMBER", parsers.whole_number(most=30), "30",
    "With --backfill: how many days to write; at most 30, the most that gateways return.",
)
BACKFILL_END = Option(
    "backfill.end", "backfill_end", "TIME", parsers.moment, None,
    "With --backfill: end of the history, as RFC 3339 or Unix time. Default: three hours ago.",
)
BACKFILL_LABEL = Option(
    "backfill.label", "backfill_label", "NAME=VALUE", parsers.labels, None,
    "With --backfill: a label of every series, as Prometheus adds it. Repeatable. Default: "
    "job=cometapi-exporter and instance=127.0.0.1:10144.",
)
THRESHOLD_KEYS = Option(
    "thresholds.keys", "keys", "REGEX", parsers.pattern, None,
    "RE2 expression that must match the whole of <group>/<name>. Default: every key.",
)
THRESHOLD_LOW_QUOTA_USD = Option(
    "thresholds.low-quota-usd", "low_quota_usd", "NUMBER", MONEY, None,
    "Warn below this many US dollars, instead of below a share of the key's total quota.",
)
THRESHOLD_EXPIRY_WARNING = Option(
    "thresholds.expiry-warning", "expiry_warning", "DURATION", parsers.duration(), None,
    "Warn this long before expiry, instead of 7 days.",
)
THRESHOLD_DAILY_BUDGET_USD = Option(
    "thresholds.daily-budget-usd", "daily_budget_usd", "NUMBER", MONEY, None,
    "Warn when more US dollars were spent within a day.",
)
THRESHOLD_MONTHLY_BUDGET_USD = Option(
    "thresholds.monthly-budget-usd", "monthly_budget_usd", "NUMBER", MONEY,
    None,
    "Budget of a key in US dollars for a calendar month (UTC).",
)
POLICY_KEYS = Option(
    "policies.keys", "keys", "REGEX", parsers.pattern, None,
    "Applies to keys whose whole <group>/<name> matches this RE2 expression. Default: every key.",
)
POLICY_MAX_LIFETIME = Option(
    "policies.max-lifetime", "max_lifetime", "DURATION", parsers.duration(1), None,
    "Expires, at most this long after its creation.",
)
POLICY_LIMITED_QUOTA = Option(
    "policies.limited-quota", "limited_quota", "", parsers.switch, "false",
    "Has a quota limit.",
)
POLICY_IP_ALLOWLIST = Option(
    "policies.ip-allowlist", "ip_allowlist", "", parsers.switch, "false",
    "Has a list of allowed addresses, without 0.0.0.0/0, ::/0 or what amounts to them.",
)
POLICY_MODEL_LIMITS = Option(
    "policies.model-limits", "model_limits", "", parsers.switch, "false",
    "Is limited to a list of models.",
)
POLICY_MAX_UNUSED = Option(
    "policies.max-unused", "max_unused", "DURATION", parsers.duration(1), None,
    "Was used, or created, at most this long ago.",
)
POLICY_NAME = Option(
    "policies.name", "name", "REGEX", parsers.pattern, None,
    "Has a name that this RE2 expression fully matches.",
)
ACCOUNT_MONTHLY_BUDGET_USD = Option(
    "accounts.monthly-budget-usd", "monthly_budget_usd", "NUMBER", MONEY, None,
    "Budget of the account in US dollars for a calendar month (UTC).",
)
# fmt: on

OPTIONS: tuple[Option[Any], ...] = (
    ACCESS_TOKEN_FILE,
    BASE_URL,
    ACCOUNT_NAME,
    AUTH_SCHEME,
    HEADERS_FILE,
    USER_ID,
    QUOTA_PER_USD,
    CA_FILE,
    ALLOW_INSECURE_HTTP,
    CONFIG_FILE,
    AUTO_RELOAD_INTERVAL,
    INTERVAL,
    TIMEOUT,
    STALE_AFTER,
    CONCURRENCY,
    MAX_REQUESTS_PER_MINUTE,
    USAGE,
    USAGE_MAX_SERIES,
    KEYS_MAX,
    KEYS_INCLUDE,
    KEYS_EXCLUDE,
    KEYS_COUNTS_ONLY,
    SHARDS_TOTAL,
    SHARDS_INDEX,
    LISTEN_ADDRESS,
    TELEMETRY_PATH,
    NO_STATUS_PAGE,
    WEB_CONFIG_FILE,
    ENABLE_LIFECYCLE,
    PROBE_LISTEN_ADDRESS,
    LOG_LEVEL,
    LOG_FORMAT,
    OUTPUT_FORMAT,
    BACKFILL_DAYS,
    BACKFILL_END,
    BACKFILL_LABEL,
)
"""Every option of the command line, in the order of --help."""

THRESHOLD_OPTIONS: tuple[Option[Any], ...] = (
    THRESHOLD_KEYS,
    THRESHOLD_LOW_QUOTA_USD,
    THRESHOLD_EXPIRY_WARNING,
    THRESHOLD_DAILY_BUDGET_USD,
    THRESHOLD_MONTHLY_BUDGET_USD,
)
"""What a threshold of the configuration file may say."""

POLICY_OPTIONS: tuple[Option[Any], ...] = (
    POLICY_KEYS,
    POLICY_MAX_LIFETIME,
    POLICY_LIMITED_QUOTA,
    POLICY_IP_ALLOWLIST,
    POLICY_MODEL_LIMITS,
    POLICY_MAX_UNUSED,
    POLICY_NAME,
)
"""What a policy of the configuration file may say, beside `POLICY_GROUPS`."""

POLICY_GROUPS = "groups"
POLICY_GROUPS_HELP = 'Is in one of the groups of this list. "" means without a group.'

FILE_ACCOUNT_OPTIONS: tuple[Option[Any], ...] = (ACCOUNT_MONTHLY_BUDGET_USD,)
"""What an account of the configuration file may say, and no flag."""

BY_KEY: Mapping[str, Option[Any]] = MappingProxyType({option.key: option for option in OPTIONS})

MODES: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Serve simulated accounts. Needs no credentials.",
        "once": "Collect once, print the metrics to stdout and exit.",
        "check": "Validate the configuration, query each account once, print the result and exit.",
        "backfill": "Write the usage of the last 30 days to stdout as OpenMetrics, for import into "
        "Prometheus, and exit.",
        "audit": "Query each account once, print which keys break which policies and exit.",
        "config_check": "Validate the configuration without network access and exit.",
    }
)
"""What to do instead of serving the configured accounts."""


def mode_flag(mode: str) -> str:
    """Return the flag of one of `MODES`."""
    return f"--{mode.replace('_', '.')}"

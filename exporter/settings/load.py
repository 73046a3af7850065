"""Turn what the user wrote into settings, or into everything that is wrong with it at once.

Talks to: the files that the settings name (tokens, certificates, the configuration file), so that
a file that cannot be used is known early. Knows no HTTP, no server, no clock. Raw values are merged
as default < configuration file < variable < flag < account, and parsed at the end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from exporter.cometapi.proxies import Proxy, parse_proxy, variable_for
from exporter.cometapi.trust import GivenFile, system_store
from exporter.credentials import HeadersFile, LiteralToken, Secret, TokenFile, TokenSource
from exporter.demo.policies import DEMO_MONTHLY_BUDGET_USD, DEMO_POLICIES
from exporter.errors import ApiError, SettingsError
from exporter.files import Identity, identity, is_accessible, shown_path
from exporter.parsers import is_loopback
from exporter.patterns import ANY_TEXT, Pattern
from exporter.policies import NO_POLICIES, Policies, Policy, PolicyKind
from exporter.problems import Problem
from exporter.server.listen import ListenAddress
from exporter.server.tls import WebConfigFile
from exporter.server.web_config import REPLACE_EXAMPLE
from exporter.settings import options
from exporter.settings.config_file import ConfigFile, Entry, PolicyEntry, read_config_file
from exporter.settings.options import (
    FILE_ACCOUNT_OPTIONS,
    OPTIONS,
    POLICY_OPTIONS,
    THRESHOLD_OPTIONS,
    TOKEN_VARIABLE,
)
from exporter.settings.unknown_variables import unknown_variables
from exporter.settings.values import Parsed, RawValue, RawValues, Values, default_values
from exporter.shards import shard_of
from exporter.strict_yaml import YamlError
from exporter.thresholds import NO_THRESHOLDS, Threshold, Thresholds

T = TypeVar("T")

ACCOUNT_OPTIONS = (
    *(option for option in OPTIONS if option.group in ("cometapi", "collect", "keys")),
    *FILE_ACCOUNT_OPTIONS,
)
# As deploy/prometheus/prometheus.yml names the target.
TARGET_LABELS = {"job": "cometapi-exporter", "instance": "127.0.0.1:10144"}
ONLY_FOR_ONE_ACCOUNT = ("access_token_file", "access_token_env", "user_id", "account_name")
NOT_FOR_THE_DEMO = (
    "account_name",
    "access_token_file",
    "user_id",
    "base_url",
    "ca_file",
    "headers_file",
)
# Where the field of an account is not called like the option.
FIELDS_OF_ONE_ACCOUNT = {"account_name": "name"}
# Stands in for a token that a problem was reported about.
NO_TOKEN = LiteralToken(Secret(""), "")
MISSING = (
    "no access token: create one in the gateway's console under Personal Settings and set one of "
    "the two (or explore with --demo first)"
)
NOTHING_TO_AUDIT = (
    "requires policies: set `policies:` in the file of --config.file "
    "(COMETAPI_EXPORTER_CONFIG_FILE), as docs/audit.md says"
)
INSECURE_HTTP = (
    "plain HTTP to a non-loopback host would expose the token on the network: use https, or allow "
    "it with --cometapi.allow-insecure-http (allow_insecure_http: true in the file)"
)
# Expressions that every `<group>/<name>` matches, as people write them.
EVERY_KEY = (ANY_TEXT.text, ".*/.*")
HIDES_OTHERS = (
    "matches every key, so the thresholds after it have no effect: put it last, since the first "
    "match applies"
)
NO_CERTIFICATES = (
    "the system's certificates (install the package ca-certificates, or set SSL_CERT_FILE, "
    f"SSL_CERT_DIR or {options.CA_FILE.source})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account to monitor: the options by their keys, durations in seconds.

    An option that need not have a value is None where it is not set.
    """

    name: str
    token: TokenSource
    base_url: str
    user_id: int | None = None
    quota_per_usd: float | None = None
    ca_file: GivenFile | None = None
    monthly_budget_usd: float | None = None
    proxy: Proxy | None = None
    auth_scheme: str = "raw"
    headers_file: HeadersFile | None = None
    interval: float
    timeout: float
    stale_after: float
    concurrency: int
    usage: str
    usage_max_series: int
    keys_max: int
    keys_include: Pattern | None = None
    keys_exclude: Pattern | None = None
    keys_counts_only: bool
    thresholds: Thresholds
    policies: Policies = NO_POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything one run needs to know: options by their keys; *accounts* are those of this shard.

    Durations are in seconds. *config_identity* is that of the configuration file before it was
    read, so that no change since is missed. *warnings* are about what is probably a mistake, but
    can be used; those about the web config are apart, since the server follows it by itself.
    """

    accounts: tuple[Account, ...]
    demo: bool
    config_file: Path | None = None
    config_identity: Identity = None
    auto_reload_interval: float
    shards_total: int
    shards_index: int
    max_requests_per_minute: int
    listen_address: tuple[ListenAddress, ...]
    probe_listen_address: ListenAddress | None = None
    telemetry_path: str
    no_status_page: bool
    enable_lifecycle: bool
    web_config: WebConfigFile | None = None
    backfill_days: int = 30
    backfill_end: float | None = None
    backfill_label: Mapping[str, str]
    log_level: str
    log_format: str
    output_format: str
    warnings: tuple[Problem, ...] = ()

    @property
    def all_warnings(self) -> tuple[Problem, ...]:
        """The warnings, and those about the web config."""
        if self.web_config is None or not self.web_config.config.has_example_password:
            return self.warnings
        return (*self.warnings, Problem(options.WEB_CONFIG_FILE.source, REPLACE_EXAMPLE))


def load_settings(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    *,
    demo: bool = False,
    needs_every_file: bool = False,
    is_audit: bool = False,
) -> Settings:
    """Return the settings from *flags*, the environment and the configuration file.

    *flags* has the texts by the keys of their options, None for a flag that is not set. Call it
    again with the same arguments to reload the file. With *demo* there is one account without
    credentials, and the caller fills in where it is served. With *needs_every_file* a file that an
    account lacks is a problem even if other accounts have theirs; with *is_audit* accounts without
    policies are one. Raises SettingsError with every problem.
    """
    loading = _Loading(flags, environ, demo=demo)
    settings = loading.settings(needs_every_file=needs_every_file)
    loading.check_audit(settings, is_audit=is_audit)
    if loading.problems:
        # What is wrong for all accounts was found once for each of them.
        unique = dict.fromkeys(loading.problems)
        raise SettingsError([str(problem) for problem in unique])
    return settings


def _written(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> RawValues:
    """Return what flags and variables set; a flag takes precedence over its variable.

    A variable that is empty, or only white space, counts as not set.
    """
    written = {}
    for option in OPTIONS:
        variable = environ.get(option.variable, "")
        if variable.strip():
            written[option.key] = RawValue(variable, option.source)
        flag = flags.get(option.key)
        if flag is not None:
            written[option.key] = RawValue(flag, option.source)
    if environ.get(TOKEN_VARIABLE):
        written["access_token_env"] = RawValue(TOKEN_VARIABLE, TOKEN_VARIABLE)
    return written


_AccountFile = TokenFile | HeadersFile | GivenFile


@dataclass(frozen=True, slots=True)
class _LackingFile:
    """A file of *account* that is missing or may not be read, and the *setting* that names it."""

    account: str
    setting: RawValue | Parsed[Path]
    file: _AccountFile


class _Loading:
    """One reading of the settings, which collects *problems* on the way."""

    def __init__(
        self, flags: Mapping[str, str | None], environ: Mapping[str, str], *, demo: bool
    ) -> None:
        self.problems: list[Problem] = []
        self._warnings = unknown_variables(environ)
        self._lacking: list[_LackingFile] = []
        self._config_identity: Identity = None
        self._demo = demo
        self._environ = dict(environ)
        if demo:
            self._environ[TOKEN_VARIABLE] = "demo"
        self._written = _written(flags, self._environ)
        self._has_file = "config_file" in self._written and not demo

    def settings(self, *, needs_every_file: bool) -> Settings:
        """Return the settings; worth something only if there are no problems."""
        file = self._config_file()
        for_all = {**default_values(), **file.all.options}
        values = Values(OPTIONS, {**for_all, **self._written}, self.problems)
        self._check_demo()
        self._check_options_of_one_account(file)
        self._check_options_of_a_file(values)
        self._check_shard(values)
        accounts = self._accounts(file, {**for_all, **self._written_for_accounts()})
        accounts_without_a_file = {file.account for file in self._lacking}
        if needs_every_file or len(accounts_without_a_file) == len(accounts):
            self._complain_of_lacking_files()

        total = values.of(options.SHARDS_TOTAL)
        index = values.of(options.SHARDS_INDEX)
        return Settings(
            accounts=tuple(each for each in accounts if shard_of(each.name, total) == index),
            demo=self._demo,
            config_file=values.optional(options.CONFIG_FILE),
            config_identity=self._config_identity,
            auto_reload_interval=values.of(options.AUTO_RELOAD_INTERVAL),
            shards_total=total,
            shards_index=index,
            max_requests_per_minute=values.of(options.MAX_REQUESTS_PER_MINUTE),
            listen_address=values.of(options.LISTEN_ADDRESS),
            probe_listen_address=values.optional(options.PROBE_LISTEN_ADDRESS),
            telemetry_path=values.of(options.TELEMETRY_PATH),
            no_status_page=values.of(options.NO_STATUS_PAGE),
            enable_lifecycle=values.of(options.ENABLE_LIFECYCLE),
            web_config=self._web_config(values),
            log_level=values.of(options.LOG_LEVEL),
            log_format=values.of(options.LOG_FORMAT),
            output_format=values.of(options.OUTPUT_FORMAT),
            warnings=tuple(self._warnings),
            backfill_days=values.of(options.BACKFILL_DAYS),
            backfill_end=values.optional(options.BACKFILL_END),
            backfill_label=_with_target(values.optional(options.BACKFILL_LABEL)),
        )

    def check_audit(self, settings: Settings, *, is_audit: bool) -> None:
        """Complain about an audit without policies, and about its format in another mode."""
        if not is_audit and settings.output_format == "sarif":
            self._complain(options.OUTPUT_FORMAT.source, "sarif requires --audit")
        has_policies = any(account.policies.entries for account in settings.accounts)
        if is_audit and not has_policies:
            self._complain("--audit", NOTHING_TO_AUDIT)

    def _config_file(self) -> ConfigFile:
        """Return what the file says; without one, the one account of flags and variables."""
        if not self._has_file:
            place = f"{TOKEN_VARIABLE} or {options.ACCESS_TOKEN_FILE.source}"
            name = "demo" if self._demo else self._account_name()
            return ConfigFile(accounts=(Entry(name=name, token_place=place),))
        # The problem of a path that means nothing is reported with the other options.
        values = Values([options.CONFIG_FILE], self._written, [])
        path = values.optional(options.CONFIG_FILE)
        if path is None:
            return ConfigFile()
        self._config_identity = identity(path)
        setting = values.parsed(options.CONFIG_FILE)
        read = self._use(setting, lambda: read_config_file(path, self.problems))
        return read or ConfigFile()

    def _account_name(self) -> str:
        # The problem of a wrong name is reported with the other options.
        raw_values = {**default_values(), **self._written}
        return Values([options.ACCOUNT_NAME], raw_values, []).of(options.ACCOUNT_NAME)

    def _web_config(self, values: Values) -> WebConfigFile | None:
        path = values.optional(options.WEB_CONFIG_FILE)
        if path is None:
            return None
        setting = values.parsed(options.WEB_CONFIG_FILE)
        return self._use(setting, lambda: WebConfigFile(path))

    def _written_for_accounts(self) -> RawValues:
        """Return what flags and variables set for the accounts."""
        ignored: Sequence[str] = ()
        if self._demo:
            ignored = NOT_FOR_THE_DEMO
        elif self._has_file:
            ignored = ONLY_FOR_ONE_ACCOUNT
        return {key: raw for key, raw in self._written.items() if key not in ignored}

    def _accounts(self, file: ConfigFile, for_all: RawValues) -> list[Account]:
        common = self._thresholds(file.all)
        common_policies = self._policies(file.all)
        # Most accounts have none of their own: one object, with its expressions, serves them all.
        shared = self._together(common)
        shared_policies = self._policies_together(common_policies)
        if self._demo:
            shared_policies = DEMO_POLICIES
        accounts = []
        for entry in file.accounts:
            own = self._thresholds(entry)
            thresholds = self._together([*own, *common]) if own else shared
            own_policies = self._policies(entry)
            policies = shared_policies
            if own_policies:
                policies = self._policies_together([*own_policies, *common_policies])
            accounts.append(self._account(entry, for_all, thresholds, policies))
        return accounts

    def _account(
        self, entry: Entry, for_all: RawValues, thresholds: Thresholds, policies: Policies
    ) -> Account:
        raw_values = {**for_all, **entry.options}
        values = Values(ACCOUNT_OPTIONS, raw_values, self.problems)
        self._check_transport(values)
        self._check_staleness(values)
        self._check_system_store(values)
        budget = values.optional(options.ACCOUNT_MONTHLY_BUDGET_USD)
        if self._demo:
            budget = DEMO_MONTHLY_BUDGET_USD
        return Account(
            name=entry.name,
            token=self._token(entry, raw_values, values.optional(options.ACCESS_TOKEN_FILE)),
            base_url=values.of(options.BASE_URL),
            user_id=values.optional(options.USER_ID),
            quota_per_usd=values.optional(options.QUOTA_PER_USD),
            ca_file=self._ca_file(entry, values),
            monthly_budget_usd=budget,
            proxy=self._proxy(values),
            auth_scheme=values.of(options.AUTH_SCHEME),
            headers_file=self._headers_file(entry, values),
            interval=values.of(options.INTERVAL),
            timeout=values.of(options.TIMEOUT),
            stale_after=values.of(options.STALE_AFTER),
            concurrency=values.of(options.CONCURRENCY),
            usage=values.of(options.USAGE),
            usage_max_series=values.of(options.USAGE_MAX_SERIES),
            keys_max=values.of(options.KEYS_MAX),
            keys_include=values.optional(options.KEYS_INCLUDE),
            keys_exclude=values.optional(options.KEYS_EXCLUDE),
            keys_counts_only=values.of(options.KEYS_COUNTS_ONLY),
            thresholds=thresholds,
            policies=policies,
        )

    def _thresholds(self, entry: Entry) -> list[Threshold]:
        thresholds = []
        for each in entry.thresholds:
            values = Values(THRESHOLD_OPTIONS, each.options, self.problems)
            threshold = Threshold(
                keys=values.optional(options.THRESHOLD_KEYS) or ANY_TEXT,
                low_quota_usd=values.optional(options.THRESHOLD_LOW_QUOTA_USD),
                expiry_warning=values.optional(options.THRESHOLD_EXPIRY_WARNING),
                daily_budget_usd=values.optional(options.THRESHOLD_DAILY_BUDGET_USD),
                monthly_budget_usd=values.optional(options.THRESHOLD_MONTHLY_BUDGET_USD),
            )
            thresholds.append(threshold)
        self._check_order(entry, thresholds)
        return thresholds

    def _check_order(self, entry: Entry, thresholds: Sequence[Threshold]) -> None:
        """Warn of a threshold for every key that stands before others."""
        for written, threshold in zip(entry.thresholds[:-1], thresholds, strict=False):
            if threshold.keys.text in EVERY_KEY:
                self._warnings.append(Problem(written.source, HIDES_OTHERS))
                return

    def _together(self, thresholds: Sequence[Threshold]) -> Thresholds:
        try:
            return Thresholds(thresholds)
        except ValueError as error:
            self._complain(options.CONFIG_FILE.source, f"the expressions of thresholds: {error}")
            return NO_THRESHOLDS

    def _policies(self, entry: Entry) -> list[Policy]:
        return [self._policy(each) for each in entry.policies]

    def _policy(self, entry: PolicyEntry) -> Policy:
        found_before = len(self.problems)
        values = Values(POLICY_OPTIONS, entry.options, self.problems)
        policy = Policy(
            keys=values.optional(options.POLICY_KEYS) or ANY_TEXT,
            max_lifetime=values.optional(options.POLICY_MAX_LIFETIME),
            limited_quota=values.optional(options.POLICY_LIMITED_QUOTA) or False,
            ip_allowlist=values.optional(options.POLICY_IP_ALLOWLIST) or False,
            model_limits=values.optional(options.POLICY_MODEL_LIMITS) or False,
            max_unused=values.optional(options.POLICY_MAX_UNUSED),
            name=values.optional(options.POLICY_NAME),
            groups=None if entry.groups is None else frozenset(entry.groups),
            line=entry.line,
        )
        is_written_well = len(self.problems) == found_before and not self._has_problem(entry)
        if is_written_well and not policy.kinds:
            kinds = ", ".join(PolicyKind)
            self._complain(entry.source, f"requires nothing: set at least one of {kinds}")
        return policy

    def _has_problem(self, entry: PolicyEntry) -> bool:
        """Whether the shape of *entry* was complained about."""
        return any(problem.source.startswith(f"{entry.source}.") for problem in self.problems)

    def _policies_together(self, policies: Sequence[Policy]) -> Policies:
        try:
            return Policies(policies)
        except ValueError as error:
            self._complain(options.CONFIG_FILE.source, f"the expressions of policies: {error}")
            return NO_POLICIES

    def _token(self, entry: Entry, raw_values: RawValues, path: Path | None) -> TokenSource:
        """Return where the account's token comes from, after reading it once.

        *path* is that of its file, None if there is none or its text means nothing.
        """
        file = raw_values.get("access_token_file")
        variable = raw_values.get("access_token_env")
        if file is not None and variable is not None:
            self._complain(file.source, f"conflicts with {variable.source}: set only one of them")
            return NO_TOKEN
        if file is not None:
            return self._token_file(entry, file, path)
        if variable is not None:
            return self._token_variable(variable)
        if not entry.names_a_token:
            self._complain(entry.token_place, MISSING)
        return NO_TOKEN

    def _token_file(self, entry: Entry, raw: RawValue, path: Path | None) -> TokenSource:
        if path is None:
            return NO_TOKEN
        file = TokenFile(path, shown_path(path, raw.text))
        self._check_file(entry, raw, file)
        return file

    def _check_file(
        self, entry: Entry, setting: RawValue | Parsed[Path], file: _AccountFile
    ) -> None:
        """Read a file of one account once, and complain if it cannot be used.

        One that is missing or may not be read is remembered: whether it stops the start depends on
        the other accounts.
        """
        if is_accessible(file.path):
            self._use(setting, file.read)
        else:
            self._lacking.append(_LackingFile(entry.name, setting, file))

    def _complain_of_lacking_files(self) -> None:
        """Complain about every file that is missing or may not be read.

        Not called while other accounts have theirs: one missing Secret must not stop those. The
        refreshes of its account fail then, and name the file, until it can be read.
        """
        for lacking in self._lacking:
            self._use(lacking.setting, lacking.file.read)

    def _token_variable(self, raw: RawValue) -> TokenSource:
        if raw.text not in self._environ:
            # Never quoted: a token may have been written here by mistake.
            self._complain(raw.source, "no environment variable of that name is set")
            return NO_TOKEN
        source = LiteralToken(Secret(self._environ[raw.text]), raw.text)
        self._use(raw, source.read)
        return source

    def _check_transport(self, values: Values) -> None:
        """Complain about a URL that would send the token in clear over a network."""
        url = values.parsed(options.BASE_URL)
        is_safe = url.value.startswith("https:") or is_loopback(url.value)
        if not is_safe and not values.of(options.ALLOW_INSECURE_HTTP):
            self._complain(url.source, INSECURE_HTTP)

    def _check_staleness(self, values: Values) -> None:
        interval = values.parsed(options.INTERVAL)
        stale_after = values.parsed(options.STALE_AFTER)
        if not (interval.is_valid and stale_after.is_valid):
            return
        if stale_after.value < 2 * interval.value:
            self._complain(
                stale_after.source,
                f"expected at least two intervals, got {stale_after.text}: data would disappear "
                f"after one failed refresh; the interval is {interval.text}, "
                f"from {interval.source}",
            )

    def _proxy(self, values: Values) -> Proxy | None:
        """Return the proxy that the variables name for the account's gateway, None for no proxy."""
        url = values.parsed(options.BASE_URL)
        # The caller fills in the URL of the demo, which is on this machine.
        if self._demo or not url.is_valid:
            return None
        variable = variable_for(url.value, self._environ)
        if variable is None:
            return None
        try:
            return parse_proxy(self._environ[variable], variable)
        except ValueError as error:
            self._complain(variable, str(error))
            return None

    def _headers_file(self, entry: Entry, values: Values) -> HeadersFile | None:
        """Return the account's file of headers, after reading it once."""
        path = values.optional(options.HEADERS_FILE)
        if path is None:
            return None
        setting = values.parsed(options.HEADERS_FILE)
        file = HeadersFile(path, shown_path(path, setting.text))
        self._check_file(entry, setting, file)
        return file

    def _ca_file(self, entry: Entry, values: Values) -> GivenFile | None:
        """Return the account's file of trusted certificates, after reading it once."""
        path = values.optional(options.CA_FILE)
        if path is None:
            return None
        setting = values.parsed(options.CA_FILE)
        file = GivenFile(path, shown_path(path, setting.text))
        self._check_file(entry, setting, file)
        return file

    def _check_system_store(self, values: Values) -> None:
        if values.optional(options.CA_FILE) is not None or self._demo:
            return
        if values.of(options.BASE_URL).startswith("https:"):
            chosen = self._environ.get("SSL_CERT_FILE", "")
            source = "SSL_CERT_FILE" if chosen else NO_CERTIFICATES
            self._use(RawValue(chosen, source), system_store(self._environ).check)

    def _check_demo(self) -> None:
        if self._demo and "config_file" in self._written:
            self._complain(
                options.CONFIG_FILE.source, "conflicts with --demo, which has its own accounts"
            )

    def _check_options_of_one_account(self, file: ConfigFile) -> None:
        """Complain about flags and variables that the configuration file leaves without effect."""
        if not self._has_file:
            return
        for key in ONLY_FOR_ONE_ACCOUNT:
            is_token_variable = key == "access_token_env"
            if key not in self._written or (is_token_variable and _may_use_variable(file)):
                continue
            field = FIELDS_OF_ONE_ACCOUNT.get(key, key)
            self._complain(
                self._written[key].source,
                f"conflicts with --config.file: unset it, or set {field} of the account there",
            )

    def _check_options_of_a_file(self, values: Values) -> None:
        """Complain about options that have no effect without a configuration file."""
        if self._has_file:
            return
        if values.of(options.AUTO_RELOAD_INTERVAL) != 0:
            self._complain(options.AUTO_RELOAD_INTERVAL.source, "requires --config.file")
        if values.of(options.SHARDS_TOTAL) != 1:
            self._complain(options.SHARDS_TOTAL.source, "requires --config.file")

    def _check_shard(self, values: Values) -> None:
        total = values.parsed(options.SHARDS_TOTAL)
        index = values.parsed(options.SHARDS_INDEX)
        if not (total.is_valid and index.is_valid):
            return
        if index.value >= total.value:
            self._complain(
                index.source,
                f"expected less than --shards.total, {total.value}, got {index.value}: "
                "indexes count from 0",
            )

    def _use(self, setting: RawValue | Parsed[Path], read: Callable[[], T]) -> T | None:
        """Return what *read* returns, or complain that the file of *setting* cannot be used."""
        try:
            return read()
        except YamlError as error:
            for problem in error.problems:
                self._complain(setting.source, problem)
        except OSError as error:
            shown = shown_path(Path(error.filename or setting.text), setting.text)
            self._complain(setting.source, f"cannot read {shown}: {error.strerror}")
        except ApiError as error:
            self._complain(setting.source, str(error))
        return None

    def _complain(self, source: str, text: str) -> None:
        self.problems.append(Problem(source, text))


def _with_target(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return *labels* with those that Prometheus gives to the bundled target.

    An empty one is none.
    """
    every = {**TARGET_LABELS, **(labels or {})}
    return {name: value for name, value in every.items() if value}


def _may_use_variable(file: ConfigFile) -> bool:
    """Whether an account of the file uses TOKEN_VARIABLE, or the file could not be read."""
    if not file.accounts:
        return True
    names = (entry.options.get("access_token_env") for entry in file.accounts)
    return any(name is not None and name.text == TOKEN_VARIABLE for name in names)

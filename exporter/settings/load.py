"""Turn what the user wrote into settings, or into everything that is wrong with it at once.

Talks to: the files that the settings name (tokens, certificates, accounts), so that what cannot be used is known early.
Knows no HTTP, no server, no clock. Every text carries where it was written; texts are merged as default < accounts file
< variable < flag < account, and parsed at the end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from exporter.credentials import LiteralToken, Secret, TokenFile, TokenSource
from exporter.errors import ApiError, SettingsError
from exporter.files import read_certificates
from exporter.filters import KeyFilter, Threshold, shard_of
from exporter.parsers import format_duration, is_safe_for_tokens
from exporter.server.listen import ListenAddress
from exporter.server.tls import WebConfigFile
from exporter.settings.config_file import AccountEntry, ConfigFile, read_config_file
from exporter.settings.options import BY_KEY, OPTIONS, THRESHOLD_OPTIONS, TOKEN_VARIABLE
from exporter.settings.texts import DEFAULTS, Flags, Given, Parsing, Texts, written
from exporter.strict_yaml import YamlError

FEWEST_INTERVALS = 2
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""What is quoted as a name: capitals only, since a token may have been written there by mistake."""
_OF_ONE_ACCOUNT = ("access_token_file", "user_id")
_MISSING = (
    "no access token: create one in the gateway's console under Personal Settings and set one of the two "
    "(or explore with --demo first)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account to monitor; durations in seconds. *quota_per_usd* None: as reported by the gateway."""

    name: str
    base_url: str
    token: TokenSource
    user_id: int | None
    quota_per_usd: float | None
    ca_file: Path | None
    interval: float
    timeout: float
    stale_after: float
    concurrency: int
    usage: str
    usage_max_series: int
    max_keys: int
    key_filter: KeyFilter
    counts_only: bool
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything one run needs to know; *accounts* are those of this shard."""

    accounts: tuple[Account, ...]
    config_file: Path | None
    auto_reload_interval: float
    shards_total: int
    shard_index: int
    max_requests_per_minute: int
    listen: tuple[ListenAddress, ...]
    probe_listen: ListenAddress | None
    telemetry_path: str
    has_status_page: bool
    has_lifecycle: bool
    web_config: WebConfigFile | None
    log_level: str
    log_format: str


def load_settings(flags: Flags, environ: Mapping[str, str], *, demo: bool = False) -> Settings:
    """Return the settings from *flags*, texts by option key, from the environment and from the accounts file.

    Call it again with the same arguments to reload the file. With *demo* there is one account without credentials, and
    the caller fills in where it is served. Raises SettingsError with every problem.
    """
    return _Loading(flags, environ, demo=demo).settings()


def _fields(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of *values* has a field of its name in *kind*."""
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


class _Loading(Parsing):
    """One reading of the settings; collects problems on the way."""

    def __init__(self, flags: Flags, environ: Mapping[str, str], *, demo: bool) -> None:
        super().__init__()
        self._environ = environ
        self._demo = demo
        self._written = written(flags, environ)
        self._has_file = not demo and "config_file" in self._written

    def settings(self) -> Settings:
        path = self.value("config_file", self._written)
        file = read_config_file(path) if path is not None and self._has_file else ConfigFile()
        texts = {**DEFAULTS, **file.options, **self._written}
        values = {option.key: self.value(option.key, texts) for option in OPTIONS}
        self.problems += file.problems
        entries = file.accounts if self._has_file else (self._only_account(),)
        self._check_together(values, entries)
        common = self._thresholds(file.thresholds)
        accounts = [self._account(entry, texts, common) for entry in entries]
        web_config = self._web_config(values["web_config_file"])
        if self.problems:
            raise SettingsError(self.problems)
        return Settings(
            accounts=tuple(
                account
                for account in accounts
                if account and shard_of(account.name, values["shards_total"]) == values["shards_index"]
            ),
            listen=values["listen_address"],
            probe_listen=values["probe_listen_address"],
            has_status_page=not values["no_status_page"],
            has_lifecycle=values["enable_lifecycle"],
            shard_index=values["shards_index"],
            web_config=web_config,
            **_fields(Settings, values),
        )

    def _only_account(self) -> AccountEntry:
        """Return the account of flags and variables, or the demo's."""
        if self._demo:
            return AccountEntry(name="demo", where="", options={"base_url": Given("http://127.0.0.1", "")})
        variable = Given(TOKEN_VARIABLE, TOKEN_VARIABLE) if self._environ.get(TOKEN_VARIABLE) else None
        where = f"{TOKEN_VARIABLE} or {BY_KEY['access_token_file'].where}"
        return AccountEntry(name="default", where=where, token_variable=variable)

    def _account(self, entry: AccountEntry, common: Texts, thresholds: tuple[Threshold, ...]) -> Account | None:
        ignored = (*_OF_ONE_ACCOUNT, "ca_file") if self._demo else _OF_ONE_ACCOUNT if self._has_file else ()
        texts = {**{key: given for key, given in common.items() if key not in ignored}, **entry.options}
        values = {key: self.value(key, texts) for key in BY_KEY}
        self._check_account(entry.name, values, texts)
        token = self._token(entry, texts)
        if token is None:
            return None
        return Account(
            name=entry.name,
            token=token,
            max_keys=values["keys_max"],
            key_filter=KeyFilter(include=values["keys_include"], exclude=values["keys_exclude"]),
            counts_only=values["keys_counts_only"],
            thresholds=(*self._thresholds(entry.thresholds), *thresholds),
            **_fields(Account, values),
        )

    def _thresholds(self, entries: tuple[Texts, ...]) -> tuple[Threshold, ...]:
        return tuple(
            Threshold(**{row.key: self.parse(row, texts[row.key]) for row in THRESHOLD_OPTIONS if row.key in texts})
            for texts in entries
        )

    def _token(self, entry: AccountEntry, texts: Texts) -> TokenSource | None:
        file, variable = texts.get("access_token_file"), entry.token_variable
        if self._demo:
            return LiteralToken(Secret("demo"), "the demo")
        if file is not None and variable is not None:
            self.complain(file.where, f"set together with {variable.where}: keep one of the two")
        elif file is not None:
            path = self.value("access_token_file", texts)
            return None if path is None else self._checked_token(file.where, TokenFile(path))
        elif variable is None:
            self.complain(entry.where, "set access_token_file or access_token_env" if self._has_file else _MISSING)
        elif variable.text.isascii() and variable.text.isidentifier() and variable.text in self._environ:
            secret = Secret(self._environ[variable.text])
            return self._checked_token(variable.where, LiteralToken(secret, variable.text))
        else:
            named = f"the variable {variable.text} is not set" if _VARIABLE.fullmatch(variable.text) else ""
            self.complain(variable.where, named or "no environment variable of that name is set")
        return None

    def _checked_token(self, where: str, source: TokenSource) -> TokenSource:
        try:
            source.read()
        except ApiError as error:
            self.complain(where, str(error))
        return source

    def _check_account(self, name: str, values: Mapping[str, Any], texts: Texts) -> None:
        if not is_safe_for_tokens(values["base_url"]) and not values["allow_insecure_http"]:
            self.complain(
                texts["base_url"].where,
                "plain HTTP to a non-loopback host would expose the token on the network: use https, or allow it with "
                "--cometapi.allow-insecure-http (allow_insecure_http: true in the file)",
            )
        if values["stale_after"] < FEWEST_INTERVALS * values["interval"]:
            self.complain(
                texts["stale_after"].where,
                f"expected at least two intervals of account {name}, "
                f"{format_duration(FEWEST_INTERVALS * values['interval'])}, got "
                f"{format_duration(values['stale_after'])}: data would disappear after one failed refresh",
            )
        if values["ca_file"] is not None:
            try:
                read_certificates(values["ca_file"])
            except OSError as error:
                self.complain(texts["ca_file"].where, f"cannot read {values['ca_file']}: {error.strerror}")

    def _check_together(self, values: Mapping[str, Any], entries: Sequence[AccountEntry]) -> None:
        """Complain about what would be ignored silently, and about a shard that does not exist."""
        if self._demo and "config_file" in self._written:
            self.complain(BY_KEY["config_file"].where, "set together with --demo, which has its own account")
        if self._has_file:
            self._check_with_file(entries)
        else:
            for key, without in (("auto_reload_interval", 0), ("shards_total", 1)):
                if values[key] != without:
                    self.complain(BY_KEY[key].where, "requires --config.file")
        if values["shards_index"] >= values["shards_total"]:
            self.complain(
                BY_KEY["shards_index"].where,
                f"expected less than --shards.total, {values['shards_total']}, got {values['shards_index']}: "
                "indexes count from 0",
            )

    def _check_with_file(self, entries: Sequence[AccountEntry]) -> None:
        for key in _OF_ONE_ACCOUNT:
            if key in self._written:
                self.complain(BY_KEY[key].where, f"set together with --config.file: set {key} of the account there")
        used = {entry.token_variable.text for entry in entries if entry.token_variable is not None}
        if self._environ.get(TOKEN_VARIABLE) and TOKEN_VARIABLE not in used:
            self.complain(
                TOKEN_VARIABLE,
                "set together with --config.file, where no account uses it: unset it, or set "
                f"access_token_env: {TOKEN_VARIABLE} of the account there",
            )

    def _web_config(self, path: Path | None) -> WebConfigFile | None:
        """Load the web config, or complain about everything in it that cannot be served."""
        try:
            return None if path is None else WebConfigFile(path)
        except YamlError as error:
            for problem in error.problems:
                self.complain(BY_KEY["web_config_file"].where, problem)
            return None

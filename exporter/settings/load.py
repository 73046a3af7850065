"""Turn what the user wrote into settings, or into everything that is wrong with it at once.

Talks to: the files that the settings name (tokens, certificates, accounts), so that what cannot be
used is known early. Knows no HTTP, no server, no clock. Every text carries where it was written;
texts are merged as default < accounts file < variable < flag < account, and parsed at the end.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from exporter.credentials import LiteralToken, Secret, TokenFile, TokenSource
from exporter.errors import ApiError, SettingsError
from exporter.files import read_certificates
from exporter.filters import Threshold, shard_of
from exporter.parsers import is_loopback
from exporter.server.listen import ListenAddress
from exporter.server.tls import WebConfigFile
from exporter.settings.config_file import Entry, read_config_file
from exporter.settings.options import (
    BY_KEY,
    DEFAULTS,
    OPTIONS,
    THRESHOLD_OPTIONS,
    TOKEN_VARIABLE,
    Given,
    Option,
    Texts,
)
from exporter.strict_yaml import YamlError

T = TypeVar("T")

ACCOUNT_OPTIONS = tuple(
    option for option in OPTIONS if option.group in ("cometapi", "collect", "keys")
)
OF_ONE_ACCOUNT = ("access_token_file", "access_token_env", "user_id")
NOT_OF_THE_DEMO = ("access_token_file", "user_id", "base_url", "ca_file")
NO_TOKEN = LiteralToken(Secret(""), "")
"""Goes on in place of a token that was complained about."""
MISSING = (
    "no access token: create one in the gateway's console under Personal Settings and set one of the two "
    "(or explore with --demo first)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account to monitor: its options by their keys; durations in seconds, None where they are not set."""

    name: str
    token: TokenSource
    base_url: str
    user_id: int | None = None
    quota_per_usd: float | None = None
    ca_file: Path | None = None
    interval: float
    timeout: float
    stale_after: float
    concurrency: int
    usage: str
    usage_max_series: int
    keys_max: int
    keys_include: re.Pattern[str] | None = None
    keys_exclude: re.Pattern[str] | None = None
    keys_counts_only: bool
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything one run needs to know: options by their keys; *accounts* are those of this shard."""

    accounts: tuple[Account, ...]
    demo: bool
    config_file: Path | None = None
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
    log_level: str
    log_format: str


def load_settings(
    flags: Mapping[str, str | None], environ: Mapping[str, str], *, demo: bool = False
) -> Settings:
    """Return the settings from *flags*, texts by option key, from the environment and from the accounts file.

    Call it again with the same arguments to reload the file. With *demo* there is one account
    without credentials, and the caller fills in where it is served. Raises SettingsError with every
    problem.
    """
    loading = _Loading(flags, environ, demo=demo)
    settings = loading.settings()
    if loading.problems:
        raise SettingsError(
            tuple(dict.fromkeys(loading.problems))
        )  # accounts share texts: each is reported once
    return settings


def _written(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Texts:
    """Return what flags and variables set; a flag takes precedence, an empty variable counts as not set."""
    variables = {option.key: environ.get(option.variable) or None for option in OPTIONS}
    texts = variables | {key: text for key, text in flags.items() if text is not None}
    written = {
        key: Given(text, BY_KEY[key].where) for key, text in texts.items() if text is not None
    }
    token = (
        {"access_token_env": Given(TOKEN_VARIABLE, TOKEN_VARIABLE)}
        if environ.get(TOKEN_VARIABLE)
        else {}
    )
    return {**written, **token}


def _fields(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of *values* has a field of its name in *kind*."""
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


class _Loading:
    """One reading of the settings: collects *problems* on the way, and goes on with what a text means by default."""

    def __init__(
        self, flags: Mapping[str, str | None], environ: Mapping[str, str], *, demo: bool
    ) -> None:
        self.problems: list[str] = []
        self._demo = demo
        self._environ = {**environ, TOKEN_VARIABLE: "demo"} if demo else dict(environ)
        self._written = _written(flags, self._environ)
        self._has_file = "config_file" in self._written and not demo

    def settings(self) -> Settings:
        common, entries = self._entries()
        texts = {**DEFAULTS, **common.options}
        values = self._values(OPTIONS, {**texts, **self._written})
        self._check_together(values, entries)
        ignored = NOT_OF_THE_DEMO if self._demo else OF_ONE_ACCOUNT if self._has_file else ()
        texts |= {key: given for key, given in self._written.items() if key not in ignored}
        thresholds = self._thresholds(common)
        accounts = [self._account(entry, texts, thresholds) for entry in entries]
        if path := values.get("web_config_file"):
            values["web_config"] = self._use(
                BY_KEY["web_config_file"].where, lambda: WebConfigFile(path)
            )
        total, index = values["shards_total"], values["shards_index"]
        return Settings(
            accounts=tuple(
                account for account in accounts if shard_of(account.name, total) == index
            ),
            demo=self._demo,
            **_fields(Settings, values),
        )

    def _entries(self) -> tuple[Entry, list[Entry]]:
        """Return what the file says for all accounts, and the accounts: the file's, or that of flags and variables."""
        if not self._has_file:
            place = f"{TOKEN_VARIABLE} or {BY_KEY['access_token_file'].where}"
            return Entry(), [Entry(name="demo" if self._demo else "default", token_place=place)]
        path = self._values([BY_KEY["config_file"]], self._written).get("config_file")
        read = path and self._use(
            BY_KEY["config_file"].where, lambda: read_config_file(path, self.problems)
        )
        return read or (Entry(), [])

    def _account(self, entry: Entry, common: Texts, thresholds: tuple[Threshold, ...]) -> Account:
        texts = {**common, **entry.options}
        values = self._values(ACCOUNT_OPTIONS, texts)
        self._check_account(entry.name, values, texts)
        return Account(
            name=entry.name,
            token=self._token(entry, texts, values.get("access_token_file")),
            thresholds=(*self._thresholds(entry), *thresholds),
            **_fields(Account, values),
        )

    def _thresholds(self, entry: Entry) -> tuple[Threshold, ...]:
        return tuple(
            Threshold(**self._values(THRESHOLD_OPTIONS, texts)) for texts in entry.thresholds
        )

    def _token(self, entry: Entry, texts: Texts, path: Path | None) -> TokenSource:
        file, variable = texts.get("access_token_file"), texts.get("access_token_env")
        source: TokenSource = NO_TOKEN
        if file is not None and variable is not None:
            self._complain(file.where, f"set together with {variable.where}: keep one of the two")
        elif file is not None and path is not None:
            source = TokenFile(path)
            self._use(file.where, source.read)
        elif variable is not None and variable.text in self._environ:
            source = LiteralToken(Secret(self._environ[variable.text]), variable.text)
            self._use(variable.where, source.read)
        elif variable is not None:  # never quoted: a token may have been written there by mistake
            self._complain(variable.where, "no environment variable of that name is set")
        elif file is None:
            self._complain(entry.token_place, MISSING)
        return source

    def _check_account(self, name: str, values: Mapping[str, Any], texts: Texts) -> None:
        url = values["base_url"]
        if not (url.startswith("https:") or is_loopback(url) or values["allow_insecure_http"]):
            self._complain(
                texts["base_url"].where,
                "plain HTTP to a non-loopback host would expose the token on the network: use https, or allow it with "
                "--cometapi.allow-insecure-http (allow_insecure_http: true in the file)",
            )
        if values["stale_after"] < 2 * values["interval"] and not self._is_wrong(
            texts["interval"].where
        ):
            self._complain(
                texts["stale_after"].where,
                f"expected at least two intervals of {texts['interval'].text} for account {name}, got "
                f"{texts['stale_after'].text}: data would disappear after one failed refresh",
            )
        if ca_file := values.get("ca_file"):
            self._use(texts["ca_file"].where, lambda: read_certificates(ca_file))

    def _check_together(self, values: Mapping[str, Any], entries: Iterable[Entry]) -> None:
        """Complain about what would be ignored silently, and about a shard that does not exist."""
        if self._demo and "config_file" in self._written:
            self._complain(
                BY_KEY["config_file"].where, "set together with --demo, which has its own account"
            )
        tokens = {
            entry.options["access_token_env"].text
            for entry in entries
            if "access_token_env" in entry.options
        }
        for key in OF_ONE_ACCOUNT if self._has_file else ():
            if key in self._written and not (
                key == "access_token_env" and TOKEN_VARIABLE in tokens
            ):
                where = self._written[key].where
                self._complain(
                    where,
                    f"set together with --config.file: unset it, or set {key} of the account there",
                )
        for key, alone in (("auto_reload_interval", 0), ("shards_total", 1)):
            if values[key] != alone and not self._has_file:
                self._complain(BY_KEY[key].where, "requires --config.file")
        total, index = values["shards_total"], values["shards_index"]
        if index >= total and not self._is_wrong(BY_KEY["shards_total"].where):
            problem = (
                f"expected less than --shards.total, {total}, got {index}: indexes count from 0"
            )
            self._complain(BY_KEY["shards_index"].where, problem)

    def _values(self, options: Iterable[Option], texts: Texts) -> dict[str, Any]:
        """Return by key what the texts mean; complain about one that means nothing, and take the default for it."""
        values = {}
        for option in options:
            if given := texts.get(option.key):
                try:
                    value = option.parse(given.text)
                except ValueError as error:
                    self._complain(given.where, str(error))
                    value = option.default and option.parse(option.default)
                values[option.key] = given.folder / value if isinstance(value, Path) else value
        return values

    def _use(self, where: str, read: Callable[[], T]) -> T | None:
        """Return what *read* returns, or complain that the file written at *where* cannot be used."""
        try:
            return read()
        except YamlError as error:
            for problem in error.problems:
                self._complain(where, problem)
        except OSError as error:
            self._complain(where, f"cannot read {error.filename}: {error.strerror}")
        except ApiError as error:
            self._complain(where, str(error))
        return None

    def _is_wrong(self, where: str) -> bool:
        """Whether what is written at *where* means nothing, so that no other setting is to be held against it."""
        return any(problem.startswith(f"{where}: ") for problem in self.problems)

    def _complain(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")

"""Turn what the user wrote into settings, or into all that is wrong with it at once.

Talks to: the files that it is told of (the token file, the YAML file), to tell early what cannot be read. Knows nothing
that is at work: no HTTP, no server, no clock. Returns frozen values or raises one SettingsError with every problem.
"""

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.config_file import AccountEntry, ConfigFile, read_config_file
from exporter.credentials import LiteralToken, Secret, TokenFile, TokenSource
from exporter.errors import SettingsError, Unauthorized
from exporter.options import BY_KEY, OPTIONS, TOKEN_VARIABLE, Option
from exporter.parsers import format_duration, is_safe_for_tokens
from exporter.server.listen import ListenAddress
from exporter.server.tls import WebConfigFile
from exporter.strict_yaml import YamlError

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""What is quoted as a name: capitals alone, since a token may have been written there by mistake."""

Given = Mapping[str, str | Sequence[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account to watch; durations in seconds."""

    name: str
    base_url: str
    token: TokenSource
    user_id: int | None
    quota_per_usd: float
    ca_file: Path | None
    interval: float
    timeout: float
    stale_after: float
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run is told."""

    accounts: tuple[Account, ...]
    max_requests_per_minute: int
    listen: tuple[ListenAddress, ...]
    telemetry_path: str
    has_status_page: bool
    web_config_file: Path | None
    log_level: str
    log_format: str


def load_settings(given: Given, environ: Mapping[str, str], *, demo: bool = False) -> Settings:
    """Read the settings from *given*, the texts of flags and variables by option key, and the environment.

    With *demo* no credentials are asked for, and the caller fills in where the simulated account is served. Raises
    SettingsError with every problem there is.
    """
    return _Loading(given, environ).settings(demo=demo)


class _Loading:
    """One reading of the settings; gathers problems on the way."""

    def __init__(self, given: Given, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._given = {key: text for key, text in given.items() if text not in (None, (), [])}
        self._environ = environ
        self._read_file: ConfigFile | None = None

    def settings(self, *, demo: bool) -> Settings:
        values = {option.key: self._value(option) for option in OPTIONS}
        if demo:
            accounts = self._account_of_demo(values)
        elif values["config_file"] is not None:
            values |= self._collect_of_file(values)
            accounts = self._accounts_of_file(values)
        else:
            accounts = self._account_of_flags(values)
        web_config = self._checked_web_config(values["web_config_file"])
        if self.problems:
            raise SettingsError(self.problems)
        return Settings(
            accounts=tuple(account for account in accounts if account is not None),
            max_requests_per_minute=values["max_requests_per_minute"],
            listen=tuple(values["listen_address"]),
            telemetry_path=values["telemetry_path"],
            has_status_page=not values["no_status_page"],
            web_config_file=web_config,
            log_level=values["log_level"],
            log_format=values["log_format"],
        )

    def _checked_web_config(self, text: str | None) -> Path | None:
        """Complain of everything in the web config that cannot be served, so that it is known at the start."""
        if text is None:
            return None
        try:
            WebConfigFile(Path(text))
        except YamlError as error:
            for problem in error.problems:
                self._complain(BY_KEY["web_config_file"].where, problem)
        return Path(text)

    def _complain(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")

    def _value(self, option: Option) -> Any:  # noqa: ANN401 - each option has a type of its own
        """Return the option's value, its default's, or None."""
        text = self._given.get(option.key, self._unread_switch(option) or option.default)
        if text is None:
            return None
        if option.repeatable:
            texts = [text] if isinstance(text, str) else list(text)
            parts = [part.strip() for each in texts for part in each.split(",") if part.strip()]
            return [self._parse(option, option.where, part) for part in parts or [option.default or ""]]
        return self._parse(option, option.where, str(text))

    def _unread_switch(self, option: Option) -> str | None:
        """Return a switch's variable, which the command line ignores where it is neither yes nor no."""
        return self._environ.get(option.variable) if option.is_switch else None

    def _parse(self, option: Option, where: str, text: str) -> Any:  # noqa: ANN401 - likewise
        """Return the value of *text*; complain and fall back to the default where it has none."""
        try:
            return option.parse(text)
        except ValueError as error:
            self._complain(where, str(error))
            return None if option.default is None else option.parse(option.default)

    def _token_of_flags(self, values: Mapping[str, Any]) -> TokenSource | None:
        literal, path = self._environ.get(TOKEN_VARIABLE) or None, values["access_token_file"]
        where = BY_KEY["access_token_file"].where
        if literal is not None and path is not None:
            self._complain(where, f"set together with {TOKEN_VARIABLE}: keep one of the two")
        elif path is not None:
            return self._checked(where, TokenFile(Path(path)))
        elif literal is not None:
            return self._checked(TOKEN_VARIABLE, LiteralToken(Secret(literal), TOKEN_VARIABLE))
        elif "access_token_file" not in self._given:
            self._complain(
                f"{TOKEN_VARIABLE} or {where}",
                "no access token: make one in the gateway's console under Personal Settings and set one of the two "
                "(or look around first with --demo)",
            )
        return None

    def _checked(self, where: str, source: TokenSource) -> TokenSource:
        """Complain where the token cannot be used, so that it is known at the start."""
        try:
            source.read()
        except Unauthorized as error:
            self._complain(where, str(error))
        return source

    def _account_of_flags(self, values: Mapping[str, Any]) -> tuple[Account | None, ...]:
        token = self._token_of_flags(values)
        return (self._account("default", values, token, BY_KEY["base_url"].where),)

    def _account_of_demo(self, values: Mapping[str, Any]) -> tuple[Account | None, ...]:
        """Return the simulated account, whose address and token are known only when its server runs."""
        if "config_file" in self._given:
            self._complain(BY_KEY["config_file"].where, "set together with --demo, which has an account of its own")
        own = {**values, "base_url": "http://127.0.0.1", "user_id": None, "ca_file": None}
        return (self._account("demo", own, LiteralToken(Secret("demo"), "the demo"), ""),)

    def _file(self, values: Mapping[str, Any]) -> ConfigFile:
        if self._read_file is None:
            self._read_file = read_config_file(Path(values["config_file"]), self._complain)
        return self._read_file

    def _collect_of_file(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the file's collect options for all accounts, but for those that a flag or a variable sets."""
        texts = self._file(values).collect
        return {
            key: self._parse(BY_KEY[key], f"{values['config_file']}: collect.{key}", text)
            for key, text in texts.items()
            if key not in self._given
        }

    def _accounts_of_file(self, values: Mapping[str, Any]) -> tuple[Account | None, ...]:
        for key in ("access_token_file", "user_id"):
            if key in self._given:
                self._complain(
                    BY_KEY[key].where, f"set together with --config.file: write {key} under its account there"
                )
        folder = Path(values["config_file"]).parent
        return tuple(self._account_of_entry(entry, values, folder) for entry in self._file(values).accounts)

    def _account_of_entry(self, entry: AccountEntry, values: Mapping[str, Any], folder: Path) -> Account | None:
        own = {key: self._parse(BY_KEY[key], f"{entry.where}.{key}", text) for key, text in entry.options.items()}
        if "ca_file" in own and own["ca_file"] is not None:
            own["ca_file"] = folder / own["ca_file"]
        token = self._token_of_entry(entry.where, entry.access_token_env, own.get("access_token_file"), folder)
        merged = {**values, "user_id": None, **own}
        return self._account(entry.name, merged, token, f"{entry.where}.base_url")

    def _token_of_entry(self, where: str, variable: str | None, file: str | None, folder: Path) -> TokenSource | None:
        if file is not None and variable is None:
            return self._checked(f"{where}.access_token_file", TokenFile(folder / file))
        if variable is not None and file is None:
            if variable.isascii() and variable.isidentifier() and variable in self._environ:
                secret = Secret(self._environ[variable])
                return self._checked(f"{where}.access_token_env", LiteralToken(secret, variable))
            known = _VARIABLE.fullmatch(variable) is not None
            what = f"the variable {variable} is not set" if known else "no variable of that name is set"
            self._complain(f"{where}.access_token_env", what)
        else:
            self._complain(where, "expected either access_token_file or access_token_env")
        return None

    def _account(
        self, name: str, values: Mapping[str, Any], token: TokenSource | None, where_url: str
    ) -> Account | None:
        if not is_safe_for_tokens(values["base_url"]) and not values["allow_insecure_http"]:
            self._complain(
                where_url,
                "plain http to another machine would show the token on the way: use https, or allow it with "
                "--cometapi.allow-insecure-http (allow_insecure_http: true in the file)",
            )
        if values["stale_after"] < values["interval"]:
            self._complain(
                BY_KEY["stale_after"].where,
                f"expected at least the interval of account {name}, {format_duration(values['interval'])}, "
                f"got {format_duration(values['stale_after'])}: the data would vanish between two refreshes",
            )
        ca_file = None if values["ca_file"] is None else self._checked_ca_file(Path(values["ca_file"]))
        if token is None:
            return None
        keys = ("base_url", "user_id", "quota_per_usd", "interval", "timeout", "stale_after", "concurrency")
        return Account(name=name, token=token, ca_file=ca_file, **{key: values[key] for key in keys})

    def _checked_ca_file(self, path: Path) -> Path:
        try:
            ssl.create_default_context(cafile=str(path))
        except OSError as error:
            what = "no certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            self._complain(BY_KEY["ca_file"].where, f"cannot read {path}: {what}")
        return path

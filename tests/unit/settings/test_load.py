"""What the user wrote becomes settings, or everything that is wrong with it at once."""

import re
from pathlib import Path

import pytest
import trustme
from builders import CANARY_TOKEN

from exporter.__main__ import command
from exporter.credentials import LiteralToken, Secret, TokenFile
from exporter.errors import SettingsError
from exporter.filters import KeyFilter, Threshold
from exporter.server.listen import ListenAddress
from exporter.settings.load import load_settings
from exporter.settings.options import MODES

TOKEN = {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN}


def load(*flags, demo=False, **environ):
    """Load as the program does: click reads the flags, `load_settings` judges them with the variables."""
    given = command().main(list(flags), standalone_mode=False)
    return load_settings({key: text for key, text in given.items() if key not in MODES}, environ, demo=demo)


def account(*flags, **environ):
    (only,) = load(*flags, **(TOKEN | environ)).accounts
    return only


def problems(*flags, demo=False, **environ):
    with pytest.raises(SettingsError) as caught:
        load(*flags, demo=demo, **environ)
    assert "CANARY" not in str(caught.value)
    return list(caught.value.problems)


def test_with_a_token_alone_everything_has_its_default():
    settings = load(**TOKEN)

    (only,) = settings.accounts
    assert only.token == LiteralToken(Secret(CANARY_TOKEN), "COMETAPI_ACCESS_TOKEN")
    assert (only.name, only.base_url, only.user_id) == ("default", "https://api.cometapi.com", None)
    assert (only.quota_per_usd, only.ca_file) == (None, None)
    assert (only.interval, only.timeout, only.stale_after, only.concurrency) == (60.0, 10.0, 3600.0, 4)
    assert settings.listen == (ListenAddress(host="", port=10144),)
    assert (settings.telemetry_path, settings.web_config) == ("/metrics", None)
    assert (settings.log_level, settings.log_format, settings.max_requests_per_minute) == ("info", "logfmt", 50)
    assert (only.max_keys, only.key_filter, only.counts_only, only.thresholds) == (100_000, KeyFilter(), False, ())
    assert (only.usage, only.usage_max_series) == ("model", 2000)
    assert (settings.config_file, settings.auto_reload_interval, settings.has_lifecycle) == (None, 0.0, False)
    assert (settings.shards_total, settings.shard_index, settings.probe_listen) == (1, 0, None)


def a_pattern(text):
    return re.compile(text, re.DOTALL)


OF_ACCOUNT = [
    ("--cometapi.base-url", "COMETAPI_BASE_URL", "https://gate.example/v1/", "base_url", "https://gate.example"),
    ("--cometapi.user-id", "COMETAPI_USER_ID", "17", "user_id", 17),
    ("--cometapi.quota-per-usd", "COMETAPI_QUOTA_PER_USD", "1000", "quota_per_usd", 1000.0),
    ("--collect.interval", "COMETAPI_EXPORTER_INTERVAL", "90s", "interval", 90.0),
    ("--collect.timeout", "COMETAPI_EXPORTER_TIMEOUT", "500ms", "timeout", 0.5),
    ("--collect.stale-after", "COMETAPI_EXPORTER_STALE_AFTER", "1h30m", "stale_after", 5400.0),
    ("--collect.concurrency", "COMETAPI_EXPORTER_CONCURRENCY", "8", "concurrency", 8),
    ("--collect.usage", "COMETAPI_EXPORTER_USAGE", "Key-Model", "usage", "key-model"),
    ("--collect.usage-max-series", "COMETAPI_EXPORTER_USAGE_MAX_SERIES", "9", "usage_max_series", 9),
    ("--keys.max", "COMETAPI_EXPORTER_KEYS_MAX", "500", "max_keys", 500),
    ("--keys.include", "COMETAPI_EXPORTER_KEYS_INCLUDE", "a/.*", "key_filter", KeyFilter(include=a_pattern("a/.*"))),
    ("--keys.exclude", "COMETAPI_EXPORTER_KEYS_EXCLUDE", "b/.*", "key_filter", KeyFilter(exclude=a_pattern("b/.*"))),
]


@pytest.mark.parametrize(
    ("flag", "variable", "text", "attribute", "value"), OF_ACCOUNT, ids=[row[0] for row in OF_ACCOUNT]
)
def test_an_option_of_the_account_is_set_by_its_flag_or_its_variable(flag, variable, text, attribute, value):
    assert getattr(account(f"{flag}={text}"), attribute) == value
    assert getattr(account(**{variable: text}), attribute) == value


OF_PROCESS = [
    (
        "--collect.max-requests-per-minute",
        "COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE",
        "5",
        "max_requests_per_minute",
        5,
    ),
    ("--web.telemetry-path", "COMETAPI_EXPORTER_TELEMETRY_PATH", "/m", "telemetry_path", "/m"),
    (
        "--probe.listen-address",
        "COMETAPI_EXPORTER_PROBE_LISTEN_ADDRESS",
        ":9",
        "probe_listen",
        ListenAddress(host="", port=9),
    ),
    ("--log.level", "COMETAPI_EXPORTER_LOG_LEVEL", "DEBUG", "log_level", "debug"),
    ("--log.format", "COMETAPI_EXPORTER_LOG_FORMAT", "json", "log_format", "json"),
]


@pytest.mark.parametrize(
    ("flag", "variable", "text", "attribute", "value"), OF_PROCESS, ids=[row[0] for row in OF_PROCESS]
)
def test_an_option_of_the_process_is_set_by_its_flag_or_its_variable(flag, variable, text, attribute, value):
    assert getattr(load(f"{flag}={text}", **TOKEN), attribute) == value
    assert getattr(load(**TOKEN, **{variable: text}), attribute) == value


def test_switches_are_set_by_their_flag_or_their_variable():
    assert load("--keys.counts-only", **TOKEN).accounts[0].counts_only
    assert load(COMETAPI_EXPORTER_KEYS_COUNTS_ONLY="yes", **TOKEN).accounts[0].counts_only
    assert load("--web.enable-lifecycle", **TOKEN).has_lifecycle
    assert not load("--web.no-status-page", **TOKEN).has_status_page


def test_a_flag_wins_over_its_variable():
    assert account("--collect.interval=30s", COMETAPI_EXPORTER_INTERVAL="90s").interval == 30.0


def test_an_empty_variable_counts_as_not_set():
    assert account(COMETAPI_BASE_URL="", COMETAPI_EXPORTER_INTERVAL="").interval == 60.0


def test_an_empty_flag_is_wrong():
    assert problems("--collect.interval=", **TOKEN) == [
        "--collect.interval (COMETAPI_EXPORTER_INTERVAL): expected a duration such as 90s, 15m or 1h30m, got ''"
    ]


TWO = (ListenAddress(host="127.0.0.1", port=1), ListenAddress(host="::1", port=2))


def test_several_listen_addresses_by_repeating_the_flag_or_by_commas_in_the_variable():
    variable = "COMETAPI_EXPORTER_LISTEN_ADDRESS"

    assert load("--web.listen-address=127.0.0.1:1", "--web.listen-address=[::1]:2", **TOKEN).listen == TWO
    assert load(**TOKEN, **{variable: "127.0.0.1:1,[::1]:2"}).listen == TWO
    assert load(**TOKEN, **{variable: " 127.0.0.1:1 , [::1]:2, "}).listen == TWO


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_a_listen_address_that_names_none_is_wrong(text):
    assert len(problems(f"--web.listen-address={text}", **TOKEN)) == 1


def test_files_that_are_there_are_taken(tmp_path):
    (tmp_path / "ca.pem").write_bytes(trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes())
    (tmp_path / "web.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}")
    flags = [f"--cometapi.ca-file={tmp_path}/ca.pem", f"--web.config.file={tmp_path}/web.yml"]

    settings = load(*flags, **TOKEN)

    assert settings.web_config.config.headers == {"X-Frame-Options": "deny"}
    assert settings.accounts[0].ca_file == tmp_path / "ca.pem"


def test_files_that_cannot_be_used_are_reported(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    found = problems(f"--cometapi.ca-file={tmp_path}/ca.pem", f"--web.config.file={tmp_path}/nowhere.yml", **TOKEN)

    assert (
        found[0]
        == f"--cometapi.ca-file (COMETAPI_CA_FILE): cannot read {tmp_path}/ca.pem: no certificates in PEM format"
    )
    assert found[1].startswith("--web.config.file (COMETAPI_EXPORTER_WEB_CONFIG_FILE): ")
    assert len(found) == 2


def test_all_wrong_settings_are_reported_at_once_each_by_flag_and_variable_with_the_fix():
    found = problems(
        "--cometapi.base-url=api.cometapi.com",
        "--collect.interval=60",
        "--keys.include=(",
        "--shards.index=-1",
        "--web.listen-address=:99999",
        "--web.listen-address=nowhere",
        "--web.telemetry-path=metrics",
        "--log.format=xml",
        COMETAPI_USER_ID="me",
        COMETAPI_QUOTA_PER_USD="0",
        COMETAPI_EXPORTER_TIMEOUT="1ms",
        COMETAPI_EXPORTER_CONCURRENCY="65",
        COMETAPI_EXPORTER_LOG_LEVEL="loud",
        COMETAPI_ALLOW_INSECURE_HTTP="perhaps",
    )

    assert found == [
        "--cometapi.base-url (COMETAPI_BASE_URL): expected a URL such as https://api.cometapi.com",
        "--cometapi.user-id (COMETAPI_USER_ID): expected a whole number from 1 to 999999999, got 'me'",
        "--cometapi.quota-per-usd (COMETAPI_QUOTA_PER_USD): expected a number above 0, got '0'",
        "--cometapi.allow-insecure-http (COMETAPI_ALLOW_INSECURE_HTTP): expected true or false, got 'perhaps'",
        "--collect.interval (COMETAPI_EXPORTER_INTERVAL): expected a duration such as 90s, 15m or 1h30m, got '60'",
        "--collect.timeout (COMETAPI_EXPORTER_TIMEOUT): expected at least 100ms, got '1ms'",
        "--collect.concurrency (COMETAPI_EXPORTER_CONCURRENCY): expected at most 64 pages at a time, got 65",
        (
            "--keys.include (COMETAPI_EXPORTER_KEYS_INCLUDE): expected a regular expression, got '(': "
            "missing ), unterminated subpattern at position 0"
        ),
        "--shards.index (COMETAPI_EXPORTER_SHARDS_INDEX): expected a whole number from 0 to 999999999, got '-1'",
        (
            "--web.listen-address (COMETAPI_EXPORTER_LISTEN_ADDRESS): "
            'expected ":port", "host:port" or "[IPv6]:port" with a port from 0 to 65535, not \':99999\''
        ),
        (
            "--web.listen-address (COMETAPI_EXPORTER_LISTEN_ADDRESS): "
            'expected ":port", "host:port" or "[IPv6]:port" with a port from 0 to 65535, not \'nowhere\''
        ),
        "--web.telemetry-path (COMETAPI_EXPORTER_TELEMETRY_PATH): expected a path such as /metrics, got 'metrics'",
        "--log.level (COMETAPI_EXPORTER_LOG_LEVEL): expected one of debug, info, warning, error, got 'loud'",
        "--log.format (COMETAPI_EXPORTER_LOG_FORMAT): expected one of logfmt, json, got 'xml'",
        (
            "COMETAPI_ACCESS_TOKEN or --cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): no access token: "
            "create one in the gateway's console under Personal Settings and set one of the two "
            "(or explore with --demo first)"
        ),
    ]


def test_data_that_would_disappear_after_one_failed_refresh_is_wrong():
    assert account("--collect.interval=30m").stale_after == 3600.0
    (problem,) = problems("--collect.interval=31m", **TOKEN)

    assert problem == (
        "--collect.stale-after (COMETAPI_EXPORTER_STALE_AFTER): expected at least two intervals of account default, "
        "1h2m, got 1h: data would disappear after one failed refresh"
    )


@pytest.mark.parametrize(
    ("flag", "where"),
    [
        (
            "--config.auto-reload-interval=30s",
            "--config.auto-reload-interval (COMETAPI_EXPORTER_AUTO_RELOAD_INTERVAL)",
        ),
        ("--shards.total=2", "--shards.total (COMETAPI_EXPORTER_SHARDS_TOTAL)"),
    ],
)
def test_what_has_a_meaning_only_for_an_accounts_file_is_wrong_without_one(flag, where):
    assert problems(flag, **TOKEN) == [f"{where}: requires --config.file"]


class TestToken:
    """The token comes from the variable or from a file, and is never quoted."""

    def test_from_a_file(self, tmp_path):
        (tmp_path / "token").write_text(f"\ufeff{CANARY_TOKEN}\n")
        (only,) = load(f"--cometapi.access-token-file={tmp_path}/token").accounts

        assert only.token == TokenFile(tmp_path / "token")
        assert only.token.read().reveal() == CANARY_TOKEN

    def test_from_a_file_named_by_the_variable(self, tmp_path):
        (tmp_path / "token").write_text(CANARY_TOKEN)

        assert load(COMETAPI_ACCESS_TOKEN_FILE=f"{tmp_path}/token").accounts[0].token == TokenFile(tmp_path / "token")

    def test_from_both_is_wrong(self, tmp_path):
        (tmp_path / "token").write_text(CANARY_TOKEN)

        assert problems(f"--cometapi.access-token-file={tmp_path}/token", **TOKEN) == [
            (
                "--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): set together with COMETAPI_ACCESS_TOKEN: "
                "keep one of the two"
            )
        ]

    def test_an_api_key_in_its_place_is_reported_before_the_first_request(self):
        assert problems(COMETAPI_ACCESS_TOKEN="sk-CANARY") == [
            (
                "COMETAPI_ACCESS_TOKEN: the access token in COMETAPI_ACCESS_TOKEN starts with sk-: that looks like an "
                "API key; the exporter needs the account's personal access token"
            )
        ]

    def test_from_nowhere_is_wrong(self):
        assert "no access token" in problems()[0]

    def test_an_empty_variable_counts_as_unset(self, tmp_path):
        """As every other variable: compose files and units pass empty ones on."""
        (tmp_path / "token").write_text("CANARY")

        assert "no access token" in problems(COMETAPI_ACCESS_TOKEN="")[0]
        (only,) = load(f"--cometapi.access-token-file={tmp_path}/token", COMETAPI_ACCESS_TOKEN="").accounts
        assert only.token == TokenFile(tmp_path / "token")

    @pytest.mark.parametrize(
        "text",
        [" ", "CANARY token", "CANARY\ttoken", "CANARY\x1b", "CANARY\u200b", "\ufeff", "CANARY\r\nX-Evil: 1", "é"],
    )
    def test_that_cannot_be_sent_is_reported_and_not_quoted(self, text, tmp_path):
        (tmp_path / "token").write_text(text)
        (by_variable,) = problems(COMETAPI_ACCESS_TOKEN=text)
        (by_file,) = problems(f"--cometapi.access-token-file={tmp_path}/token")

        assert by_variable.startswith("COMETAPI_ACCESS_TOKEN: the access token in COMETAPI_ACCESS_TOKEN ")
        assert by_file.startswith(
            f"--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): the access token in the file {tmp_path}/token "
        )

    def test_in_a_file_that_is_missing(self, tmp_path):
        assert problems(f"--cometapi.access-token-file={tmp_path}/token") == [
            (
                "--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): "
                f"cannot read the access token in the file {tmp_path}/token: No such file or directory"
            )
        ]

    def test_is_in_no_repr_of_the_settings(self):
        assert "CANARY" not in repr(load(**TOKEN))


class TestPlainHttp:
    """The token is sent in clear to this machine alone, unless that is asked for."""

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
    def test_to_this_machine(self, host):
        assert account(f"--cometapi.base-url=http://{host}:3000").base_url == f"http://{host}:3000"

    def test_to_another_machine_is_refused(self):
        assert problems("--cometapi.base-url=http://gate.lan", **TOKEN) == [
            (
                "--cometapi.base-url (COMETAPI_BASE_URL): plain HTTP to a non-loopback host would expose the token on "
                "the network: use https, or allow it with --cometapi.allow-insecure-http "
                "(allow_insecure_http: true in the file)"
            )
        ]

    @pytest.mark.parametrize(
        ("flags", "environ"),
        [
            (["--cometapi.allow-insecure-http"], {}),
            ([], {"COMETAPI_ALLOW_INSECURE_HTTP": "true"}),
            ([], {"COMETAPI_ALLOW_INSECURE_HTTP": "1"}),
            (["--cometapi.allow-insecure-http"], {"COMETAPI_ALLOW_INSECURE_HTTP": "false"}),
        ],
    )
    def test_to_another_machine_where_it_is_allowed(self, flags, environ):
        assert account("--cometapi.base-url=http://gate.lan", *flags, **environ).base_url == "http://gate.lan"

    @pytest.mark.parametrize("word", ["false", "0", "no"])
    def test_a_variable_that_says_no_allows_nothing(self, word):
        assert len(problems("--cometapi.base-url=http://gate.lan", COMETAPI_ALLOW_INSECURE_HTTP=word, **TOKEN)) == 1


class TestDemo:
    """The demo needs no credentials and takes no accounts."""

    def test_without_a_token(self):
        (only,) = load("--collect.interval=5s", demo=True).accounts

        assert (only.name, only.interval) == ("demo", 5.0)

    def test_a_token_in_the_environment_is_not_used(self):
        assert "CANARY" not in load(demo=True, **TOKEN).accounts[0].token.read().reveal()

    def test_together_with_a_config_file_is_wrong(self, tmp_path):
        assert problems(f"--config.file={tmp_path}/x.yml", demo=True) == [
            "--config.file (COMETAPI_EXPORTER_CONFIG_FILE): set together with --demo, which has its own account"
        ]

    def test_other_wrong_settings_are_still_reported(self):
        assert len(problems("--collect.interval=x", "--log.level=x", demo=True)) == 2


class TestConfigFile:
    """Several accounts, each with its own options."""

    @pytest.fixture
    def write(self, tmp_path):
        """Write the file with *accounts* beside two tokens, and return its flag."""

        def write(text):
            (tmp_path / "etc").mkdir(exist_ok=True)
            (tmp_path / "etc/token").write_text(CANARY_TOKEN)
            (tmp_path / "etc/accounts.yml").write_text(text)
            return f"--config.file={tmp_path}/etc/accounts.yml"

        return write

    def test_several_accounts(self, write, tmp_path):
        flag = write("""
accounts:
  - {name: work, access_token_file: token}
  - {name: home, access_token_env: HOME_TOKEN, base_url: "http://gate.lan/v1", allow_insecure_http: true, user_id: 7}
""")
        work, home = load(flag, HOME_TOKEN="abc").accounts

        assert (work.name, work.base_url, work.user_id) == ("work", "https://api.cometapi.com", None)
        assert work.token == TokenFile(tmp_path / "etc/token")
        assert (home.name, home.base_url, home.user_id) == ("home", "http://gate.lan", 7)
        assert home.token == LiteralToken(Secret("abc"), "HOME_TOKEN")

    def test_an_absolute_token_file_stays_where_it_is(self, write, tmp_path):
        (tmp_path / "elsewhere").write_text("abc")
        flag = write(f"accounts: [{{name: a, access_token_file: {tmp_path}/elsewhere}}]")

        assert load(flag).accounts[0].token == TokenFile(tmp_path / "elsewhere")

    def test_relative_files_are_looked_for_beside_their_mention(self, write, tmp_path, monkeypatch):
        """Those in the file beside the file, that of a flag where the program was started."""
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes()
        flag = write(
            "accounts: [{name: a, access_token_file: token, ca_file: own.pem}, {name: b, access_token_file: token}]"
        )
        (tmp_path / "etc/own.pem").write_bytes(authority)
        (tmp_path / "flag.pem").write_bytes(authority)
        monkeypatch.chdir(tmp_path)

        own, by_flag = load(flag, "--cometapi.ca-file=flag.pem").accounts

        assert (own.ca_file, by_flag.ca_file) == (tmp_path / "etc/own.pem", Path("flag.pem"))

    def test_the_nearest_word_wins(self, write):
        """The account's own, then flag or variable, then the file's for all, then the default."""
        flag = write("""
collect: {interval: 50s, timeout: 5s, concurrency: 5, max_requests_per_minute: 55}
accounts:
  - {name: own, access_token_file: token, collect: {interval: 20s, timeout: 2s}}
  - {name: common, access_token_file: token}
""")
        settings = load(flag, "--collect.interval=30s", COMETAPI_EXPORTER_CONCURRENCY="3")
        own, common = settings.accounts

        assert (own.interval, own.timeout, own.concurrency, own.stale_after) == (20.0, 2.0, 3, 3600.0)
        assert (common.interval, common.timeout, common.concurrency) == (30.0, 5.0, 3)
        assert settings.max_requests_per_minute == 55
        assert load(flag, "--collect.max-requests-per-minute=9").max_requests_per_minute == 9

    def test_an_address_for_all_may_come_from_the_flag(self, write):
        flag = write("accounts: [{name: a, access_token_file: token}]")

        assert load(flag, "--cometapi.base-url=https://gate.example").accounts[0].base_url == "https://gate.example"

    def test_a_token_or_a_user_id_for_all_is_wrong(self, write, tmp_path):
        flag = write("accounts: [{name: a, access_token_file: token}]")
        found = problems(flag, "--cometapi.user-id=7", f"--cometapi.access-token-file={tmp_path}/etc/token")

        assert found == [
            (
                "--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): set together with --config.file: "
                "set access_token_file of the account there"
            ),
            (
                "--cometapi.user-id (COMETAPI_USER_ID): set together with --config.file: "
                "set user_id of the account there"
            ),
        ]

    @pytest.mark.parametrize(
        ("account", "problem"),
        [
            ("", ": set access_token_file or access_token_env"),
            (
                "access_token_file: token, access_token_env: T",
                ".access_token_file: set together with ",
            ),
            ("access_token_env: NOT_SET", ".access_token_env: the variable NOT_SET is not set"),
            (f"access_token_env: {CANARY_TOKEN}", ".access_token_env: no environment variable of that name is set"),
            ("access_token_env: a=b", ".access_token_env: no environment variable of that name is set"),
            ("access_token_env: BAD", ".access_token_env: the access token in BAD contains spaces"),
            ("access_token_file: none", ".access_token_file: cannot read the access token in the file"),
            ('access_token_file: "a\\0b"', ".access_token_file: expected printable text"),
            ("access_token_file: token, ca_file: none", ".ca_file: cannot read "),
            ("access_token_file: token, keys: {exclude: '('}", ".keys.exclude: expected a regular expression, got '('"),
            (
                "access_token_file: token, thresholds: [{keys: a}, {expiry_warning: soon}]",
                ".thresholds[1].expiry_warning: expected a duration such as",
            ),
            ("access_token_file: token, user_id: x", ".user_id: expected a whole number from 1 to 999999999, got 'x'"),
            ("access_token_file: token, base_url: http://x", ".base_url: plain HTTP to a non-loopback host"),
            ("access_token_file: token, base_url: x", ".base_url: expected a URL such as"),
            ("access_token_file: token, collect: {timeout: 5}", ".collect.timeout: expected a duration such as"),
        ],
    )
    def test_what_is_wrong_with_an_account_is_named_by_its_path(self, write, tmp_path, account, problem):
        flag = write(f"accounts: [{{name: a, {account}}}]")
        found = problems(flag, BAD="CANARY token")

        assert found[0].startswith(f"{tmp_path}/etc/accounts.yml: accounts[0]{problem}")

    def test_what_is_wrong_with_the_files_shape_is_reported_with_the_rest(self, write, tmp_path):
        flag = write("accounts: [{name: a, access_token_file: token, intervall: 1s}]\ncollect: {timeout: x}")
        found = problems(flag, "--log.level=x")

        assert {problem.partition(": expected")[0].replace(str(tmp_path), "") for problem in found} == {
            "--log.level (COMETAPI_EXPORTER_LOG_LEVEL)",
            "/etc/accounts.yml: collect.timeout",
            "/etc/accounts.yml: accounts[0].intervall: unknown key; did you mean interval?",
        }

    def test_a_file_that_is_missing_is_reported_once(self, tmp_path):
        assert problems(f"--config.file={tmp_path}/none.yml") == [
            f"{tmp_path}/none.yml: cannot read the file: No such file or directory"
        ]

    def test_the_variable_names_the_file_too(self, write, tmp_path):
        write("accounts: [{name: a, access_token_file: token}]")

        assert load(COMETAPI_EXPORTER_CONFIG_FILE=f"{tmp_path}/etc/accounts.yml").accounts[0].name == "a"

    def test_a_token_variable_that_no_account_uses_is_wrong(self, write):
        """It would be ignored without a word."""
        flag = write("accounts: [{name: a, access_token_file: token}]")

        assert problems(flag, **TOKEN) == [
            (
                "COMETAPI_ACCESS_TOKEN: set together with --config.file, where no account uses it: unset it, or set "
                "access_token_env: COMETAPI_ACCESS_TOKEN of the account there"
            )
        ]

    def test_the_token_variable_may_be_the_one_of_an_account(self, write):
        flag = write("accounts: [{name: a, access_token_env: COMETAPI_ACCESS_TOKEN}]")

        assert load(flag, **TOKEN).accounts[0].token.read() == Secret(CANARY_TOKEN)

    def test_a_wrong_flag_is_reported_once_however_many_accounts_there_are(self, write):
        flag = write("accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token}]")

        assert len(problems(flag, "--collect.interval=soon")) == 1

    def test_loading_again_sees_what_has_changed_in_the_file(self, write):
        flags = {"config_file": write("accounts: [{name: a, access_token_file: token}]").partition("=")[2]}
        before = load_settings(flags, {})
        write("accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token, user_id: 7}]")
        after = load_settings(flags, {})

        assert after.accounts[:1] == before.accounts
        assert after.accounts[1].user_id == 7

    def test_keys_options_of_an_account_win_over_those_for_all(self, write):
        flag = write("""
keys: {max: 500, exclude: "sandbox/.*"}
accounts:
  - {name: own, access_token_file: token, keys: {max: 9, include: "web/.*", counts_only: true}}
  - {name: common, access_token_file: token}
""")
        own, common = load(flag).accounts

        assert (own.max_keys, own.counts_only) == (9, True)
        assert own.key_filter == KeyFilter(include=a_pattern("web/.*"), exclude=a_pattern("sandbox/.*"))
        assert (common.max_keys, common.counts_only) == (500, False)
        assert common.key_filter == KeyFilter(exclude=a_pattern("sandbox/.*"))

    def test_thresholds_of_an_account_come_before_those_for_all(self, write):
        flag = write("""
thresholds:
  - {keys: "production/.*", low_quota_usd: 50, expiry_warning: 30d}
  - {daily_budget_usd: 20}
accounts:
  - {name: own, access_token_file: token, thresholds: [{keys: "production/web", low_quota_usd: 5}]}
  - {name: common, access_token_file: token}
""")
        own, common = load(flag).accounts

        assert common.thresholds == (
            Threshold(keys=a_pattern("production/.*"), low_quota_usd=50.0, expiry_warning=30 * 86_400.0),
            Threshold(daily_budget_usd=20.0),
        )
        assert own.thresholds == (Threshold(keys=a_pattern("production/web"), low_quota_usd=5.0), *common.thresholds)

    def test_a_wrong_threshold_for_all_is_reported_once(self, write, tmp_path):
        flag = write(
            "thresholds: [{low_quota_usd: few}]\n"
            "accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token}]"
        )

        assert problems(flag) == [
            (
                f"{tmp_path}/etc/accounts.yml: thresholds[0].low_quota_usd: "
                "expected a number that is not negative, got 'few'"
            )
        ]

    def test_the_shards_together_read_every_account_once(self, write):
        accounts = ", ".join(f"{{name: account {n}, access_token_file: token}}" for n in range(20))
        flag = write(f"accounts: [{accounts}]")
        shards = [load(flag, "--shards.total=3", f"--shards.index={index}").accounts for index in range(3)]

        assert sorted(account.name for shard in shards for account in shard) == sorted(
            f"account {n}" for n in range(20)
        )
        assert all(shards)

    def test_a_shard_that_does_not_exist_is_wrong(self, write):
        flag = write("accounts: [{name: a, access_token_file: token}]")

        assert problems(flag, "--shards.total=3", COMETAPI_EXPORTER_SHARDS_INDEX="3") == [
            (
                "--shards.index (COMETAPI_EXPORTER_SHARDS_INDEX): expected less than --shards.total, 3, got 3: "
                "indexes count from 0"
            )
        ]

    def test_what_is_wrong_with_an_account_of_another_shard_is_reported_too(self, write):
        """Otherwise a file would be right for one shard and wrong for the next."""
        flag = write("accounts: [{name: a, access_token_file: none}]")
        counts = [len(problems(flag, "--shards.total=2", f"--shards.index={index}")) for index in (0, 1)]

        assert counts == [1, 1]

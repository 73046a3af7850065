"""What the user wrote becomes settings, or everything that is wrong with it at once."""

import os
from pathlib import Path

import pytest
import trustme
from builders import CANARY_TOKEN

from exporter import parsers
from exporter.cli import command
from exporter.cometapi.trust import GivenFile, SystemStore
from exporter.credentials import HeadersFile, LiteralToken, Secret, TokenFile
from exporter.errors import SettingsError
from exporter.files import identity
from exporter.policies import Policy
from exporter.server.listen import ListenAddress
from exporter.settings.config_file import read_config_file
from exporter.settings.load import Account, Settings, load_settings
from exporter.settings.options import BY_KEY, MODES
from exporter.thresholds import NO_THRESHOLDS, Threshold

TOKEN = {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN}


def load(*flags, demo=False, **environ):
    """Load as the program does: click reads the flags, `load_settings` judges them with the variables."""
    given = command().main(list(flags), standalone_mode=False)
    return load_settings(
        {key: text for key, text in given.items() if key not in MODES}, environ, demo=demo
    )


def account(*flags, **environ):
    (only,) = load(*flags, **(TOKEN | environ)).accounts
    return only


def problems(*flags, demo=False, **environ):
    with pytest.raises(SettingsError) as caught:
        load(*flags, demo=demo, **environ)
    assert "CANARY" not in str(caught.value)
    return list(caught.value.problems)


def test_with_a_token_alone_everything_has_its_default():
    assert load(**TOKEN) == Settings(
        accounts=(
            Account(
                name="default",
                token=LiteralToken(Secret(CANARY_TOKEN), "COMETAPI_ACCESS_TOKEN"),
                base_url="https://api.cometapi.com",
                interval=60.0,
                timeout=10.0,
                stale_after=3600.0,
                concurrency=4,
                usage="model",
                usage_max_series=2000,
                keys_max=100_000,
                keys_counts_only=False,
                thresholds=NO_THRESHOLDS,
            ),
        ),
        demo=False,
        auto_reload_interval=0.0,
        shards_total=1,
        shards_index=0,
        max_requests_per_minute=50,
        listen_address=(ListenAddress(host="", port=10144),),
        telemetry_path="/metrics",
        no_status_page=False,
        enable_lifecycle=False,
        log_level="info",
        log_format="logfmt",
        output_format="text",
        backfill_label={"job": "cometapi-exporter", "instance": "127.0.0.1:10144"},
    )


EXAMPLES = [
    ("base_url", "https://gate.example/v1/", "https://gate.example"),
    ("user_id", "17", 17),
    ("quota_per_usd", "1000", 1000.0),
    ("interval", "90s", 90.0),
    ("timeout", "500ms", 0.5),
    ("stale_after", "1h30m", 5400.0),
    ("concurrency", "64", 64),
    ("usage", "Key-Model", "key-model"),
    ("usage_max_series", "9", 9),
    ("keys_max", "500", 500),
    ("keys_include", "a/.*", parsers.pattern("a/.*")),
    ("keys_exclude", "b/.*", parsers.pattern("b/.*")),
    ("keys_counts_only", "true", True),
    ("max_requests_per_minute", "5", 5),
    ("telemetry_path", "/m", "/m"),
    ("probe_listen_address", ":9", ListenAddress(host="", port=9)),
    ("enable_lifecycle", "true", True),
    ("no_status_page", "true", True),
    ("log_level", "WARN", "warning"),
    ("log_format", "json", "json"),
    ("output_format", "JSON", "json"),
]
TEXTS = {key: text for key, text, _ in EXAMPLES}


@pytest.mark.parametrize(("key", "text", "value"), EXAMPLES)
def test_an_option_is_set_by_its_flag_or_its_variable(key, text, value):
    option = BY_KEY[key]
    for settings in (
        load(f"{option.flag}={text}" if option.metavar else option.flag, **TOKEN),
        load(**TOKEN, **{option.variable: text}),
    ):
        assert getattr(settings.accounts[0], key, None) == value or getattr(settings, key) == value


def test_a_flag_wins_over_its_variable():
    assert account("--collect.interval=30s", COMETAPI_EXPORTER_INTERVAL="90s").interval == 30.0


def test_an_empty_variable_counts_as_not_set():
    assert account(COMETAPI_BASE_URL="", COMETAPI_EXPORTER_INTERVAL="").interval == 60.0


@pytest.mark.parametrize("text", [" ", "\r", "\n", "\t\x1f"])
def test_a_variable_of_white_space_counts_as_not_set(text):
    assert account(COMETAPI_EXPORTER_INTERVAL=text).interval == 60.0


@pytest.mark.parametrize("around", [" {} ", "{}\r", "\t{}\r\n", "\x1f{}\xa0"], ids=repr)
@pytest.mark.parametrize("key", TEXTS)
def test_white_space_around_a_value_means_nothing(key, around):
    """Editors and env files leave it where nobody sees it."""
    option, text = BY_KEY[key], TEXTS[key]
    plain = load(**TOKEN, **{option.variable: text})

    assert load(**TOKEN, **{option.variable: around.format(text)}) == plain
    if option.metavar:
        assert load(f"{option.flag}={around.format(text)}", **TOKEN) == plain


def test_white_space_around_a_value_of_the_configuration_file_means_nothing(tmp_path):
    (tmp_path / "token").write_text(CANARY_TOKEN)
    path = tmp_path / "a.yml"
    path.write_text(
        'accounts: [{name: " a ", access_token_file: "token\\r", interval: "90s \\r\\n"}]'
    )

    (only,) = load(f"--config.file={path}").accounts

    assert (only.name, only.token, only.interval) == ("a", TokenFile(tmp_path / "token"), 90.0)


def test_an_empty_flag_is_wrong():
    assert problems("--collect.interval=", **TOKEN) == [
        "--collect.interval (COMETAPI_EXPORTER_INTERVAL): expected a duration such as 90s, 15m or 1h30m, got ''"
    ]


TWO = (ListenAddress(host="127.0.0.1", port=1), ListenAddress(host="::1", port=2))


def test_several_listen_addresses_by_repeating_the_flag_or_by_commas_in_the_variable():
    variable = "COMETAPI_EXPORTER_LISTEN_ADDRESS"

    assert (
        load(
            "--web.listen-address=127.0.0.1:1", "--web.listen-address=[::1]:2", **TOKEN
        ).listen_address
        == TWO
    )
    assert load(**TOKEN, **{variable: "127.0.0.1:1,[::1]:2"}).listen_address == TWO
    assert load(**TOKEN, **{variable: " 127.0.0.1:1 , [::1]:2, "}).listen_address == TWO


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_a_listen_address_that_names_none_is_wrong(text):
    assert len(problems(f"--web.listen-address={text}", **TOKEN)) == 1


def test_files_that_are_there_are_taken(tmp_path):
    (tmp_path / "ca.pem").write_bytes(trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes())
    (tmp_path / "web.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}")
    flags = [f"--cometapi.ca-file={tmp_path}/ca.pem", f"--web.config.file={tmp_path}/web.yml"]

    settings = load(*flags, **TOKEN)

    assert settings.web_config.config.headers == {"X-Frame-Options": "deny"}
    assert settings.accounts[0].ca_file == GivenFile(tmp_path / "ca.pem")


def test_files_that_cannot_be_used_are_reported(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    paths = {"ca_file": f"{tmp_path}/ca.pem", "web_config_file": f"{tmp_path}/nowhere.yml"}

    assert problems(*(f"{BY_KEY[key].flag}={path}" for key, path in paths.items()), **TOKEN) == [
        f"{BY_KEY['ca_file'].source}: cannot read {tmp_path}/ca.pem: no certificates in PEM format",
        f"{BY_KEY['web_config_file'].source}: cannot read {tmp_path}/nowhere.yml: No such file or directory",
    ]


WRONG = {
    "base_url": ("api.cometapi.com", "expected a URL such as https://api.cometapi.com"),
    "auth_scheme": ("basic", "expected one of raw, bearer, got 'basic'"),
    "headers_file": (
        " ",
        "expected the path of a file, got none or characters that a path cannot contain",
    ),
    "user_id": ("me", "expected a whole number from 1 to 999999999, got 'me'"),
    "quota_per_usd": ("0", "expected a number from 0.001 to 1e+15, got '0'"),
    "ca_file": (
        " ",
        "expected the path of a file, got none or characters that a path cannot contain",
    ),
    "interval": ("60", "expected a duration such as 90s, 15m or 1h30m, got '60'"),
    "timeout": ("1ms", "expected at least 100ms, got '1ms'"),
    "concurrency": ("65", "expected a whole number from 1 to 64, got '65'"),
    "keys_include": (
        "a**",
        (
            "expected a regular expression of RE2: at character 2: two repetitions in a row: "
            "put the first in parentheses"
        ),
    ),
    "shards_total": ("1001", "expected a whole number from 1 to 1000, got '1001'"),
    "shards_index": ("-1", "expected a whole number from 0 to 999999999, got '-1'"),
    "listen_address": (
        ":1,nowhere",
        'expected ":port", "host:port" or "[IPv6]:port" with a port from 0 to 65535, not \'nowhere\'',
    ),
    "telemetry_path": (
        "metrics",
        "expected a path such as /metrics, but not /, /-/… or /api/…, got 'metrics'",
    ),
    "enable_lifecycle": ("perhaps", "expected true or false, got 'perhaps'"),
    "log_level": ("loud", "expected one of debug, info, warning, error, got 'loud'"),
    "log_format": ("xml", "expected one of logfmt, json, got 'xml'"),
    "output_format": ("xml", "expected one of text, json, sarif, got 'xml'"),
}


def test_all_wrong_settings_are_reported_at_once_each_by_flag_and_variable_with_the_fix():
    wrong = [(BY_KEY[key], *row) for key, row in WRONG.items()]
    flags = [f"{option.flag}={text}" for option, text, _ in wrong[:9]]
    variables = {option.variable: text for option, text, _ in wrong[9:]}

    assert problems(*flags, **variables) == [
        *(f"{option.flag} ({option.variable}): {problem}" for option, _, problem in wrong),
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
        "--collect.stale-after (COMETAPI_EXPORTER_STALE_AFTER): expected at least two intervals, "
        "got 1h: data would disappear after one failed refresh; the interval is 31m, from "
        "--collect.interval (COMETAPI_EXPORTER_INTERVAL)"
    )


@pytest.mark.parametrize(
    ("wrong", "other"),
    [
        ("--collect.interval=10", "--collect.stale-after=30s"),
        ("--shards.total=many", "--shards.index=1"),
    ],
)
def test_no_other_setting_is_held_against_a_wrong_one(wrong, other):
    (problem,) = problems(wrong, other, **TOKEN)

    assert problem.startswith(wrong.split("=")[0])


def test_a_file_that_would_be_looked_at_all_the_time_is_wrong():
    assert problems("--config.auto-reload-interval=10ms", **TOKEN) == [
        (
            "--config.auto-reload-interval (COMETAPI_EXPORTER_AUTO_RELOAD_INTERVAL): expected 0s or at least 1000ms, "
            "got '10ms'"
        )
    ]


@pytest.mark.parametrize("key", ["auto_reload_interval", "shards_total"])
def test_what_has_a_meaning_only_for_an_accounts_file_is_wrong_without_one(key):
    text = {"auto_reload_interval": "30s", "shards_total": "2"}[key]

    assert problems(f"{BY_KEY[key].flag}={text}", **TOKEN) == [
        f"{BY_KEY[key].source}: requires --config.file"
    ]


class TestToken:
    """The token comes from the variable or from a file, and is never quoted."""

    def test_from_a_file(self, tmp_path):
        (tmp_path / "token").write_text(CANARY_TOKEN)

        for settings in (
            load(f"--cometapi.access-token-file={tmp_path}/token"),
            load(COMETAPI_ACCESS_TOKEN_FILE=f"{tmp_path}/token", COMETAPI_ACCESS_TOKEN=""),
        ):
            assert settings.accounts[0].token == TokenFile(tmp_path / "token")

    def test_from_both_is_wrong(self, tmp_path):
        (tmp_path / "token").write_text(CANARY_TOKEN)

        assert problems(f"--cometapi.access-token-file={tmp_path}/token", **TOKEN) == [
            (
                "--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): conflicts with COMETAPI_ACCESS_TOKEN: "
                "set only one of them"
            )
        ]

    @pytest.mark.parametrize("text", [" ", "CANARY token", "CANARY\r\nX-Evil: 1", "sk-CANARY"])
    def test_that_cannot_be_sent_is_reported_and_not_quoted(self, text, tmp_path):
        (tmp_path / "token").write_text(text)
        (by_variable,) = problems(COMETAPI_ACCESS_TOKEN=text)
        (by_file,) = problems(f"--cometapi.access-token-file={tmp_path}/token")

        assert by_variable.startswith(
            "COMETAPI_ACCESS_TOKEN: the access token in COMETAPI_ACCESS_TOKEN "
        )
        assert by_file.startswith(
            f"--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE): the access token in the file {tmp_path}/token "
        )

    def test_is_in_no_repr_of_the_settings(self):
        assert "CANARY" not in repr(load(**TOKEN))


class TestPlainHttp:
    """The token is sent in clear to this machine alone, unless that is asked for."""

    def test_to_this_machine(self):
        assert account("--cometapi.base-url=http://[::1]:3000").base_url == "http://[::1]:3000"

    def test_to_another_machine_is_refused(self):
        assert problems("--cometapi.base-url=http://gate.lan", **TOKEN) == [
            (
                "--cometapi.base-url (COMETAPI_BASE_URL): plain HTTP to a non-loopback host would expose the token on "
                "the network: use https, or allow it with --cometapi.allow-insecure-http "
                "(allow_insecure_http: true in the file)"
            )
        ]

    def test_to_another_machine_where_it_is_allowed(self):
        flag = "--cometapi.allow-insecure-http"

        assert account(
            "--cometapi.base-url=http://gate.lan", flag, COMETAPI_ALLOW_INSECURE_HTTP="false"
        )


class TestDemo:
    """The demo needs no credentials and takes no accounts."""

    def test_without_a_token(self):
        (only,) = load("--collect.interval=5s", demo=True).accounts

        assert (only.name, only.interval) == ("demo", 5.0)

    def test_a_token_in_the_environment_or_a_file_is_not_used(self, tmp_path):
        settings = load(
            f"--cometapi.access-token-file={tmp_path}/none",
            "--cometapi.ca-file=none",
            demo=True,
            **TOKEN,
        )

        assert settings.accounts[0].token.read() == Secret("demo")

    def test_together_with_a_config_file_is_wrong(self, tmp_path):
        assert problems(f"--config.file={tmp_path}/x.yml", demo=True) == [
            "--config.file (COMETAPI_EXPORTER_CONFIG_FILE): conflicts with --demo, which has its own accounts"
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

        assert (work.name, work.base_url, work.user_id) == (
            "work",
            "https://api.cometapi.com",
            None,
        )
        assert work.token == TokenFile(tmp_path / "etc/token")
        assert (home.name, home.base_url, home.user_id) == ("home", "http://gate.lan", 7)
        assert home.token == LiteralToken(Secret("abc"), "HOME_TOKEN")

    def test_relative_files_are_looked_for_beside_their_mention(self, write, tmp_path, monkeypatch):
        """Those in the file beside the file, that of a flag where the program was started."""
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes()
        flag = write(
            "accounts: [{name: a, access_token_file: token, ca_file: own.pem}, "
            f"{{name: b, access_token_file: {tmp_path}/elsewhere}}]"
        )
        (tmp_path / "elsewhere").write_text("abc")
        (tmp_path / "etc/own.pem").write_bytes(authority)
        (tmp_path / "flag.pem").write_bytes(authority)
        monkeypatch.chdir(tmp_path)

        own, by_flag = load(flag, "--cometapi.ca-file=flag.pem").accounts

        assert own.ca_file == GivenFile(tmp_path / "etc/own.pem")
        assert by_flag.ca_file == GivenFile(Path("flag.pem"))
        assert by_flag.token == TokenFile(tmp_path / "elsewhere")

    def test_headers_and_the_scheme_before_the_token_are_each_account_s_own(self, write, tmp_path):
        flag = write(
            "accounts: [{name: a, access_token_file: token, headers_file: own, auth_scheme: bearer}, "
            "{name: b, access_token_file: token}]"
        )
        (tmp_path / "etc/own").write_text("X-Team: web\n")

        own, other = load(flag).accounts

        assert (own.headers_file, own.auth_scheme) == (HeadersFile(tmp_path / "etc/own"), "bearer")
        assert (other.headers_file, other.auth_scheme) == (None, "raw")

    def test_a_wrong_line_of_a_file_of_headers_is_known_at_the_start(self, write, tmp_path):
        flag = write("accounts: [{name: a, access_token_file: token, headers_file: own}]")
        (tmp_path / "etc/own").write_text("Host: CANARY\n")

        (problem,) = problems(flag)

        assert "headers_file" in problem
        assert problem.endswith("line 1 sets host, which the exporter sets itself: remove the line")

    def test_the_nearest_word_wins(self, write):
        """The account's own, then flag or variable, then the file's for all, then the default."""
        flag = write("""
collect: {interval: 50s, timeout: 5s, concurrency: 5, max_requests_per_minute: 55}
keys: {max: 500, exclude: "sandbox/.*"}
accounts:
  - {name: own, access_token_file: token, collect: {interval: 20s, timeout: 2s}, keys: {max: 9, counts_only: true}}
  - {name: common, access_token_file: token}
""")
        settings = load(flag, "--collect.interval=30s", COMETAPI_EXPORTER_CONCURRENCY="3")
        own, common = settings.accounts

        assert (own.interval, own.timeout, own.concurrency, own.stale_after) == (
            20.0,
            2.0,
            3,
            3600.0,
        )
        assert (common.interval, common.timeout, common.concurrency) == (30.0, 5.0, 3)
        assert (own.keys_max, own.keys_exclude, own.keys_counts_only) == (
            9,
            parsers.pattern("sandbox/.*"),
            True,
        )
        assert (common.keys_max, common.keys_counts_only) == (500, False)
        assert settings.max_requests_per_minute == 55
        assert load(flag, "--collect.max-requests-per-minute=9").max_requests_per_minute == 9

    def test_what_is_of_one_account_is_wrong_beside_the_file(self, write, tmp_path):
        """It would be ignored without a word."""
        flag = write("accounts: [{name: a, access_token_file: token}]")
        found = problems(
            flag,
            "--cometapi.user-id=7",
            f"--cometapi.access-token-file={tmp_path}/etc/token",
            **TOKEN,
        )

        assert found == [
            f"{where}: conflicts with --config.file: unset it, or set {key} of the account there"
            for where, key in (
                (BY_KEY["access_token_file"].source, "access_token_file"),
                ("COMETAPI_ACCESS_TOKEN", "access_token_env"),
                (BY_KEY["user_id"].source, "user_id"),
            )
        ]

    @pytest.mark.parametrize(
        ("account", "problem"),
        [
            ("", ".access_token_file or access_token_env: no access token: create one "),
            (
                "access_token_file: token, access_token_env: T",
                ".access_token_file: conflicts with ",
            ),
            (
                "access_token_env: NOT_SET",
                ".access_token_env: no environment variable of that name is set",
            ),
            (
                f"access_token_env: {CANARY_TOKEN}",
                ".access_token_env: no environment variable of that name is set",
            ),
            ("access_token_env: BAD", ".access_token_env: the access token in BAD contains spaces"),
            (
                "access_token_file: none",
                ".access_token_file: cannot read the access token in the file",
            ),
            ('access_token_file: "a\\0b"', ".access_token_file: expected printable text"),
            ("access_token_file: token, ca_file: none", ".ca_file: cannot read "),
            (
                "access_token_file: token, keys: {exclude: '('}",
                ".keys.exclude: expected a regular expression of RE2: a ( without its )",
            ),
            (
                "access_token_file: token, thresholds: [{keys: a}, {expiry_warning: soon}]",
                ".thresholds[1].expiry_warning: expected a duration such as",
            ),
            (
                "access_token_file: token, user_id: x",
                ".user_id: expected a whole number from 1 to 999999999, got 'x'",
            ),
            (
                "access_token_file: token, base_url: http://x",
                ".base_url: plain HTTP to a non-loopback host",
            ),
            ("access_token_file: token, base_url: x", ".base_url: expected a URL such as"),
            (
                "access_token_file: token, collect: {timeout: 5}",
                ".collect.timeout: expected a duration such as",
            ),
        ],
    )
    def test_what_is_wrong_with_an_account_is_named_by_its_path(
        self, write, tmp_path, account, problem
    ):
        flag = write(f"accounts: [{{name: a, {account}}}]")
        found = problems(flag, BAD="CANARY token")

        assert found[0].startswith(f"{tmp_path}/etc/accounts.yml: accounts[0]{problem}")

    def test_what_is_wrong_with_the_files_shape_is_reported_with_the_rest(self, write, tmp_path):
        flag = write(
            "accounts: [{name: a, access_token_file: token, intervall: 1s}]\ncollect: {timeout: x}"
        )
        found = problems(flag, "--log.level=x")

        assert {
            problem.partition(": expected")[0].replace(str(tmp_path), "") for problem in found
        } == {
            "--log.level (COMETAPI_EXPORTER_LOG_LEVEL)",
            "/etc/accounts.yml: collect.timeout",
            "/etc/accounts.yml: accounts[0].intervall: unknown field; did you mean interval?",
        }

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (None, "cannot read {}: No such file or directory"),
            (
                "accounts: [CANARY",
                "not valid YAML: line 1: a bracket that begins here does not end",
            ),
        ],
    )
    def test_a_file_that_cannot_be_read_is_reported_once(self, tmp_path, text, problem):
        path = tmp_path / "a.yml"
        if text is not None:
            path.write_text(text)

        (found,) = problems(f"--config.file={path}")

        assert found.endswith(problem.format(path))
        assert str(path) in found

    @pytest.mark.parametrize("text", [None, "[", "accounts: 7"])
    def test_a_token_variable_is_no_second_problem_of_a_file_that_cannot_be_used(
        self, tmp_path, text
    ):
        path = tmp_path / "a.yml"
        if text is not None:
            path.write_text(text)

        assert len(problems(f"--config.file={path}", **TOKEN)) == 1

    def test_a_token_written_into_the_file_is_one_problem(self, write):
        (problem,) = problems(write("accounts: [{name: a, access_token: CANARY}]"))

        assert "do not write the token into this file" in problem

    def test_data_that_would_disappear_in_all_accounts_is_one_problem(self, write):
        flag = write(
            "stale_after: 45s\n"
            "accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token}]"
        )
        (problem,) = problems(flag, "--collect.interval=30s")

        assert problem.endswith(
            "/etc/accounts.yml: stale_after: expected at least two intervals, got 45s: data would "
            "disappear after one failed refresh; the interval is 30s, from --collect.interval "
            "(COMETAPI_EXPORTER_INTERVAL)"
        )

    def test_the_variable_names_the_file_too(self, write, tmp_path):
        write("accounts: [{name: a, access_token_file: token}]")

        assert (
            load(COMETAPI_EXPORTER_CONFIG_FILE=f"{tmp_path}/etc/accounts.yml").accounts[0].name
            == "a"
        )

    def test_the_token_variable_may_be_the_one_of_an_account(self, write):
        flag = write("accounts: [{name: a, access_token_env: COMETAPI_ACCESS_TOKEN}]")

        assert load(flag, **TOKEN).accounts[0].token.read() == Secret(CANARY_TOKEN)

    def test_what_is_wrong_for_all_is_reported_once_however_many_accounts_there_are(
        self, write, tmp_path
    ):
        flag = write(
            "thresholds: [{low_quota_usd: few}]\n"
            "accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token}]"
        )

        assert [
            problem.partition(": expected")[0]
            for problem in problems(flag, "--collect.interval=soon")
        ] == [
            BY_KEY["interval"].source,
            f"{tmp_path}/etc/accounts.yml: thresholds[0].low_quota_usd",
        ]

    def test_loading_again_sees_what_has_changed_in_the_file(self, write):
        flags = {
            "config_file": write("accounts: [{name: a, access_token_file: token}]").partition("=")[
                2
            ]
        }
        before = load_settings(flags, {})
        write(
            "accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token, user_id: 7}]"
        )
        after = load_settings(flags, {})

        assert after.accounts[:1] == before.accounts
        assert after.accounts[1].user_id == 7

    def test_a_change_while_the_file_is_read_makes_it_another_file(
        self, write, tmp_path, monkeypatch
    ):
        """The look of the automatic reload that follows must see it."""
        text = "accounts: [{name: a, access_token_file: token}]"
        flag, path = write(text), tmp_path / "etc/accounts.yml"

        def read_and_change(*arguments):
            read = read_config_file(*arguments)
            path.write_text(f"{text} # changed")
            return read

        monkeypatch.setattr("exporter.settings.load.read_config_file", read_and_change)

        assert load(flag).config_identity != identity(path)

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

        assert common.thresholds.entries == (
            Threshold(
                keys=parsers.pattern("production/.*"),
                low_quota_usd=50.0,
                expiry_warning=30 * 86_400.0,
            ),
            Threshold(daily_budget_usd=20.0),
        )
        assert own.thresholds.entries == (
            Threshold(keys=parsers.pattern("production/web"), low_quota_usd=5.0),
            *common.thresholds.entries,
        )

    @pytest.mark.parametrize(
        ("thresholds", "place"),
        [
            ("{low_quota_usd: 5}, {keys: a/.*, low_quota_usd: 9}", 0),
            ("{keys: a/.*}, {keys: '.*/.*', low_quota_usd: 5}, {keys: b/.*}, {}", 1),
            ("{keys: '.*', low_quota_usd: 5}, {keys: a/.*}", 0),
        ],
    )
    def test_a_threshold_for_every_key_before_others_is_a_warning(
        self, write, tmp_path, thresholds, place
    ):
        accounts = f"accounts: [{{name: a, access_token_file: token, thresholds: [{thresholds}]}}]"
        (warning,) = load(write(accounts)).warnings

        assert warning.source == f"{tmp_path}/etc/accounts.yml: accounts[0].thresholds[{place}]"
        assert "matches every key" in warning.text

    def test_a_threshold_for_every_key_at_the_end_is_no_warning(self, write):
        flag = write("""
thresholds: [{keys: a/.*, low_quota_usd: 5}, {low_quota_usd: 9}]
accounts: [{name: a, access_token_file: token, thresholds: [{daily_budget_usd: 1}]}]
""")

        assert load(flag).warnings == ()

    def test_the_policies_of_an_account_add_to_those_for_all(self, write):
        flag = write("""
policies:
  - keys: "production/.*"
    max_lifetime: 90d
    limited_quota: true
    ip_allowlist: true
    model_limits: true
    max_unused: 30d
  - {name: "[a-z]+", groups: [production, ""]}
accounts:
  - {name: own, access_token_file: token, policies: [{max_unused: 7d}]}
  - {name: common, access_token_file: token}
""")
        own, common = load(flag).accounts

        assert common.policies.entries == (
            Policy(
                keys=parsers.pattern("production/.*"),
                max_lifetime=90 * 86_400.0,
                limited_quota=True,
                ip_allowlist=True,
                model_limits=True,
                max_unused=30 * 86_400.0,
            ),
            Policy(name=parsers.pattern("[a-z]+"), groups=frozenset({"production", ""})),
        )
        assert own.policies.entries == (Policy(max_unused=7 * 86_400.0), *common.policies.entries)
        lines = [policy.line for policy in own.policies.entries]
        assert lines == [11, 3, 9]

    @pytest.mark.parametrize(
        ("policy", "problem"),
        [
            ("{max_lifetime: soon}", "[0].max_lifetime: expected a duration such as"),
            ("{max_lifetime: 0s}", "[0].max_lifetime: expected at least"),
            ("{max_unused: -1d}", "[0].max_unused: expected a duration such as"),
            ("{limited_quota: maybe}", "[0].limited_quota: expected true or false"),
            ("{ip_allowlist: maybe}", "[0].ip_allowlist: expected true or false"),
            ("{model_limits: [gpt]}", "[0].model_limits: expected printable text"),
            ("{name: '('}", "[0].name: expected a regular expression of RE2"),
            ("{keys: '(?=a)', max_unused: 1d}", "[0].keys: expected a regular expression of RE2"),
            ("{keys: a}", "[0]: requires nothing: set at least one of max_lifetime, "),
            ("{}", "[0]: requires nothing: set at least one of max_lifetime, "),
            ("{limited_quota: false}", "[0]: requires nothing: set at least one of"),
            ("7", "[0]: expected a mapping"),
        ],
    )
    @pytest.mark.parametrize("in_account", [False, True])
    def test_a_wrong_policy_is_one_problem_with_its_place(self, write, policy, problem, in_account):
        own = f", policies: [{policy}]" if in_account else ""
        common = "" if in_account else f"policies: [{policy}]\n"
        text = f"{common}accounts: [{{name: a, access_token_file: token{own}}}]"
        place = "accounts[0].policies" if in_account else "policies"

        with pytest.raises(SettingsError) as caught:
            load(write(text))

        (found,) = caught.value.problems
        assert f": {place}{problem}" in found

    def test_an_account_has_a_budget_of_its_own_for_the_month(self, write):
        flag = write("""
thresholds: [{monthly_budget_usd: 400}]
accounts:
  - {name: a, access_token_file: token, monthly_budget_usd: 2000}
  - {name: b, access_token_file: token}
""")
        with_budget, without = load(flag).accounts

        assert (with_budget.monthly_budget_usd, without.monthly_budget_usd) == (2000.0, None)
        assert without.thresholds.entries == (Threshold(monthly_budget_usd=400.0),)

    def test_the_shards_together_read_every_account_once(self, write):
        accounts = ", ".join(f"{{name: account {n}, access_token_file: token}}" for n in range(20))
        flag = write(f"accounts: [{accounts}]")
        shards = [
            load(flag, "--shards.total=3", f"--shards.index={index}").accounts for index in range(3)
        ]

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

    def test_a_missing_token_file_does_not_stop_the_accounts_that_have_theirs(self, write):
        flag = write(
            "accounts: [{name: a, access_token_file: none}, {name: b, access_token_file: token}]"
        )

        assert [account.name for account in load(flag).accounts] == ["a", "b"]

    @pytest.mark.parametrize("field", ["ca_file", "headers_file"])
    def test_another_missing_file_does_not_stop_the_accounts_without_it(self, write, field):
        flag = write(
            f"accounts: [{{name: a, access_token_file: token, {field}: none}}, "
            "{name: b, access_token_file: token}]"
        )

        assert [account.name for account in load(flag).accounts] == ["a", "b"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="every file may be read by root")
    def test_a_file_that_may_not_be_read_does_not_stop_the_others_either(self, write, tmp_path):
        flag = write(
            "accounts: [{name: a, access_token_file: hidden}, {name: b, access_token_file: token}]"
        )
        (tmp_path / "etc/hidden").write_text("abc")
        (tmp_path / "etc/hidden").chmod(0)

        assert [account.name for account in load(flag).accounts] == ["a", "b"]

    def test_accounts_that_each_lack_a_file_of_some_kind_are_reported(self, write):
        flag = write(
            "accounts: [{name: a, access_token_file: none}, "
            "{name: b, access_token_file: token, ca_file: nil}, "
            "{name: c, access_token_file: token, headers_file: no}]"
        )
        found = problems(flag)

        assert [problem.partition("]")[2].partition(":")[0] for problem in found] == [
            ".access_token_file",
            ".ca_file",
            ".headers_file",
        ]

    def test_a_ca_file_that_all_accounts_share_is_reported_once_where_it_is_missing(
        self, write, tmp_path
    ):
        flag = write(
            "accounts: [{name: a, access_token_file: token}, {name: b, access_token_file: token}]"
        )

        assert problems(flag, f"--cometapi.ca-file={tmp_path}/none") == [
            f"{BY_KEY['ca_file'].source}: cannot read {tmp_path}/none: No such file or directory"
        ]

    def test_a_ca_file_without_certificates_is_reported_though_others_have_none(
        self, write, tmp_path
    ):
        flag = write(
            "accounts: [{name: a, access_token_file: token, ca_file: own}, "
            "{name: b, access_token_file: token}]"
        )
        (tmp_path / "etc/own").write_text("text")

        (problem,) = problems(flag)

        assert problem.endswith("own: no certificates in PEM format")

    def test_missing_token_files_of_all_accounts_are_reported(self, write):
        flag = write(
            "accounts: [{name: a, access_token_file: none}, {name: b, access_token_file: nil}]"
        )
        found = problems(flag)

        assert len(found) == 2
        assert all("No such file or directory" in problem for problem in found)

    def test_a_token_file_without_a_token_is_reported_though_others_have_theirs(self, write):
        flag = write(
            "accounts: [{name: a, access_token_file: etc}, {name: b, access_token_file: token}]"
        )
        (Path(flag.partition("=")[2]).parent / "etc").write_text("")

        assert len(problems(flag)) == 1

    def test_what_is_wrong_with_an_account_of_another_shard_is_reported_too(self, write):
        """Otherwise a file would be right for one shard and wrong for the next."""
        flag = write("accounts: [{name: a, access_token_file: none}]")
        counts = [
            len(problems(flag, "--shards.total=2", f"--shards.index={index}")) for index in (0, 1)
        ]

        assert counts == [1, 1]


def test_the_single_account_has_a_name_that_you_choose():
    assert account(**TOKEN).name == "default"
    assert account("--cometapi.account-name=team a", **TOKEN).name == "team a"
    assert account(COMETAPI_ACCOUNT_NAME="by variable ", **TOKEN).name == "by variable"


def test_a_name_that_is_no_label_is_one_problem():
    for name in ("x" * 101, "two\nlines"):
        (problem,) = problems(f"--cometapi.account-name={name}", **TOKEN)

        assert problem.startswith("--cometapi.account-name (COMETAPI_ACCOUNT_NAME): expected 1 to")


def test_the_name_of_the_single_account_is_wrong_beside_a_configuration_file(tmp_path):
    (tmp_path / "token").write_text(CANARY_TOKEN)
    (tmp_path / "a.yml").write_text("accounts: [{name: a, access_token_file: token}]")
    (problem,) = problems(f"--config.file={tmp_path}/a.yml", "--cometapi.account-name=b")

    assert problem.endswith("unset it, or set name of the account there")


def test_the_password_of_the_example_is_a_warning():
    example = Path(__file__).parents[3] / "deploy/web-config/basic-auth.yml"
    (warning,) = load(f"--web.config.file={example}", **TOKEN).all_warnings

    assert warning.source == "--web.config.file (COMETAPI_EXPORTER_WEB_CONFIG_FILE)"
    assert "the password of the example" in warning.text


# Proxies and trust


def test_the_proxy_of_a_gateway_is_taken_from_the_variables():
    found = account(HTTPS_PROXY="http://me:CANARY@proxy.example:3128", NO_PROXY="fd00::/8,[::1]")

    assert str(found.proxy) == "the proxy proxy.example:3128 (HTTPS_PROXY)"


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTPS_PROXY": "socks5://proxy.example", "NO_PROXY": "cometapi.com"},
        {"HTTPS_PROXY": "nonsense:", "COMETAPI_BASE_URL": "http://127.0.0.1:3000"},
        {"HTTP_PROXY": "socks5://proxy.example"},
    ],
    ids=["excepted", "this machine", "for another scheme"],
)
def test_a_proxy_that_no_gateway_needs_is_not_judged(environ):
    assert account(**environ).proxy is None


def test_the_demo_has_no_proxy():
    (found,) = load(demo=True, HTTPS_PROXY="socks5://proxy.example").accounts

    assert found.proxy is None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"all_proxy": "socks5://me:CANARY@proxy.example"},
            (
                "all_proxy: SOCKS proxies are not supported: set an HTTP proxy, or name the "
                "gateway's host in NO_PROXY"
            ),
        ),
        (
            {"HTTPS_PROXY": "http://me:CANARY#1@proxy.example"},
            (
                "HTTPS_PROXY: expected an HTTP proxy such as http://proxy.example.org:3128 (in a "
                "user and a password, write special characters as %XX)"
            ),
        ),
        (
            {"SSL_CERT_FILE": "/nowhere/ca.pem"},
            "SSL_CERT_FILE: cannot read /nowhere/ca.pem: No such file or directory",
        ),
    ],
    ids=["socks", "password", "certificates"],
)
def test_a_proxy_or_a_store_that_cannot_be_used_is_a_problem_of_its_variable(environ, said):
    assert problems(**TOKEN, **environ) == [said]


def test_a_machine_without_certificates_is_told_for_gateways_with_tls_alone(monkeypatch, tmp_path):
    empty = SystemStore(None, (tmp_path,))
    monkeypatch.setattr("exporter.settings.load.system_store", lambda _: empty)

    said = (
        "the system's certificates (install the package ca-certificates, or set SSL_CERT_FILE, "
        f"SSL_CERT_DIR or --cometapi.ca-file (COMETAPI_CA_FILE)): cannot read {tmp_path}: no "
        "certificates found"
    )
    assert problems(**TOKEN) == [said]
    assert account(COMETAPI_BASE_URL="http://127.0.0.1:3000").proxy is None

"""The command line: modes, exit codes, and what is printed where."""

import threading

import pytest
from builders import CANARY_TOKEN

from exporter.cli import run

TOKEN = {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN}


@pytest.fixture
def call(capfd, monkeypatch):
    """Run with *arguments* and return the exit code, standard output and standard error.

    The log of this process stays as it is, because other tests read it.
    """
    monkeypatch.setattr("exporter.cli.set_up_logs", lambda *_: None)

    def call(*arguments, **environ):
        code = run(arguments, environ)
        return code, *capfd.readouterr()

    return call


def test_the_help_is_grouped_and_fits_100_columns(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, text, _ = call("--help")

    assert code == 0
    for group in (
        "cometapi",
        "config",
        "collect",
        "keys",
        "shards",
        "web",
        "probe",
        "log",
        "modes",
    ):
        assert f"\n{group}:\n" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_version_names_the_program(call):
    code, text, _ = call("--version")

    assert code == 0
    assert text.startswith("cometapi-exporter 0.")


def test_an_unknown_flag_is_refused_with_a_suggestion(call):
    code, _, said = call("--collect.intervall=5s")

    assert code == 2
    assert "--collect.intervall" in said
    assert "--collect.interval" in said.replace("--collect.intervall", "")


def test_a_token_pasted_as_an_argument_is_refused_and_not_quoted(call):
    code, _, said = call(CANARY_TOKEN)

    assert code == 2
    assert CANARY_TOKEN not in said
    assert "only flags are expected" in said


@pytest.mark.parametrize("flag", ["--token", "--token=x", "--access-token=x", "--cometapi.token"])
def test_a_flag_for_the_token_is_refused_with_the_two_ways_to_set_it(flag, call):
    code, _, said = call(flag)

    assert code == 2
    assert "set the variable COMETAPI_ACCESS_TOKEN, or --cometapi.access-token-file" in said
    assert "--once" not in said


def test_the_short_flag_shows_the_help_too(call):
    assert call("-h") == call("--help")
    assert call("-h")[0] == 0


def test_a_warning_is_printed_where_the_configuration_is_validated(call):
    code, text, said = call("--config.check", COMETAPI_EXPORTER_INTERVALL="5s", **TOKEN)

    assert (code, text) == (0, "The configuration is valid. Accounts: 1.\n")
    assert said == (
        "Warning: COMETAPI_EXPORTER_INTERVALL: unknown variable, which has no effect; "
        "did you mean COMETAPI_EXPORTER_INTERVAL?\n"
    )


def test_invalid_settings_are_listed_below_one_another(call):
    code, text, said = call("--collect.interval=soon", "--log.level=loud", **TOKEN)

    assert (code, text) == (2, "")
    first, *problems = said.splitlines()
    assert first == "Invalid configuration:"
    assert [problem.split("(")[0] for problem in problems] == [
        "  --collect.interval ",
        "  --log.level ",
    ]


def test_a_file_on_a_mount_that_does_not_answer_ends_the_start(call, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr("exporter.cli.load_settings", lambda *_, **__: answers.wait(10))
    monkeypatch.setattr("exporter.workers.CALL_SECONDS", 0.01)
    ended = call(**TOKEN)
    answers.set()

    assert ended == (
        1,
        "",
        "timed out reading a configured file: is its mount responding?\n",
    )


def test_two_modes_at_once_are_refused(call):
    assert call("--config.check", "--once", **TOKEN) == (
        2,
        "",
        "--config.check and --once are set together: choose one\n",
    )


def test_config_check_accepts_what_is_valid(call):
    assert call("--config.check", "--cometapi.base-url=http://127.0.0.1:9", **TOKEN) == (
        0,
        "The configuration is valid. Accounts: 1.\n",
        "",
    )


LACKING = {
    "access_token_file: none": "access_token_file: cannot read the access token in the file",
    "access_token_file: token, ca_file: none": "ca_file: cannot read ",
    "access_token_file: token, headers_file: none": "headers_file: cannot read the file of headers",
}


@pytest.mark.parametrize("files", LACKING)
def test_config_check_reports_a_missing_file_though_another_account_has_its_own(
    call, tmp_path, files
):
    (tmp_path / "token").write_text(CANARY_TOKEN)
    (tmp_path / "a.yml").write_text(
        f"accounts: [{{name: a, {files}}}, {{name: b, access_token_file: token}}]"
    )
    code, _, said = call("--config.check", f"--config.file={tmp_path}/a.yml")

    assert code == 2
    assert f"accounts[0].{LACKING[files]}" in said


def test_config_check_reports_the_accounts_file_and_the_web_config_together(call, tmp_path):
    (tmp_path / "token").write_text(CANARY_TOKEN)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: none, key_file: none}")
    (tmp_path / "a.yml").write_text(
        "accounts: [{name: a, access_token_file: token, keys: {exclude: '('}}]"
    )
    code, _, said = call(
        "--config.check", f"--config.file={tmp_path}/a.yml", f"--web.config.file={tmp_path}/web.yml"
    )

    assert code == 2
    assert "accounts[0].keys.exclude: expected a regular expression" in said
    assert "--web.config.file (COMETAPI_EXPORTER_WEB_CONFIG_FILE)" in said

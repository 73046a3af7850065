"""A token pasted into the wrong place is never printed: every flag, variable and field of the file.

The places follow from the tables of options and fields, so a new one is tried without a change.
"""

import pytest
from builders import CANARY_TOKEN

from exporter.cli import run
from exporter.settings.config_file import (
    ACCOUNT_KEYS,
    COLLECT_KEYS,
    FILTER_KEYS,
    POLICY_KEYS,
    THRESHOLD_KEYS,
    TOP_KEYS,
)
from exporter.settings.options import OPTIONS, TOKEN_VARIABLE

# One of a base64 alphabet, one of lower-case letters and digits, a JWT, a UUID.
SECRETS = (
    CANARY_TOKEN,
    "CANARYab/cdEF0123456789+/xyzXYZ==",
    "/CANARYabcdEF0123456789xyzXYZ",
    "canary0123456789abcdef0123456789",
    "eyCANARYhbGciOiJIUzI1.eyJzdWIiOiIxMjM0NTY3ODkw.SflKxwRJSMeKKF2QT4fwpMe",
    "canary01-e29b-41d4-a716-446655440000",
    "sk-CANARY0123456789abcdef0123456789",
    "Bearer CANARY0123456789abcdef01234567",
    "'CANARY0123456789abcdef0123456789",
)
# Places where the text is a name that you choose: it becomes a label, and is no secret.
NAMES = ("account_name", "name")


@pytest.fixture
def printed(capfd, monkeypatch, tmp_path):
    """Run with *arguments* and return everything that is printed, in lower case."""
    monkeypatch.setattr("exporter.cli.set_up_logs", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def printed(*arguments, **environ):
        run([*arguments, "--config.check"], environ)
        return "".join(capfd.readouterr()).lower()

    return printed


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_it_is_not_printed_from_a_flag_or_a_variable(option, secret, printed):
    if option.key in NAMES:
        return
    with_token = {TOKEN_VARIABLE: "token"}
    by_flag = printed(f"{option.flag}={secret}", **with_token)
    by_variable = printed(**{**with_token, option.variable: secret})
    alone = printed(**{option.variable: secret})

    assert "canary" not in by_flag + by_variable + alone


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("mistake", ["--{}", "{}", "--token={}", "--cometapi.access-token={}"])
def test_it_is_not_printed_from_the_command_line(mistake, secret, printed):
    assert "canary" not in printed(mistake.format(secret))


PLACES = {
    **{key: f"{key}: {{}}\naccounts: [{{{{name: a}}}}]" for key in TOP_KEYS if key != "accounts"},
    "accounts": "accounts: {}",
    "an account": "accounts: [{}]",
    **{
        f"accounts[].{key}": f"accounts: [{{{{name: a, {key}: {{}}}}}}]"
        for key in (*ACCOUNT_KEYS, "access_token", "other")
        if key not in NAMES
    },
    **{f"collect.{key}": f"collect: {{{{{key}: {{}}}}}}" for key in COLLECT_KEYS},
    **{f"keys.{key}": f"keys: {{{{{key}: {{}}}}}}" for key in FILTER_KEYS},
    **{f"thresholds[].{key}": f"thresholds: [{{{{{key}: {{}}}}}}]" for key in THRESHOLD_KEYS},
    **{f"policies[].{key}": f"policies: [{{{{{key}: {{}}}}}}]" for key in POLICY_KEYS},
    "a group of a policy": "policies: [{{groups: [{}]}}]",
    "a field of a policy": "policies: [{{{}: 1}}]",
    "a field at the top": "{}: 1",
    "a field of an account": "accounts: [{{name: a, {}: 1}}]",
    "a field twice": "{0}: 1\n{0}: 2",
    "a name twice": "accounts: [{{name: {0}}}, {{name: {0}}}]",
    "no YAML": "accounts: [{{name: {}",
    "an alias": "a: *{}",
    "an anchor twice": "a: &{0} 1\nb: &{0} 2",
    "a tag": "a: !{} b",
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", PLACES)
def test_it_is_not_printed_from_the_configuration_file(place, secret, printed, tmp_path):
    file = tmp_path / "accounts.yml"
    for text in (secret, f'"{secret}"'):
        file.write_text(PLACES[place].format(text))

        assert "canary" not in printed(f"--config.file={file}", TOKEN="token")


WEB_PLACES = (
    "{}: 1",
    "tls_server_config: {{cert_file: {0}, key_file: {0}}}",
    "tls_server_config: {{client_auth_type: {}}}",
    "tls_server_config: {{min_version: {}}}",
    "http_server_config: {{headers: {{X-Frame-Options: {}}}}}",
    "http_server_config: {{headers: {{{}: x}}}}",
    "basic_auth_users: {{someone: {}}}",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", WEB_PLACES)
def test_it_is_not_printed_from_the_web_config(place, secret, printed, tmp_path):
    file = tmp_path / "web.yml"
    file.write_text(place.format(f'"{secret}"'))

    assert "canary" not in printed(f"--web.config.file={file}", **{TOKEN_VARIABLE: "token"})


def test_a_path_is_printed_where_its_folder_exists_so_that_a_typing_error_is_seen(
    printed, tmp_path
):
    (tmp_path / "secrets").mkdir()
    path = tmp_path / "secrets" / "the-token-of-the-account.txt"

    assert str(path).lower() in printed(f"--cometapi.access-token-file={path}")
    relative = printed("--cometapi.access-token-file=secrets/the-token-of-the-account.txt")
    assert "secrets/the-token-of-the-account.txt" in relative
    assert "file short.token: no such file" in printed("--cometapi.access-token-file=short.token")

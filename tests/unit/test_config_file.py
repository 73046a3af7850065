"""The YAML file's shape: what belongs, and each thing that does not, with its path."""

from pathlib import Path

import pytest
from builders import CANARY_TOKEN

from exporter.config_file import AccountEntry, ConfigFile, read_config_file


def read(tmp_path, content):
    """Return what was read, and the problems as texts with the file called F."""
    path = tmp_path / "accounts.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = []
    file = read_config_file(path, lambda where, what: problems.append(f"{where}: {what}".replace(str(path), "F")))
    return file, problems


def test_everything_that_belongs_is_read_as_text(tmp_path):
    file, problems = read(
        tmp_path,
        """
collect: {interval: 30s, timeout: 5s, stale_after: 2h, concurrency: 2, max_requests_per_minute: 120}
accounts:
  - name: 0815
    access_token_file: token
    base_url: https://gate.example
    user_id: 010
    quota_per_usd: 1e6
    allow_insecure_http: yes
    ca_file: ca.pem
    collect: {interval: 15s, concurrency: 1}
  - {name: other, access_token_env: OTHER_TOKEN}
""",
    )

    assert problems == []
    assert file == ConfigFile(
        collect={
            "interval": "30s",
            "timeout": "5s",
            "stale_after": "2h",
            "concurrency": "2",
            "max_requests_per_minute": "120",
        },
        accounts=(
            AccountEntry(
                where=f"{tmp_path}/accounts.yml: accounts[0]",
                name="0815",
                access_token_env=None,
                options={
                    "access_token_file": "token",
                    "base_url": "https://gate.example",
                    "user_id": "010",
                    "quota_per_usd": "1e6",
                    "allow_insecure_http": "yes",
                    "ca_file": "ca.pem",
                    "interval": "15s",
                    "concurrency": "1",
                },
            ),
            AccountEntry(
                where=f"{tmp_path}/accounts.yml: accounts[1]", name="other", access_token_env="OTHER_TOKEN", options={}
            ),
        ),
    )


KNOWN_KEYS = (
    "name, access_token_env, base_url, access_token_file, user_id, quota_per_usd, allow_insecure_http, ca_file, "
    "collect, interval, timeout, stale_after, concurrency"
)
KNOWN_AT_THE_TOP = "accounts, collect, interval, timeout, stale_after, concurrency, max_requests_per_minute"
NO_ACCOUNTS = "F: accounts: expected a list with at least one account"
NO_NAME = "F: accounts[0].name: expected a name of 1 to 100 visible characters: it becomes the label account"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        pytest.param(
            "accounts: [{name: a}]\ninterwal: 60s",
            [f"F: 'interwal': unknown key; known are {KNOWN_AT_THE_TOP}"],
            id="unknown at the top",
        ),
        pytest.param(
            "accounts: [{name: a, access_token: CANARY}]",
            [f"F: accounts[0]: 'access_token': unknown key; known are {KNOWN_KEYS}"],
            id="unknown in an account, its value not quoted",
        ),
        pytest.param(
            "accounts: [{name: a}]\ncollect: {intervall: 60s}",
            [
                (
                    "F: collect: 'intervall': unknown key; "
                    "known are interval, timeout, stale_after, concurrency, max_requests_per_minute"
                )
            ],
            id="unknown among the collect options",
        ),
        pytest.param(
            "accounts: [{name: a, collect: {max_requests_per_minute: 5}}]",
            [
                (
                    "F: accounts[0].collect: 'max_requests_per_minute': unknown key; "
                    "known are interval, timeout, stale_after, concurrency"
                )
            ],
            id="a pace of one account: it belongs to the host",
        ),
        pytest.param(
            "accounts: [{name: a}, {name: b}, {name: a}]",
            ["F: accounts[2].name: 'a' is taken: each account needs a name of its own"],
            id="a name twice",
        ),
        pytest.param("accounts: [{}]", [NO_NAME], id="no name"),
        pytest.param("accounts: [{name: ''}]", [NO_NAME], id="empty name"),
        pytest.param(f"accounts: [{{name: {'x' * 101}}}]", [NO_NAME], id="a name too long"),
        pytest.param('accounts: [{name: "a\\nb"}]', [NO_NAME], id="a name of two lines"),
        pytest.param('accounts: [{name: "\\uD800"}]', [NO_NAME], id="a name that no encoding takes"),
        pytest.param(
            "accounts: [{name: a, base_url: [x]}]",
            ["F: accounts[0].base_url: expected a single value"],
            id="a list for a value",
        ),
        pytest.param(
            "accounts: [{name: a, collect: 7}]",
            ["F: accounts[0].collect: expected a mapping with interval, timeout, stale_after, concurrency"],
            id="a value for a mapping",
        ),
        pytest.param(
            "accounts: [7]", [f"F: accounts[0]: expected a mapping with {KNOWN_KEYS}", NO_NAME], id="no mapping"
        ),
        pytest.param(
            "collect: {interval: 60s}", ["F: accounts: expected a list with at least one account"], id="no accounts"
        ),
        pytest.param("accounts: []", ["F: accounts: expected a list with at least one account"], id="none in the list"),
        pytest.param("accounts: {a: b}", ["F: accounts: expected a list with at least one account"], id="a mapping"),
        pytest.param("", [NO_ACCOUNTS], id="empty"),
        pytest.param("- a", [f"F: expected a mapping with {KNOWN_AT_THE_TOP}", NO_ACCOUNTS], id="a list at the top"),
        pytest.param(b"\xff\xfe\xfa", ["F: is no text in UTF-8"], id="bytes"),
        pytest.param("a: " + "x" * 1024 * 1024, ["F: is larger than a megabyte"], id="too large, and not cut"),
    ],
)
def test_what_does_not_belong_is_named_with_its_path(tmp_path, content, problems):
    assert read(tmp_path, content)[1] == problems


@pytest.mark.parametrize(
    "content",
    [
        "accounts: [{name: CANARY",
        "accounts: &a [*a",
        "a: *CANARY",
        "a: 1\na: CANARY",
        "x: !!python/object/apply:os.system [CANARY]",
        "? [CANARY]\n: b",
        "a: CANARY\x00",
        "a: 'CANARY\n b: ]",
        "[" * 400,
    ],
)
def test_what_is_no_yaml_is_one_problem_that_quotes_nothing(tmp_path, content):
    file, (problem, *others) = read(tmp_path, content)

    assert file == ConfigFile()
    assert problem.startswith(("F: not valid YAML", "F: expected a mapping", "F: 'x': unknown key"))
    assert len(others) <= 1
    assert "CANARY" not in problem


def test_every_problem_of_every_account_is_told(tmp_path):
    _, problems = read(tmp_path, "accounts: [{name: a, x: 1}, {y: 2}]\nz: 3")

    assert [problem.split(": ", 2)[1] for problem in problems] == [
        "'z'",
        "accounts[0]",
        "accounts[1]",
        "accounts[1].name",
    ]


def test_a_missing_file_is_told():
    problems = []

    assert read_config_file(Path("/nowhere/accounts.yml"), lambda *problem: problems.append(problem)) == ConfigFile()
    assert problems == [("/nowhere/accounts.yml", "cannot be read: No such file or directory")]


def test_a_token_written_where_a_key_belongs_is_not_repeated_at_length(tmp_path):
    _, problems = read(tmp_path, f"accounts: [{{name: a, '{CANARY_TOKEN * 9}': x}}]")

    assert len(problems[0]) < 300


def whole(text, tmp_path):
    """Read a file in which nothing is wrong."""
    file, problems = read(tmp_path, text)
    assert problems == []
    return file


def test_collect_options_may_stand_beside_collect_too(tmp_path):
    file = whole("interval: 30s\nmax_requests_per_minute: 9\naccounts: [{name: a, timeout: 3s}]", tmp_path)

    assert file.collect == {"interval": "30s", "max_requests_per_minute": "9"}
    assert file.accounts[0].options == {"timeout": "3s"}


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_a_key_without_a_value_counts_as_left_out(nothing, tmp_path):
    file = whole(
        f"collect: {nothing}\naccounts:\n  - name: a\n    user_id: {nothing}\n    collect: {nothing}\n", tmp_path
    )

    assert file.collect == {}
    assert file.accounts[0].options == {}

"""The shape of the accounts file: what belongs, and each thing that does not, with its path."""

import os
from pathlib import Path

import pytest
from builders import CANARY_TOKEN

from exporter.settings.config_file import read_config_file


def read(tmp_path, content):
    """Return what was read, and the problems with the file called F."""
    path = tmp_path / "accounts.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    file = read_config_file(path)
    return file, [problem.replace(str(path), "F") for problem in file.problems]


def texts(given):
    return {key: each.text for key, each in given.items()}


EVERYTHING = """
collect: {interval: 30s, timeout: 5s, stale_after: 2h, concurrency: 2, max_requests_per_minute: 120, usage: off}
keys: {max: 500, exclude: "sandbox/.*"}
thresholds:
  - {keys: "production/.*", low_quota_usd: 50, expiry_warning: 30d}
  - {daily_budget_usd: 20}
accounts:
  - name: 0815
    access_token_file: token
    base_url: https://gate.example
    user_id: 010
    quota_per_usd: 1e6
    allow_insecure_http: yes
    ca_file: ca.pem
    collect: {interval: 15s, concurrency: 1, usage: key-model, usage_max_series: 9}
    keys: {include: "web/.*", counts_only: true}
    thresholds: [{low_quota_usd: 5}]
  - {name: other, access_token_env: OTHER_TOKEN}
"""


def test_everything_that_belongs_is_read_as_text(tmp_path):
    file, problems = read(tmp_path, EVERYTHING)
    first, second = file.accounts

    assert problems == []
    assert texts(file.options) == {
        "interval": "30s",
        "timeout": "5s",
        "stale_after": "2h",
        "concurrency": "2",
        "max_requests_per_minute": "120",
        "usage": "off",
        "keys_max": "500",
        "keys_exclude": "sandbox/.*",
    }
    assert [texts(each) for each in file.thresholds] == [
        {"keys": "production/.*", "low_quota_usd": "50", "expiry_warning": "30d"},
        {"daily_budget_usd": "20"},
    ]
    assert (first.name, first.token_variable) == ("0815", None)
    assert texts(first.options) == {
        "access_token_file": "token",
        "base_url": "https://gate.example",
        "user_id": "010",
        "quota_per_usd": "1e6",
        "allow_insecure_http": "yes",
        "ca_file": "ca.pem",
        "interval": "15s",
        "concurrency": "1",
        "usage": "key-model",
        "usage_max_series": "9",
        "keys_include": "web/.*",
        "keys_counts_only": "true",
    }
    assert [texts(each) for each in first.thresholds] == [{"low_quota_usd": "5"}]
    assert (second.name, second.token_variable.text, second.options) == ("other", "OTHER_TOKEN", {})


def test_every_text_knows_its_place_and_the_folder_that_paths_start_from(tmp_path):
    file, _ = read(tmp_path, EVERYTHING)
    given = [
        file.options["interval"],
        file.options["keys_max"],
        file.thresholds[1]["daily_budget_usd"],
        file.accounts[0].options["concurrency"],
        file.accounts[0].options["keys_include"],
        file.accounts[0].thresholds[0]["low_quota_usd"],
        file.accounts[1].token_variable,
    ]

    assert [each.where.removeprefix(f"{tmp_path}/accounts.yml: ") for each in given] == [
        "collect.interval",
        "keys.max",
        "thresholds[1].daily_budget_usd",
        "accounts[0].collect.concurrency",
        "accounts[0].keys.include",
        "accounts[0].thresholds[0].low_quota_usd",
        "accounts[1].access_token_env",
    ]
    assert {each.folder for each in given} == {tmp_path}


NO_ACCOUNTS = "F: accounts: expected a list with at least one account"
NO_NAME = "F: accounts[0].name: expected 1 to 100 printable characters: it becomes a label"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        pytest.param(
            "accounts: [{name: a}]\ninterwal: 60s",
            ["F: interwal: unknown key; did you mean interval?"],
            id="unknown at the top",
        ),
        pytest.param("accounts: [{name: a, q: 1}]", ["F: accounts[0].q: unknown key"], id="like no other key"),
        pytest.param(
            "accounts: [{name: a, access_token: CANARY}]",
            [
                (
                    "F: accounts[0].access_token: do not write the token into this file: "
                    "use access_token_file or access_token_env"
                )
            ],
            id="a token in the file, not quoted",
        ),
        pytest.param(
            "accounts: [{name: a}]\ncollect: {intervall: 60s}",
            ["F: collect.intervall: unknown key; did you mean interval?"],
            id="unknown among the collect options",
        ),
        pytest.param(
            "accounts: [{name: a}]\nkeys: {includes: x}",
            ["F: keys.includes: unknown key; did you mean include?"],
            id="unknown among the keys options",
        ),
        pytest.param(
            "accounts: [{name: a, thresholds: [{daily_budget: 1}]}]",
            ["F: accounts[0].thresholds[0].daily_budget: unknown key; did you mean daily_budget_usd?"],
            id="unknown in a threshold",
        ),
        pytest.param(
            "accounts: [{name: a}]\nthresholds: {low_quota_usd: 1}",
            ["F: thresholds: expected a list"],
            id="a threshold without a dash",
        ),
        pytest.param(
            "accounts: [{name: a, collect: {max_requests_per_minute: 5}}]",
            ["F: accounts[0].collect.max_requests_per_minute: belongs to the host: set it at the top, under collect"],
            id="a rate limit of one account",
        ),
        pytest.param(
            "accounts: [{name: a}, {name: b}, {name: a}]",
            ["F: accounts[2].name: 'a' is taken: each account requires a unique name"],
            id="a name twice",
        ),
        pytest.param("accounts: [{}]", [NO_NAME], id="no name"),
        pytest.param("accounts: [{name: ''}]", [NO_NAME], id="empty name"),
        pytest.param(f"accounts: [{{name: {'x' * 101}}}]", [NO_NAME], id="a name too long"),
        pytest.param('accounts: [{name: "a\\nb"}]', [NO_NAME], id="a name of two lines"),
        pytest.param(
            'accounts: [{name: "\\uD800"}]',
            ["F: accounts[0].name: expected printable text", NO_NAME],
            id="a name that no encoding takes",
        ),
        pytest.param(
            "accounts: [{name: a, base_url: [x]}]",
            ["F: accounts[0].base_url: expected printable text"],
            id="a list for a value",
        ),
        pytest.param(
            "accounts: [{name: a, collect: 7}]",
            ["F: accounts[0].collect: expected a mapping"],
            id="a value for a mapping",
        ),
        pytest.param("accounts: [7]", ["F: accounts[0]: expected a mapping", NO_NAME], id="no mapping"),
        pytest.param("collect: {interval: 60s}", [NO_ACCOUNTS], id="no accounts"),
        pytest.param("accounts: []", [NO_ACCOUNTS], id="none in the list"),
        pytest.param("accounts: {a: b}", ["F: accounts: expected a list", NO_ACCOUNTS], id="no list"),
        pytest.param("", [NO_ACCOUNTS], id="empty"),
        pytest.param("- a", ["F: the file: expected a mapping", NO_ACCOUNTS], id="a list at the top"),
        pytest.param(b"\xff\xfe\xfa", ["F: cannot read the file: not UTF-8 text"], id="bytes"),
        pytest.param("a: " + "x" * 1024 * 1024, ["F: cannot read the file: larger than a megabyte"], id="too large"),
    ],
)
def test_what_does_not_belong_is_named_with_its_path(tmp_path, content, problems):
    assert read(tmp_path, content)[1] == problems


@pytest.mark.parametrize(
    "content",
    [
        "accounts: [{name: CANARY",
        "a: *CANARY",
        "a: 1\na: CANARY",
        "? [CANARY]\n: b",
        "a: CANARY\x00",
        "a: 'CANARY\n b: ]",
        "[" * 400,
    ],
)
def test_what_is_not_yaml_is_one_problem_that_quotes_nothing(tmp_path, content):
    file, (problem,) = read(tmp_path, content)

    assert (file.accounts, file.options) == ((), {})
    assert problem.startswith("F: not valid YAML")
    assert "CANARY" not in problem


@pytest.mark.parametrize("content", ["accounts: &a [*a]", "x: !!python/object/apply:os.system [CANARY]"])
def test_what_yaml_could_do_elsewhere_is_only_of_the_wrong_shape_here(tmp_path, content):
    _, problems = read(tmp_path, content)

    assert problems
    assert not [problem for problem in problems if "CANARY" in problem]


def test_every_problem_of_every_account_is_reported(tmp_path):
    _, problems = read(tmp_path, "accounts: [{name: a, x: 1}, {y: 2}]\nz: 3")

    assert [problem.split(": ")[1] for problem in problems] == [
        "z",
        "accounts[0].x",
        "accounts[1].y",
        "accounts[1].name",
    ]


def test_a_missing_file_is_reported():
    file = read_config_file(Path("/nowhere/accounts.yml"))

    assert file.problems == ("/nowhere/accounts.yml: cannot read the file: No such file or directory",)


@pytest.mark.timeout(5)
def test_a_fifo_in_place_of_the_file_is_reported_at_once(tmp_path):
    os.mkfifo(tmp_path / "accounts.yml")

    file = read_config_file(tmp_path / "accounts.yml")

    assert file.problems == (f"{tmp_path}/accounts.yml: cannot read the file: not a regular file",)


def test_a_token_written_in_place_of_a_key_is_not_quoted_at_length(tmp_path):
    _, (problem,) = read(tmp_path, f"accounts: [{{name: a, '{CANARY_TOKEN * 9}': x}}]")

    assert problem == "F: accounts[0].(a key that is not a name): unknown key"


def whole(text, tmp_path):
    """Read a file in which nothing is wrong."""
    file, problems = read(tmp_path, text)
    assert problems == []
    return file


def test_collect_options_may_be_beside_collect_too(tmp_path):
    file = whole("interval: 30s\nmax_requests_per_minute: 9\naccounts: [{name: a, timeout: 3s}]", tmp_path)

    assert texts(file.options) == {"interval": "30s", "max_requests_per_minute": "9"}
    assert texts(file.accounts[0].options) == {"timeout": "3s"}


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_a_key_without_a_value_counts_as_left_out(nothing, tmp_path):
    file = whole(
        f"collect: {nothing}\nkeys: {nothing}\nthresholds: {nothing}\n"
        f"accounts:\n  - name: a\n    user_id: {nothing}\n    collect: {nothing}\n",
        tmp_path,
    )

    assert (file.options, file.thresholds, file.accounts[0].options) == ({}, (), {})

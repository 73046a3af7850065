"""The shape of the configuration file: what belongs, and each thing that does not, with its path."""

from pathlib import Path

import pytest
from builders import CANARY_TOKEN

from exporter.settings.config_file import parse_config
from exporter.strict_yaml import load_yaml


def read(content):
    """Return what is for all accounts, the accounts, and the problems, of a file called F."""
    problems = []
    file = parse_config(load_yaml(content), Path("etc/F"), problems)
    return file.all, file.accounts, [str(each).removeprefix("etc/") for each in problems]


def texts(entry):
    return {key: raw.text for key, raw in entry.options.items()}


NO_ACCOUNTS = "F: accounts: expected a list with at least one account"
NO_NAME = "F: accounts[0].name: expected 1 to 100 printable characters: it becomes a label"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        pytest.param(
            "accounts: [{name: a}]\ninterwal: 60s",
            ["F: interwal: unknown field; did you mean interval?"],
            id="unknown at the top",
        ),
        pytest.param(
            "accounts: [{name: a, q: 1}]",
            ["F: accounts[0].q: unknown field"],
            id="like no other key",
        ),
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
            ["F: collect.intervall: unknown field; did you mean interval?"],
            id="unknown among the collect options",
        ),
        pytest.param(
            "accounts: [{name: a}]\nkeys: {includes: x}",
            ["F: keys.includes: unknown field; did you mean include?"],
            id="unknown among the keys options",
        ),
        pytest.param(
            "accounts: [{name: a, thresholds: [{daily_budget: 1}]}]",
            [
                "F: accounts[0].thresholds[0].daily_budget: unknown field; did you mean daily_budget_usd?"
            ],
            id="unknown in a threshold",
        ),
        pytest.param(
            "accounts: [{name: a}]\nthresholds: {low_quota_usd: 1}",
            ["F: thresholds: expected a list"],
            id="a threshold without a dash",
        ),
        pytest.param(
            "accounts: [{name: a, policies: [{max_life: 1d}]}]",
            ["F: accounts[0].policies[0].max_life: unknown field; did you mean max_lifetime?"],
            id="unknown in a policy",
        ),
        pytest.param(
            "accounts: [{name: a}]\npolicies: {max_lifetime: 1d}",
            ["F: policies: expected a list"],
            id="a policy without a dash",
        ),
        pytest.param(
            "accounts: [{name: a}]\npolicies: [{groups: production}]",
            ['F: policies[0].groups: expected a list such as [production, ""]'],
            id="one group instead of a list",
        ),
        pytest.param(
            "accounts: [{name: a}]\npolicies: [{groups: []}]",
            ['F: policies[0].groups: expected a list such as [production, ""]'],
            id="no group in the list",
        ),
        pytest.param(
            "accounts: [{name: a}]\npolicies: [{groups: [[x]]}]",
            ['F: policies[0].groups: expected printable texts, in a list such as [production, ""]'],
            id="a list in the list of groups",
        ),
        pytest.param(
            "accounts: [{name: a, collect: {max_requests_per_minute: 5}}]",
            [
                "F: accounts[0].collect.max_requests_per_minute: applies per host: set it at the top, under collect"
            ],
            id="a rate limit of one account",
        ),
        pytest.param(
            "accounts: [{name: a}, {name: b}, {name: a}]",
            ["F: accounts[2].name: taken by an account before: each requires a unique name"],
            id="a name twice",
        ),
        pytest.param("accounts: [{}]", [NO_NAME], id="no name"),
        pytest.param("accounts: [{name: ''}]", [NO_NAME], id="empty name"),
        pytest.param(f"accounts: [{{name: {'x' * 101}}}]", [NO_NAME], id="a name too long"),
        pytest.param('accounts: [{name: "a\\nb"}]', [NO_NAME], id="a name of two lines"),
        pytest.param(
            'accounts: [{name: "\\uD800"}]',
            ["F: accounts[0].name: expected printable text"],
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
        pytest.param("accounts: [7]", ["F: accounts[0]: expected a mapping"], id="no mapping"),
        pytest.param("collect: {interval: 60s}", [NO_ACCOUNTS], id="no accounts"),
        pytest.param("accounts: []", [NO_ACCOUNTS], id="none in the list"),
        pytest.param("accounts: {a: b}", [NO_ACCOUNTS], id="no list"),
        pytest.param("", [NO_ACCOUNTS], id="empty"),
        pytest.param(
            "accounts: [{name: a, !!python/object/apply:os.system [CANARY]: x}]".replace(
                "[CANARY]", "CANARY"
            ),
            ["F: accounts[0].CANARY: unknown field"],
            id="what YAML could do elsewhere",
        ),
        pytest.param("- a", ["F: expected a mapping"], id="a list at the top"),
    ],
)
def test_what_does_not_belong_is_named_with_its_path(content, problems):
    assert read(content)[2] == problems


def test_every_problem_of_every_account_is_reported():
    *_, problems = read("accounts: [{name: a, x: 1}, {y: 2}]\nz: 3")

    assert [problem.split(": ")[1] for problem in problems] == [
        "z",
        "accounts[0].x",
        "accounts[1].y",
        "accounts[1].name",
    ]


def test_a_token_written_in_place_of_a_key_is_not_quoted_at_length():
    *_, (problem,) = read(f"accounts: [{{name: a, '{CANARY_TOKEN * 9}': x}}]")

    assert problem == "F: accounts[0].(a field whose name has 288 characters): unknown field"


def test_collect_options_may_be_beside_collect_too():
    longest = "x" * 100
    top, (account,), problems = read(
        f"interval: 30s\nmax_requests_per_minute: 9\naccounts: [{{name: {longest}, timeout: 3s}}]"
    )

    assert (account.name, problems) == (longest, [])
    assert texts(top) == {"interval": "30s", "max_requests_per_minute": "9"}
    assert texts(account) == {"timeout": "3s"}


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_a_key_without_a_value_counts_as_left_out(nothing):
    top, (account,), problems = read(
        f"collect: {nothing}\nkeys: {nothing}\nthresholds: {nothing}\n"
        f"accounts:\n  - name: a\n    user_id: {nothing}\n    collect: {nothing}\n",
    )

    assert problems == []
    assert (top.options, top.thresholds, account.options) == ({}, (), {})

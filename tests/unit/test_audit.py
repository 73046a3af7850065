"""The three formats of `--audit`."""

import json

import jsonschema
import pytest
from domain import DAY, NOW, a_read_state, a_state, an_api_key, failure

from exporter import audit
from exporter.errors import Reason
from exporter.model import RestrictionList
from exporter.patterns import Pattern
from exporter.policies import Policies, Policy

POLICIES = Policies(
    [
        Policy(
            keys=Pattern("production/.*"),
            max_lifetime=90.0 * DAY,
            limited_quota=True,
            ip_allowlist=True,
            line=4,
        ),
        Policy(
            model_limits=True,
            max_unused=30.0 * DAY,
            name=Pattern("[a-z]+"),
            groups=frozenset({"production", ""}),
            line=11,
        ),
    ]
)
GOOD = {
    "name": "web",
    "group": "production",
    "created_at": NOW - DAY,
    "expires_at": NOW + 80 * DAY,
    "ip_allowlist": RestrictionList(count=1, digest=1, allows_all=False),
    "model_limits": RestrictionList(count=1, digest=1),
}


def found(*keys, **over):
    return audit.violations([a_read_state(*keys, policies=POLICIES, **over)], NOW)


@pytest.mark.parametrize(
    ("over", "policy", "message"),
    [
        ({"expires_at": None}, "max_lifetime", "never expires; allowed: 90 d from its creation"),
        (
            {"expires_at": NOW + 399 * DAY},
            "max_lifetime",
            "expires 400 d after its creation; allowed: 90 d from its creation",
        ),
        ({"remaining_quota": None}, "limited_quota", "has no quota limit"),
        (
            {"ip_allowlist": None},
            "ip_allowlist",
            "works from every address: it has no list of allowed ones",
        ),
        (
            {"ip_allowlist": RestrictionList(count=1, digest=1, allows_all=True)},
            "ip_allowlist",
            "works from every address: its list allows all of them",
        ),
        ({"model_limits": None}, "model_limits", "may use every model"),
        (
            {"last_used_at": NOW - 31 * DAY},
            "max_unused",
            "was last used 31 d ago; allowed: 30 d",
        ),
        (
            {"last_used_at": None, "created_at": NOW - 40 * DAY, "expires_at": NOW + DAY},
            "max_unused",
            "was never used since its creation 40 d ago; allowed: 30 d",
        ),
        ({"name": "a b"}, "name", "has a name that the policy's expression does not match"),
        ({"group": "vip"}, "groups", "is in the group 'vip'; allowed: '', 'production'"),
    ],
)
def test_each_violation_says_what_is_and_what_is_allowed(over, policy, message):
    (one,) = found(an_api_key(**{**GOOD, **over}))

    assert (one.kind, one.message) == (policy, message)


def test_the_text_goes_by_policy_then_by_key_and_says_what_to_do():
    keys = [
        an_api_key(**{**GOOD, "id": 9, "remaining_quota": None, "name": "a\x1b[31m"}),
        an_api_key(**{**GOOD, "id": 7, "remaining_quota": None}),
        an_api_key(**{**GOOD, "id": 8}),
    ]
    state = a_read_state(*keys, policies=POLICIES)

    assert audit.text_report([state], audit.violations([state], NOW)) == (
        "limited_quota: keys have a quota limit\n"
        "  main: 'web' (id 7, group 'production') has no quota limit\n"
        "  main: 'a\\x1b[31m' (id 9, group 'production') has no quota limit\n"
        "  fix: Give the key a quota: without one, it can spend all that the account has.\n"
        "\n"
        "name: keys have names by convention\n"
        "  main: 'a\\x1b[31m' (id 9, group 'production') "
        "has a name that the policy's expression does not match\n"
        "  fix: Rename the key.\n"
        "\n"
        "3 violations by 2 keys of 3"
    )


def test_violations_go_by_policy_then_by_account_then_by_key():
    policies = Policies([Policy(limited_quota=True, model_limits=True)])
    keys = [an_api_key(id=id_, remaining_quota=None) for id_ in (8, 7)]
    states = [a_read_state(*keys, name=name, policies=policies) for name in ("b", "a")]

    assert [
        (each.kind.value, each.account, each.key.id) for each in audit.violations(states, NOW)
    ] == [
        ("limited_quota", "a", 7),
        ("limited_quota", "a", 8),
        ("limited_quota", "b", 7),
        ("limited_quota", "b", 8),
        ("model_limits", "a", 7),
        ("model_limits", "a", 8),
        ("model_limits", "b", 7),
        ("model_limits", "b", 8),
    ]


def test_the_json_has_an_object_for_each_violation():
    text = audit.json_report(found(an_api_key(**{**GOOD, "id": 7, "model_limits": None})))

    assert json.loads(text) == {
        "violations": [
            {
                "account": "main",
                "key_id": 7,
                "key_name": "web",
                "group": "production",
                "policy": "model_limits",
                "message": "may use every model",
            }
        ]
    }


def test_an_account_that_could_not_be_read_is_named_with_a_fix():
    failing = a_state(name="dark").failed(failure(Reason.UNAUTHORIZED), NOW)

    (note,) = audit.unread_notes([a_read_state(), failing], in_file=True)

    assert note.startswith("dark: not audited: ")
    assert "\n  fix: " in note


def test_an_account_of_which_no_key_could_be_read_is_not_audited():
    (note,) = audit.unread_notes([a_read_state(skipped=2)], in_file=True)

    assert note == "main: not audited: no key could be read"


# What SARIF 2.1.0 requires of the parts that are written, and what GitHub requires beyond it: the
# levels, the relative URI, the region, and the fingerprint. Sections 3.13 to 3.30 of the standard.
TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}},
    "required": ["text"],
    "additionalProperties": False,
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def an_object(required=(), **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
        "additionalProperties": False,
    }


SARIF = an_object(
    **{
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": an_object(
                tool=an_object(
                    driver=an_object(
                        name={"type": "string", "minLength": 1},
                        version={"type": "string"},
                        informationUri={"type": "string", "format": "uri"},
                        rules={
                            "type": "array",
                            "uniqueItems": True,
                            "items": an_object(
                                id={"type": "string", "maxLength": 255},
                                shortDescription=TEXT,
                                fullDescription=TEXT,
                                help=TEXT,
                                helpUri={"type": "string", "format": "uri"},
                                defaultConfiguration=an_object(level=LEVEL),
                            ),
                        },
                    )
                ),
                invocations={
                    "type": "array",
                    "items": an_object(
                        executionSuccessful={"type": "boolean"},
                        toolExecutionNotifications={
                            "type": "array",
                            "items": an_object(level=LEVEL, message=TEXT),
                        },
                    ),
                },
                results={
                    "type": "array",
                    "maxItems": 25_000,
                    "items": an_object(
                        required=("ruleId", "ruleIndex", "level", "message", "partialFingerprints"),
                        ruleId={"type": "string"},
                        ruleIndex={"type": "integer", "minimum": 0},
                        level=LEVEL,
                        message=TEXT,
                        partialFingerprints={
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                        },
                        locations={
                            "type": "array",
                            "minItems": 1,
                            "items": an_object(
                                physicalLocation=an_object(
                                    artifactLocation=an_object(
                                        uri={
                                            "type": "string",
                                            "pattern": r"^[^/:\\ ]+(/[^/:\\ ]+)*$",
                                        },
                                        uriBaseId={"type": "string"},
                                    ),
                                    region=an_object(startLine={"type": "integer", "minimum": 1}),
                                )
                            ),
                        },
                    ),
                },
                columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            ),
        },
    }
)


def sarif(violations, **over):
    log = json.loads(audit.sarif_report(violations, **({"file": "deploy/accounts.yml"} | over)))
    jsonschema.validate(log, SARIF)
    return log["runs"][0]


def test_the_sarif_names_rule_file_and_line_of_the_policy():
    run = sarif(found(an_api_key(**{**GOOD, "id": 7, "model_limits": None, "ip_allowlist": None})))

    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    places = [
        (
            result["ruleId"],
            rules[result["ruleIndex"]],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    ]
    assert places == [
        ("ip_allowlist", "ip_allowlist", "deploy/accounts.yml", 4),
        ("model_limits", "model_limits", "deploy/accounts.yml", 11),
    ]
    assert run["results"][1]["message"]["text"] == (
        "main: 'web' (id 7, group 'production') may use every model"
    )


def test_the_same_violation_has_the_same_fingerprint_wherever_the_policy_stands():
    assert fingerprint(line=3, key_name="before") == fingerprint(line=9, key_name="after")


@pytest.mark.parametrize(
    "other",
    [{"account": "b"}, {"id": 8}, {"policy": "limited_quota"}],
    ids=["account", "key", "policy"],
)
def test_another_violation_has_another_fingerprint(other):
    assert fingerprint() != fingerprint(**other)


def fingerprint(account="a", id=7, policy="model_limits", line=3, key_name="web"):  # noqa: A002
    """Return the fingerprint of the only violation by the only key."""
    key = an_api_key(id=id, name=key_name, remaining_quota=None)
    policies = Policies([Policy(**{policy: True}, line=line)])
    state = a_read_state(key, name=account, policies=policies)
    (result,) = sarif(audit.violations([state], NOW))["results"]
    return result["partialFingerprints"]["accountKeyPolicy/v1"]


def test_a_policy_that_is_in_no_file_points_to_the_first_line():
    state = a_read_state(an_api_key(), policies=Policies([Policy(model_limits=True)]))
    (result,) = sarif(audit.violations([state], NOW))["results"]

    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_without_violations_the_sarif_is_valid_and_empty():
    run = sarif([])

    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


def test_an_account_that_could_not_be_read_makes_the_run_unsuccessful():
    run = sarif([], notes=["dark: not audited"])

    assert run["invocations"][0]["executionSuccessful"] is False


def test_without_a_configuration_file_there_is_no_location():
    (result,) = sarif(found(an_api_key(**{**GOOD, "model_limits": None})), file=None)["results"]

    assert "locations" not in result


def test_more_than_a_code_host_takes_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(audit, "MOST_RESULTS", 1)
    run = sarif(found(an_api_key(**{**GOOD, "model_limits": None, "ip_allowlist": None})))

    assert len(run["results"]) == 1
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("1 more violations are omitted")

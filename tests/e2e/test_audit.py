"""`--audit` and `--output.format`, as the installed program runs them."""

import json

import jsonschema
import pytest
from binaries import require_schema
from builders import CANARY_KEY, CANARY_TOKEN, WIRE_NOW, a_wire_key
from gateway import Gateway
from processes import run_exporter

SECRET_ADDRESS = "198.51.100.77"
SECRET_MODEL = "canary-model"
GOOD = a_wire_key(
    1,
    name="web",
    allow_ips=SECRET_ADDRESS,
    model_limits_enabled=True,
    model_limits=SECRET_MODEL,
)
OPEN = a_wire_key(2, name="open", allow_ips=f"{SECRET_ADDRESS}\n0.0.0.0/0")
FILE = """\
accounts:
  - {{name: main, base_url: "{url}", access_token_env: TOKEN, allow_insecure_http: true}}
{more}policies:
{policies}"""
ADDRESSES = "  - ip_allowlist: true\n"
DARK = '  - {name: dark, base_url: "http://127.0.0.1:9", access_token_env: TOKEN}\n'


def audited(folder, *flags, keys=(GOOD, OPEN), more="", policies=ADDRESSES, mode="--audit"):
    """Run the audit of *keys* in *folder*, which holds the configuration file."""
    with Gateway(keys=list(keys)) as gateway:
        file = folder / "accounts.yml"
        text = FILE.format(url=gateway.url, more=more, policies=policies)
        file.write_text(text, encoding="utf-8")
        done = run_exporter(mode, f"--config.file={file}", *flags, TOKEN=CANARY_TOKEN)
    for secret in (CANARY_TOKEN, CANARY_KEY, SECRET_ADDRESS, SECRET_MODEL):
        assert secret not in done.stdout + done.stderr
    return done


def test_keys_that_meet_the_policies_exit_0(tmp_path):
    done = audited(tmp_path, keys=[GOOD])

    assert (done.returncode, done.stdout.strip()) == (0, "0 violations by 0 keys of 1")


def test_a_violation_exits_3_and_says_what_to_do(tmp_path):
    done = audited(tmp_path)

    assert done.returncode == 3
    assert "main: 'open' (id 2, group '') works from every address" in done.stdout
    assert "fix: List the addresses" in done.stdout


@pytest.mark.parametrize("keys", [[GOOD], [GOOD, OPEN]])
def test_an_account_that_cannot_be_read_exits_1_whatever_the_others_do(tmp_path, keys):
    done = audited(tmp_path, keys=keys, more=DARK)

    assert done.returncode == 1
    assert "dark: not audited: " in done.stderr


def test_no_policy_exits_2_and_says_where_to_set_one():
    with Gateway(keys=[GOOD]) as gateway:
        done = run_exporter("--audit", gateway=gateway)

    assert done.returncode == 2
    assert "--audit: requires policies" in done.stderr


def test_a_wrong_policy_exits_2_with_its_place(tmp_path):
    done = audited(tmp_path, more="  - 7\n")

    assert done.returncode == 2
    assert "accounts[1]: expected a mapping" in done.stderr


def test_the_json_can_be_read_by_a_script(tmp_path):
    done = audited(tmp_path, "--output.format=json")

    (violation,) = json.loads(done.stdout)["violations"]
    assert (done.returncode, violation["key_id"], violation["policy"]) == (3, 2, "ip_allowlist")


def test_the_sarif_points_to_the_line_of_the_policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy files").mkdir()
    done = audited(tmp_path / "deploy files", "--output.format=sarif")

    (result,) = json.loads(done.stdout)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "deploy%20files/accounts.yml"
    assert place["region"] == {"startLine": 4}


EVERY_KIND = """\
  - {max_lifetime: 90d, limited_quota: true, ip_allowlist: true, model_limits: true}
  - {max_unused: 30d, name: "[a-z]+", groups: [production]}
"""
# Breaks all seven kinds of policies; its name is to be escaped in JSON, on terminals and in Markdown.
CARELESS = a_wire_key(
    3,
    name='\x1b[31m"<b>`',
    group="vip",
    unlimited_quota=True,
    created_time=WIRE_NOW - 100 * 86_400,
    accessed_time=WIRE_NOW - 90 * 86_400,
    expired_time=-1,
)


@pytest.fixture(scope="module")
def schema():
    """Return a validator with the schema that the standard publishes."""
    return jsonschema.Draft4Validator(require_schema("sarif-2.1.0.json"))


@pytest.mark.parametrize(
    ("given", "results"),
    [
        ({"keys": [GOOD]}, 0),
        ({"keys": [GOOD, OPEN]}, 1),
        ({"keys": [OPEN], "more": DARK}, 1),
        ({"keys": [CARELESS], "policies": EVERY_KIND}, 7),
    ],
    ids=["none breaks", "one breaks", "an account cannot be read", "all kinds are broken"],
)
def test_the_sarif_is_what_its_standard_requires(tmp_path, schema, given, results):
    done = audited(tmp_path, "--output.format=sarif", **given)

    log = json.loads(done.stdout)
    assert [error.message for error in schema.iter_errors(log)] == []
    assert len(log["runs"][0]["results"]) == results


def test_the_schema_of_sarif_rejects_a_level_that_does_not_exist(tmp_path, schema):
    log = json.loads(audited(tmp_path, "--output.format=sarif").stdout)
    log["runs"][0]["results"][0]["level"] = "fatal"

    assert not schema.is_valid(log)


@pytest.mark.parametrize("mode", ["--check", "--once", "--config.check"])
def test_sarif_is_for_the_audit_alone(tmp_path, mode):
    done = audited(tmp_path, "--output.format=sarif", mode=mode)

    assert done.returncode == 2
    assert "sarif requires --audit" in done.stderr


def test_the_check_as_json_names_accounts_results_and_findings(tmp_path):
    expired = a_wire_key(3, expired_time=WIRE_NOW - 1_000)
    done = audited(
        tmp_path, "--output.format=json", keys=[GOOD, expired], mode="--check", more=DARK
    )

    main, dark = json.loads(done.stdout)["accounts"]
    assert done.returncode == 1
    assert (main["name"], main["result"], main["keys"], main["usable"]) == ("main", "up", 2, 1)
    assert main["gateway"].startswith("http://127.0.0.1:")
    assert isinstance(main["balance_usd"], float)
    assert any("expired" in finding["message"] for finding in main["findings"])
    assert (dark["keys"], dark["usable"], dark["balance_usd"]) == (None, None, None)
    assert dark["result"] == "failing: unreachable"
    assert dark["findings"][0]["advice"]


def test_four_keys_of_the_demo_break_its_policies():
    done = run_exporter("--demo", "--audit", "--output.format=json")

    broken = {
        each["key_id"]: each["policy"]
        for each in json.loads(done.stdout)["violations"]
        if each["account"] == "demo"
    }
    assert done.returncode == 1  # account blocked of the demo cannot be read
    assert broken == {1122: "limited_quota", 1113: "max_unused", 1112: "max_unused", 1110: "groups"}

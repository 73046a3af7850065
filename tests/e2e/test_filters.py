"""Filters, the maximum of keys and shards, as the installed program acts on them."""

import re

from builders import CANARY_TOKEN, a_wire_key
from gateway import Gateway
from processes import run_exporter

KEYS = [
    a_wire_key(4, name="tmp/nightly", group="sandbox"),
    a_wire_key(3, name="web", group="production"),
    a_wire_key(2, name="two\nlines", group="sandbox"),
    a_wire_key(1, name="loose"),
]


def once(*flags, gateway_keys=KEYS, **variables):
    with Gateway(keys=gateway_keys) as gateway:
        variables = {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN, "COMETAPI_BASE_URL": gateway.url} | variables
        return run_exporter("--once", *flags, **variables)


def shown(exposition):
    return re.findall(r'^cometapi_key_status\{.*?key_name="(.*?)"', exposition, flags=re.MULTILINE)


def value(exposition, series):
    (found,) = re.findall(rf"^{re.escape(series)} (\S+)$", exposition, flags=re.MULTILINE)
    return float(found)


def test_excluded_keys_are_in_no_series_and_no_count_but_their_own():
    done = once("--keys.exclude=sandbox/.*")

    assert sorted(shown(done.stdout)) == ["loose", "web"]
    assert 'group="sandbox"' not in done.stdout
    assert value(done.stdout, 'cometapi_exporter_excluded_keys{account="default"}') == 2


def test_only_included_keys_are_shown_whatever_their_names_contain():
    done = once(COMETAPI_EXPORTER_KEYS_INCLUDE="sandbox/t.*")

    assert sorted(shown(done.stdout)) == ["tmp/nightly", r"two\nlines"]


def test_check_counts_the_keys_that_are_left():
    with Gateway(keys=KEYS) as gateway:
        done = run_exporter(
            "--check", "--keys.exclude=/.*", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url
        )

    assert "1 key is excluded by --keys.include and --keys.exclude" in done.stdout


def test_an_account_with_more_keys_than_the_maximum_fails_as_too_many_keys():
    done = once("--keys.max=3")

    assert done.returncode == 1
    assert "reason=too_many_keys" in done.stderr


def test_two_shards_read_different_accounts_and_say_which_shard_they_are(tmp_path):
    (tmp_path / "token").write_text(CANARY_TOKEN)
    with Gateway(keys=KEYS) as gateway:
        (tmp_path / "a.yml").write_text(
            "accounts: [{name: a, access_token_file: token}, {name: d, access_token_file: token}]\nkeys: {exclude: x}\n"
        )
        flags = (f"--config.file={tmp_path}/a.yml", f"--cometapi.base-url={gateway.url}", "--shards.total=3")
        shards = [run_exporter("--once", *flags, f"--shards.index={index}").stdout for index in (0, 1)]

    assert [re.findall(r'cometapi_up\{account="(.)"\}', shard) for shard in shards] == [["d"], ["a"]]
    for index, shard in enumerate(shards):
        assert value(shard, "cometapi_exporter_shards") == 3
        assert value(shard, "cometapi_exporter_shard_index") == index
        assert value(shard, "cometapi_exporter_accounts") == 1

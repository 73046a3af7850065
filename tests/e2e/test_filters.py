"""Filters and shards, as the installed program acts on them."""

import re

from builders import CANARY_TOKEN, a_wire_key
from gateway import Gateway
from processes import accounts_file, run_exporter, samples_of

KEYS = [
    a_wire_key(4, name="tmp/nightly", group="sandbox"),
    a_wire_key(3, name="web", group="production"),
    a_wire_key(2, name="two\nlines", group="sandbox"),
    a_wire_key(1, name="loose"),
]


def shown(exposition):
    return re.findall(r'^cometapi_key_status\{.*?key_name="(.*?)"', exposition, flags=re.MULTILINE)


def test_excluded_keys_are_in_no_series_and_no_count_but_their_own():
    with Gateway(keys=KEYS) as gateway:
        done = run_exporter(
            "--once", "--keys.exclude=/.*", "--keys.include=(sandbox)?/.*", gateway=gateway
        )

    assert sorted(shown(done.stdout)) == ["tmp/nightly", r"two\nlines"]
    assert 'group="production"' not in done.stdout
    assert samples_of(done.stdout)['cometapi_exporter_excluded_keys{account="default"}'] == 2


def test_two_shards_read_different_accounts_and_say_which_shard_they_are(tmp_path):
    with Gateway(keys=KEYS) as gateway:
        flags = (accounts_file(tmp_path, {"a": gateway, "d": gateway}), "--shards.total=3")
        shards = [
            samples_of(
                run_exporter("--once", *flags, f"--shards.index={index}", TOKEN=CANARY_TOKEN).stdout
            )
            for index in (0, 1)
        ]

    for index, (shard, account) in enumerate(zip(shards, "da", strict=True)):
        assert {name for name in shard if name.startswith("cometapi_up")} == {
            f'cometapi_up{{account="{account}"}}'
        }
        assert shard["cometapi_exporter_shards"] == 3
        assert shard["cometapi_exporter_shard_index"] == index
        assert shard["cometapi_exporter_accounts"] == 1


def test_a_shard_without_accounts_prints_its_own_metrics(tmp_path):
    with Gateway(keys=KEYS) as gateway:
        flags = (
            accounts_file(tmp_path, {"a": gateway, "d": gateway}),
            "--shards.total=3",
            "--shards.index=2",
        )
        done = run_exporter("--once", *flags, TOKEN=CANARY_TOKEN)

    assert done.returncode == 0
    assert samples_of(done.stdout)["cometapi_exporter_accounts"] == 0


def test_names_that_hang_other_engines_are_matched_at_once(tmp_path):
    """Each expression with a name that it takes a backtracking engine for ever to reject."""
    hostile = [
        a_wire_key(3, name="a" * 40 + "!", group="x"),
        a_wire_key(2, name="test" * 30, group="x"),
        a_wire_key(1, name="a-" * 60, group="x"),
    ]
    with Gateway(keys=hostile) as gateway:
        file = tmp_path / "accounts.yml"
        file.write_text(
            f"accounts: [{{name: a, base_url: '{gateway.url}', access_token_env: TOKEN}}]\n"
            "keys: {include: '.*/(.*a.*-?)+|.*/(\\w+-?)+', exclude: '.*/(test.*)+-tmp'}\n"
            "thresholds: [{keys: '(.*-)*prod', low_quota_usd: 1}]\n"
        )
        done = run_exporter("--once", f"--config.file={file}", TOKEN=CANARY_TOKEN)

    assert done.returncode == 0
    assert sorted(shown(done.stdout)) == ["a-" * 60, "a" * 40 + "!", "test" * 30]


def test_a_single_account_has_the_name_that_was_chosen_and_white_space_does_not_count():
    with Gateway(keys=KEYS) as gateway:
        done = run_exporter(
            "--once",
            "--cometapi.account-name=team a",
            gateway=gateway,
            COMETAPI_EXPORTER_KEYS_INCLUDE="production/.*\r",
        )

    assert samples_of(done.stdout)['cometapi_up{account="team a"}'] == 1
    assert shown(done.stdout) == ["web"]

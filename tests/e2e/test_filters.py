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

"""A gateway that sends what is small on the wire and dear to decode keeps no probe, no scrape and no end waiting."""

import gzip
import time

from builders import CANARY_TOKEN, a_wire_key, wire_keys
from gateway import Gateway, always, answer
from processes import Exporter, accounts_file, run_exporter, samples_of, wait_until

LIMIT_SECONDS = 2.0
"""A quarter of a second on a quiet machine; before pages were bounded and decoded off the loop, 5 to 9 s."""


PAGE = b'{"success": true, "data": {"total": 1, "items": [{"id": 1, "status": 1.5, "name": "%s"}]}}'
BREAKS = gzip.compress(PAGE % (rb"\n" * 3_900_000), 9)
GZIPPED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def test_a_page_that_is_dear_to_decode_holds_up_no_probe_and_no_other_account(tmp_path):
    """A key that cannot be read, with a name of line breaks; unit/cometapi/test_wire has what is refused undecoded."""
    with (
        Gateway(faults=always(answer(200, BREAKS, GZIPPED))) as dear,
        Gateway(keys=wire_keys(3)) as healthy,
        Exporter(
            accounts_file(tmp_path, {"hostile": dear, "healthy": healthy}),
            "--collect.interval=500ms",
            TOKEN=CANARY_TOKEN,
        ) as exporter,
    ):
        exporter.wait_ready()
        waits = []
        for _ in range(30):
            began = time.monotonic()
            assert exporter.get("/-/healthy").status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.1)
        refreshes = 'cometapi_exporter_refreshes_total{account="healthy"}'
        before = exporter.samples()[refreshes]
        wait_until(lambda: exporter.samples()[refreshes] >= before + 3)
        began = time.monotonic()
        code = exporter.stop()

    assert max(waits) < LIMIT_SECONDS
    assert (code, time.monotonic() - began < 8) == (0, True)


def test_what_is_beyond_the_bounds_of_names_and_groups_is_summed_and_counted():
    """1,002 keys may have 56,072 bytes in labels: 48 of each name fit, with groups of 5."""
    long_ones = [a_wire_key(n, name="x" * 200, group=f"g{n}") for n in range(3, 1003)]
    short_ones = [a_wire_key(n, name="app", group=f"g{n}") for n in (1, 2)]
    with Gateway(keys=[*long_ones, *short_ones]) as gateway:
        done = run_exporter("--once", gateway=gateway)

    found = samples_of(done.stdout)
    of_default = '{account="default"}'
    counted = [name for name in found if name.startswith("cometapi_keys_usable{")]
    assert len(counted) == 1000
    assert found['cometapi_keys_usable{account="default",group="other"}'] == 3
    assert sum(found[name] for name in counted) == 1002
    assert found[f"cometapi_exporter_folded_groups{of_default}"] == 3
    assert found[f"cometapi_exporter_shortened_keys{of_default}"] == 1000
    assert f'key_name="{"x" * 48}"' in done.stdout
    assert "x" * 49 not in done.stdout

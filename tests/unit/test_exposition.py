"""What a scrape gets, byte for byte; in time, and chosen by name."""

import asyncio
import gzip
import os
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from binaries import require
from domain import NOW, FakeWorld, a_balance, a_read_state, a_snapshot, a_state, an_api_key, failure
from prometheus_client import Counter

from exporter.errors import Reason
from exporter.exposition import Exposition
from exporter.rendering import Form, render
from exporter.snapshot import Snapshot
from exporter.telemetry import Telemetry

GOLDEN = Path(__file__).parents[1] / "golden"
REFRESH = "REFRESH_GOLDEN"
FORMS = [pytest.param(Form.TEXT, id="text"), pytest.param(Form.OPENMETRICS, id="openmetrics")]
PACKINGS = [pytest.param(True, id="gzip"), pytest.param(False, id="plain")]

ODD_KEYS = (
    an_api_key(id=1, name="plain"),
    an_api_key(
        id=2, name='quo"te', group="vip", expires_at=NOW + 90, remaining_quota=-12, used_quota=9_007_199_254_740_993
    ),
    an_api_key(id=3, name="back\\slash", group="vip", status=2, expires_at=NOW - 30, created_at=None),
    an_api_key(id=4, name="line\nbreak", group='g"\\\n', status=3, last_used_at=None),
    an_api_key(id=5, name="ключ 密钥 🔑", status=4, remaining_quota=0),
    an_api_key(id=6, name="", status=77, remaining_quota=None, expires_at=NOW),
    an_api_key(id=7, name="twin", has_model_limits=True, has_ip_allowlist=True, has_cross_group_retry=True),
    an_api_key(id=8, name="twin", group="vip", remaining_quota=1, expires_at=NOW + 86_400),
)


def odd_snapshot():
    return Snapshot.of(
        [
            a_read_state(*ODD_KEYS, balance=a_balance()),
            a_read_state(name="empty", at=NOW - 60, interval_seconds=300.0).failed(failure(Reason.TIMEOUT), NOW),
            a_state(name="new", configured_units_per_usd=1_000.0),
        ]
    )


class Scraped:
    """An exposition of a snapshot that a test exchanges, in a time that a test turns."""

    def __init__(self, snapshot, *, own=()):
        self.snapshot = snapshot
        self.world = FakeWorld()
        self.exposition = Exposition(current=lambda: self.snapshot, own=own, clock=self.world.clock)

    def whole(self, form=Form.TEXT, *, gzipped=False):
        return asyncio.run(self.exposition.whole(form, gzipped=gzipped))

    def text(self):
        return self.whole().decode()

    def chosen(self, *names, form=Form.TEXT, gzipped=False):
        return asyncio.run(self.exposition.chosen(names, form, gzipped=gzipped))


def lines(text, name):
    return [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]


def key_id(line):
    return line.split('key_id="')[1].split('"')[0]


def test_quotes_backslashes_newlines_and_every_script_stand_in_the_labels():
    assert lines(Scraped(odd_snapshot()).text(), "cometapi_key_status") == [
        'cometapi_key_status{account="main",group="vip",key_id="8",key_name="twin"} 1.0',
        'cometapi_key_status{account="main",group="",key_id="7",key_name="twin"} 1.0',
        'cometapi_key_status{account="main",group="",key_id="6",key_name=""} 77.0',
        'cometapi_key_status{account="main",group="",key_id="5",key_name="ключ 密钥 🔑"} 4.0',
        'cometapi_key_status{account="main",group="g\\"\\\\\\n",key_id="4",key_name="line\\nbreak"} 3.0',
        'cometapi_key_status{account="main",group="vip",key_id="3",key_name="back\\\\slash"} 2.0',
        'cometapi_key_status{account="main",group="vip",key_id="2",key_name="quo\\"te"} 1.0',
        'cometapi_key_status{account="main",group="",key_id="1",key_name="plain"} 1.0',
    ]


def test_remaining_quota_leaves_the_unlimited_out_and_goes_below_zero():
    found = lines(Scraped(odd_snapshot()).text(), "cometapi_key_remaining_quota")

    assert [(key_id(line), line.rsplit(" ", 1)[1]) for line in found] == [
        ("8", "1.0"),
        ("7", "500000.0"),
        ("5", "0.0"),
        ("4", "500000.0"),
        ("3", "500000.0"),
        ("2", "-12.0"),
        ("1", "500000.0"),
    ]


def test_the_countdown_is_as_of_the_scrape():
    scraped = Scraped(odd_snapshot())
    scraped.world.pass_by(0.25)

    assert lines(scraped.text(), "cometapi_key_expires_in_seconds") == [
        'cometapi_key_expires_in_seconds{account="main",group="vip",key_id="8",key_name="twin"} 86399.75',
        'cometapi_key_expires_in_seconds{account="main",group="",key_id="6",key_name=""} -0.25',
        'cometapi_key_expires_in_seconds{account="main",group="vip",key_id="3",key_name="back\\\\slash"} -30.25',
        'cometapi_key_expires_in_seconds{account="main",group="vip",key_id="2",key_name="quo\\"te"} 89.75',
    ]


def test_accounts_say_how_they_are():
    text = Scraped(odd_snapshot()).text()

    assert lines(text, "cometapi_up") == ['cometapi_up{account="main"} 1.0', 'cometapi_up{account="empty"} 0.0']
    assert lines(text, "cometapi_exporter_last_success_timestamp_seconds") == [
        'cometapi_exporter_last_success_timestamp_seconds{account="main"} 1.75e+09',
        'cometapi_exporter_last_success_timestamp_seconds{account="empty"} 1.74999994e+09',
    ]
    assert lines(text, "cometapi_quota_units_per_usd") == [
        'cometapi_quota_units_per_usd{account="main"} 500000.0',
        'cometapi_quota_units_per_usd{account="empty"} 500000.0',
        'cometapi_quota_units_per_usd{account="new"} 1000.0',
    ]


def telemetry():
    counted = Telemetry(version="0.0.0")
    counted.prepare("main")
    counted.refresh_ended("main", "success", 0.75)
    counted.request_sent("main", "/api/token/", "200")
    _, *others = counted.collectors
    return others


@pytest.mark.parametrize(
    ("form", "file"), [(Form.TEXT, "exposition.txt"), (Form.OPENMETRICS, "exposition.openmetrics")]
)
def test_the_whole_is_as_reviewed(form, file):
    """After a change on purpose: run with REFRESH_GOLDEN=1, and review the difference."""
    served = Scraped(odd_snapshot(), own=telemetry()).whole(form)

    if os.environ.get(REFRESH):
        (GOLDEN / file).write_bytes(served)
    assert served.decode() == (GOLDEN / file).read_text(encoding="utf-8")


def test_promtool_finds_nothing_to_say_about_the_reviewed_text():
    checked = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=(GOLDEN / "exposition.txt").read_bytes(),
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("form", FORMS)
def test_the_packed_answer_is_exactly_one_gzip_member(form):
    scraped = Scraped(odd_snapshot())
    packed = scraped.whole(form, gzipped=True)
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    plain = unpacker.decompress(packed)

    assert (unpacker.eof, unpacker.unused_data, unpacker.unconsumed_tail) == (True, b"", b"")
    assert plain == gzip.decompress(packed) == scraped.whole(form)
    assert len(packed) < len(plain) / 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gzipped", PACKINGS)
def test_without_accounts_or_collectors_the_answer_is_still_whole(form, gzipped):
    body = Scraped(Snapshot.of([])).whole(form, gzipped=gzipped)
    text = (gzip.decompress(body) if gzipped else body).decode()

    assert text.startswith("# HELP cometapi_key_remaining_quota ")
    assert text.endswith("# EOF\n") is (form is Form.OPENMETRICS)
    assert text.count("# TYPE") == 36


def test_when_an_expiry_has_passed_the_next_scrape_tells_it_without_a_refresh():
    scraped = Scraped(a_snapshot(an_api_key(expires_at=NOW + 9)))
    usable = []

    for _ in range(3):
        usable.append(lines(scraped.text(), "cometapi_key_usable")[0][-3:])
        scraped.world.pass_by(5)

    assert usable == ["1.0", "1.0", "0.0"]


def test_after_the_withdrawal_the_next_scrape_has_no_keys():
    scraped = Scraped(a_snapshot(an_api_key(expires_at=NOW + 9), balance=a_balance()))
    scraped.snapshot = Snapshot.of([scraped.snapshot.accounts["main"].withdrawn()])
    text = scraped.text()

    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        'cometapi_quota_units_per_usd{account="main"} 500000.0',
        'cometapi_up{account="main"} 1.0',
        'cometapi_exporter_last_success_timestamp_seconds{account="main"} 1.75e+09',
        'cometapi_exporter_refresh_interval_seconds{account="main"} 60.0',
        'cometapi_exporter_skipped_keys{account="main"} 0.0',
        'cometapi_exporter_excluded_keys{account="main"} 0.0',
    ]


def test_a_success_after_the_withdrawal_brings_the_keys_back():
    scraped = Scraped(a_snapshot(an_api_key()))
    scraped.snapshot = Snapshot.of([scraped.snapshot.accounts["main"].withdrawn()])
    withdrawn = scraped.text()
    scraped.snapshot = a_snapshot(an_api_key(), at=NOW + 4000)

    assert lines(withdrawn, "cometapi_key_status") == []
    assert len(lines(scraped.text(), "cometapi_key_status")) == 1


def test_a_new_snapshot_is_served_even_to_those_who_ask_before_it_was_rendered():
    scraped = Scraped(a_snapshot(an_api_key(id=1)))
    scraped.snapshot = a_snapshot(an_api_key(id=2))

    assert [key_id(line) for line in lines(scraped.text(), "cometapi_key_status")] == ["2"]


def test_between_two_changes_nothing_is_rendered_again():
    scraped = Scraped(a_snapshot(an_api_key(expires_at=NOW + 9)))

    async def renewals():
        first = await scraped.exposition.renew()
        scraped.world.pass_by(9)
        second = await scraped.exposition.renew()
        scraped.world.pass_by(1)
        return first is second, second is await scraped.exposition.renew()

    assert asyncio.run(renewals()) == (True, False)


def test_many_who_come_at_once_have_it_rendered_once(monkeypatch):
    scraped = Scraped(a_snapshot(an_api_key(id=1)))
    rendered = []
    monkeypatch.setattr("exporter.exposition.render", lambda *seen: rendered.append(seen) or render(*seen))
    scraped.snapshot = a_snapshot(an_api_key(id=2))

    async def crowd():
        return await asyncio.gather(*(scraped.exposition.whole(Form.TEXT, gzipped=False) for _ in range(20)))

    assert len(set(asyncio.run(crowd()))) == 1
    assert len(rendered) == 1


def test_the_processs_own_counters_are_as_of_the_scrape():
    counter = Counter("own_things", "Things.", registry=None)
    scraped = Scraped(a_snapshot(), own=[counter])
    before = lines(scraped.text(), "own_things_total")
    counter.inc()

    assert (before, lines(scraped.text(), "own_things_total")) == (["own_things_total 0.0"], ["own_things_total 1.0"])


def test_two_families_of_one_name_are_refused_at_the_start():
    with pytest.raises(ValueError, match="cometapi_up"):
        Scraped(a_snapshot(), own=[Counter("cometapi_up", "A clash.", registry=None)])


@pytest.mark.parametrize(
    ("names", "served"),
    [
        (["cometapi_up"], {"cometapi_up"}),
        (["cometapi_up", "cometapi_key_info"], {"cometapi_up", "cometapi_key_info"}),
        (["cometapi_key_expires_in_seconds"], {"cometapi_key_expires_in_seconds"}),
        (["cometapi_exporter_refreshes_total"], {"cometapi_exporter_refreshes_total"}),
        (["nobody"], set()),
        (["cometapi_up", "nobody", ""], {"cometapi_up"}),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_chosen_names_alone_are_served(names, served, form):
    body = Scraped(odd_snapshot(), own=telemetry()).chosen(*names, form=form).decode()

    assert {line.split("{")[0] for line in body.splitlines() if not line.startswith("#")} == served
    assert body.endswith("# EOF\n") is (form is Form.OPENMETRICS)


@pytest.mark.parametrize("form", FORMS)
def test_chosen_names_say_the_same_as_the_whole_and_are_packed_alike(form):
    scraped = Scraped(odd_snapshot(), own=telemetry())
    scraped.world.pass_by(1.5)
    name = "cometapi_key_expires_in_seconds"
    packed = scraped.chosen(name, form=form, gzipped=True)

    assert lines(gzip.decompress(packed).decode(), name) == lines(scraped.whole(form).decode(), name)


def test_a_rendering_holds_for_its_snapshot_until_its_moment():
    snapshot = a_snapshot(an_api_key(expires_at=NOW + 9))
    rendering = render(snapshot, NOW)
    twin = replace(snapshot)

    assert [rendering.holds(snapshot, now) for now in (NOW, NOW + 9.9, NOW + 10)] == [True, True, False]
    assert not rendering.holds(twin, NOW)


def test_the_order_and_the_bounds_of_pieces_are_not_seen(monkeypatch):
    """Large accounts are rendered piece by piece; a small piece shows that none is lost at an edge."""
    snapshot = a_snapshot(*(an_api_key(id=id_, expires_at=NOW + id_ if id_ % 2 else None) for id_ in range(1, 12)))
    whole = Scraped(snapshot).text()
    monkeypatch.setattr("exporter.rendering.KEYS_A_PIECE", 3)

    assert Scraped(snapshot).text() == whole
    assert whole.count('key_id="11"') == 10

"""What a scrape gets, byte for byte; in time, and chosen by name."""

import asyncio
import gzip
import os
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from binaries import require
from domain import NOW, a_balance, a_read_state, a_snapshot, a_state, an_api_key, failure
from msgspec.structs import replace as replace_key
from prometheus_client import Counter
from scraped import Scraped

from exporter.errors import Reason
from exporter.exposition.rendering import Form, jobs, render
from exporter.exposition.scrape import chunks
from exporter.exposition.stretches import combine, deflate
from exporter.exposition.telemetry import Telemetry
from exporter.filters import Threshold
from exporter.model import Usage, UsageRow
from exporter.snapshot import Snapshot

GOLDEN = Path(__file__).parents[2] / "golden"
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
    served = Scraped(odd_snapshot(), own=telemetry()).plain(form=form)

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
    packed = scraped.packed(form=form)
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    plain = unpacker.decompress(packed)

    assert (unpacker.eof, unpacker.unused_data, unpacker.unconsumed_tail) == (True, b"", b"")
    assert plain == gzip.decompress(packed) == scraped.plain(form=form)
    assert len(packed) < len(plain) / 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gzipped", PACKINGS)
def test_without_accounts_or_collectors_the_answer_is_still_whole(form, gzipped):
    text = Scraped(Snapshot.of([])).body(form=form, gzipped=gzipped).decode()

    assert text.startswith("# HELP cometapi_key_remaining_quota ")
    assert text.endswith("# EOF\n") is (form is Form.OPENMETRICS)
    assert text.count("# TYPE") == 36


def test_an_expiry_is_caught_up_with_before_the_next_refresh_and_no_scrape_waits_for_it():
    scraped = Scraped(a_snapshot(an_api_key(expires_at=NOW + 9)))

    def usable():
        return [lines(scraped.text(), name)[0][-3:] for name in ("cometapi_key_usable", "cometapi_keys_usable")]

    scraped.catch_up()
    before = usable()
    scraped.world.pass_by(10)
    meanwhile = usable()
    scraped.catch_up()

    assert (before, meanwhile, usable()) == (["1.0", "1.0"], ["1.0", "1.0"], ["0.0", "0.0"])


def test_a_clock_that_is_set_back_brings_an_expired_key_back():
    scraped = Scraped(a_snapshot(an_api_key(expires_at=NOW + 9)), now=NOW + 20)
    expired = lines(scraped.text(), "cometapi_key_usable")[0][-3:]
    scraped.world.now = NOW
    scraped.catch_up()

    assert (expired, lines(scraped.text(), "cometapi_key_usable")[0][-3:]) == ("0.0", "1.0")


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
@pytest.mark.parametrize("gzipped", PACKINGS)
@pytest.mark.parametrize("form", FORMS)
def test_chosen_names_alone_are_served(names, served, form, gzipped):
    body = Scraped(odd_snapshot(), own=telemetry()).body(*names, form=form, gzipped=gzipped).decode()

    assert {line.split("{")[0] for line in body.splitlines() if not line.startswith("#")} == served
    assert body.endswith("# EOF\n") is (form is Form.OPENMETRICS)


@pytest.mark.parametrize("form", FORMS)
def test_chosen_names_say_the_same_as_the_whole_and_are_packed_alike(form):
    scraped = Scraped(odd_snapshot(), own=telemetry())
    scraped.world.pass_by(1.5)
    name = "cometapi_key_expires_in_seconds"
    chosen = scraped.body(name, form=form, gzipped=True).decode()

    assert lines(chosen, name) == lines(scraped.plain(form=form).decode(), name)


# What is rendered again.


def some_keys(count, **over):
    """Build keys of which every fourth ends a piece, with these facts."""
    return [an_api_key(id=number, expires_at=NOW + 3600, **over) for number in range(count, 0, -1)]


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr("exporter.exposition.rendering.KEYS_A_PIECE", 4)


def stretches(rendered):
    """List the stretches of the pieces by name of family and position of the piece."""
    return {(name, n): s for n, piece in enumerate(rendered.pieces) for name, s in piece.stretches.items()}


def changed(before, after):
    """Name the stretches of *after* that are not those of *before*."""
    kept = {id(stretch) for stretch in stretches(before).values()}
    return {place for place, stretch in stretches(after).items() if id(stretch) not in kept}


def rendered_twice(keys, others, *, now=NOW, **over):
    """Render an account with *keys*, then with *others* at *now*."""
    before = render(a_read_state(*keys), NOW)
    return before, render(a_read_state(*others, **over), now, before)


@pytest.mark.usefixtures("small_pieces")
def test_a_refresh_without_changes_renders_no_piece_again():
    before, after = rendered_twice(some_keys(40), some_keys(40), now=NOW + 60)

    assert len(before.pieces) > 5
    assert changed(before, after) == set()


@pytest.mark.usefixtures("small_pieces")
def test_a_key_that_was_used_changes_its_piece_in_the_families_of_use_alone():
    keys = some_keys(40)
    used = [replace_key(key, used_quota=key.used_quota + 5) if key.id == 20 else key for key in keys]
    before, after = rendered_twice(keys, used)

    (place,) = changed(before, after)
    assert place[0] == "cometapi_key_used_quota"
    assert any(key.id == 20 for key in after.pieces[place[1]].view.keys)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("gone", [1, 20, 40], ids=["oldest", "middle", "newest"])
def test_a_key_more_or_less_changes_one_piece(gone):
    keys = some_keys(40)
    fewer = [key for key in keys if key.id != gone]
    for old, new in ((keys, fewer), (fewer, keys)):
        before, after = rendered_twice(old, new)
        assert len({position for _, position in changed(before, after)}) <= 2


@pytest.mark.usefixtures("small_pieces")
def test_an_expiry_renders_one_stretch_of_the_piece_of_its_key():
    keys = [replace_key(key, expires_at=NOW + 5) if key.id == 20 else key for key in some_keys(40)]
    before, after = rendered_twice(keys, keys, now=NOW + 6)

    assert {name for name, _ in changed(before, after)} == {"cometapi_key_usable"}
    assert len(changed(before, after)) == 1


@pytest.mark.usefixtures("small_pieces")
def test_an_account_that_cannot_pay_any_more_changes_what_its_keys_can_do():
    keys = some_keys(40)
    before, after = rendered_twice(keys, keys, balance=a_balance(remaining_quota=0))

    assert {name for name, _ in changed(before, after)} == {"cometapi_key_usable"}
    assert len(changed(before, after)) == len(after.pieces)


@pytest.mark.usefixtures("small_pieces")
def test_new_thresholds_change_the_families_of_thresholds_alone():
    keys = some_keys(40)
    before, after = rendered_twice(keys, keys, thresholds=(Threshold(low_quota_usd=1.0),))

    assert {name for name, _ in changed(before, after)} == {"cometapi_key_low_quota_threshold"}


def test_usage_that_did_not_change_is_not_rendered_again():
    usage = Usage(rows=(UsageRow(model="m", quota=1),))
    state = replace(a_read_state(an_api_key()), usage=usage)
    before = render(state, NOW)
    same = render(replace(state, skipped=1), NOW, before)
    grown = render(replace(state, usage=Usage(rows=(UsageRow(model="m", quota=2),))), NOW, before)

    name = "cometapi_usage_quota_total"
    assert same.usage[name] is before.usage[name]
    assert grown.usage[name].plain == b'cometapi_usage_quota_total{account="main",model="m"} 2.0\n'


def test_a_new_name_changes_every_line_of_the_key():
    before, after = rendered_twice([an_api_key(name="old")], [an_api_key(name="new")])

    assert changed(before, after) == set(stretches(after))


def test_no_piece_is_larger_than_two_thousand_keys_and_none_is_lost():
    keys = [an_api_key(id=number * 97) for number in range(30_000, 0, -1)]
    pieces = render(a_read_state(*keys), NOW).pieces
    sizes = [len(piece.view.keys) for piece in pieces]

    assert (sum(sizes), max(sizes) <= 2000, 20 < len(sizes) < 60) == (30_000, True, True)


def test_other_accounts_keep_what_is_rendered_when_one_is_refreshed():
    one, other = a_read_state(an_api_key(), name="one"), a_read_state(an_api_key(), name="other")
    scraped = Scraped(Snapshot.of([one, other]))
    scraped.text()
    seen = []
    renewed = a_read_state(an_api_key(used_quota=77), name="one")

    async def refresh():
        with patch(
            "exporter.exposition.scrape.jobs", lambda state, *rest: seen.append(state.name) or jobs(state, *rest)
        ):
            await scraped.exposition.renew(renewed)
        scraped.snapshot = scraped.snapshot.with_account(renewed)

    asyncio.run(refresh())
    assert [line[-4:] for line in lines(scraped.text(), "cometapi_key_used_quota")] == ["77.0", "00.0"]
    assert seen == ["one"]


def test_until_a_new_state_is_rendered_scrapes_get_the_old_one():
    scraped = Scraped(a_snapshot(an_api_key(id=1)))
    renewed = a_read_state(an_api_key(id=2))

    async def scenario():
        renewing = asyncio.create_task(scraped.exposition.renew(renewed))
        await asyncio.sleep(0)
        during = b"".join(await scraped.exposition.gzipped(Form.TEXT))
        await renewing
        scraped.snapshot = Snapshot.of([renewed])
        return during, b"".join(await scraped.exposition.gzipped(Form.TEXT))

    texts = [gzip.decompress(body).decode() for body in asyncio.run(scenario())]
    assert [[key_id(line) for line in lines(text, "cometapi_key_status")] for text in texts] == [["1"], ["2"]]


def test_with_counts_only_no_text_of_a_key_is_rendered_or_kept():
    state = a_read_state(*some_keys(3), counts_only=True)
    text = Scraped(Snapshot.of([state])).text()
    (piece,) = render(state, NOW).pieces

    assert "key_id" not in text
    assert lines(text, "cometapi_keys_usable") == ['cometapi_keys_usable{account="main",group=""} 3.0']
    assert (piece.stretches, piece.expiries) == ({}, {})


@pytest.mark.parametrize("length", [0, 1, 2, 255, 256, 4097, 100_003])
def test_checksums_of_stretches_combine_to_that_of_the_whole(length):
    texts = ["first", "x" * length, "last"]
    found = list(deflate(texts))

    assert combine(found) == (zlib.crc32("".join(texts).encode()), 9 + length)
    assert b"".join(stretch.plain for stretch in found) == "".join(texts).encode()


def test_a_reader_that_is_slow_keeps_a_chunk_and_no_whole_text():
    scraped = Scraped(a_snapshot(*some_keys(3000)))

    async def sizes():
        return [len(chunk) async for chunk in scraped.exposition.plain(Form.TEXT)]

    found = asyncio.run(sizes())
    assert sum(found) > 2_000_000
    assert max(found) < 500_000


def test_a_large_gzip_member_is_sent_by_chunks():
    async def sent():
        return [chunk async for chunk in chunks([b"x" * 80_000, b"", b"y" * 80_000, b"z"])]

    assert [len(chunk) for chunk in asyncio.run(sent())] == [160_000, 1]

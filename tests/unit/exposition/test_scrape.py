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
from domain import NOW, a_balance, a_read_state, a_snapshot, a_state, an_api_key, failure
from msgspec.structs import replace as replace_key
from scraped import Scraped

from exporter.errors import Reason
from exporter.exposition.catalogue import SNAPSHOT_FAMILIES
from exporter.exposition.rendering import Form, render
from exporter.exposition.scrape import chunks
from exporter.exposition.stretches import combine, deflate
from exporter.exposition.telemetry import TELEMETRY_FAMILIES, Telemetry, process_collectors
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
        id=2,
        name='quo"te',
        group="vip",
        expires_at=NOW + 90,
        remaining_quota=-12,
        used_quota=9_007_199_254_740_993,
    ),
    an_api_key(
        id=3, name="back\\slash", group="vip", status=2, expires_at=NOW - 30, created_at=None
    ),
    an_api_key(id=4, name="line\nbreak", group='g"\\\n', status=3, last_used_at=None),
    an_api_key(id=5, name="ключ 密钥 🔑", status=4, remaining_quota=0),
    an_api_key(id=6, name="", status=77, remaining_quota=None, expires_at=NOW),
    an_api_key(
        id=7, name="twin", has_model_limits=True, has_ip_allowlist=True, has_cross_group_retry=True
    ),
    an_api_key(id=8, name="twin", group="vip", remaining_quota=1, expires_at=NOW + 86_400),
)


def odd_snapshot():
    return Snapshot.of(
        [
            a_read_state(*ODD_KEYS, balance=a_balance()),
            a_read_state(name="empty", at=NOW - 60, interval_seconds=300.0).failed(
                failure(Reason.TIMEOUT), NOW
            ),
            a_state(name="new", configured_units_per_usd=1_000.0),
        ]
    )


def lines(text, name):
    return [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]


def key_id(line):
    return line.split('key_id="')[1].split('"')[0]


def telemetry():
    counted = Telemetry(version="0.0.0")
    counted.prepare("main")
    counted.refresh_ended("main", "success", 0.75)
    counted.request_sent("main", "/api/token/", "200")
    return counted


@pytest.mark.parametrize(
    ("form", "file"), [(Form.TEXT, "exposition.txt"), (Form.OPENMETRICS, "exposition.openmetrics")]
)
def test_the_whole_is_as_reviewed(form, file):
    """But for Python's version. After a change on purpose: run with REFRESH_GOLDEN=1, and review the difference."""
    whole = Scraped(odd_snapshot(), telemetry=telemetry()).plain(form=form)
    served = b"".join(
        line for line in whole.splitlines(keepends=True) if b"_build_info" not in line
    )

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
def test_without_accounts_the_answer_is_still_whole(form, gzipped):
    text = Scraped(Snapshot.of([])).body(form=form, gzipped=gzipped).decode()

    assert text.startswith("# HELP cometapi_key_remaining_quota ")
    assert text.endswith("# EOF\n") is (form is Form.OPENMETRICS)
    assert text.count("# TYPE") == len(SNAPSHOT_FAMILIES) + len(TELEMETRY_FAMILIES)


def test_an_expiry_is_caught_up_with_before_the_next_refresh_and_no_scrape_waits_for_it():
    scraped = Scraped(a_snapshot(an_api_key(expires_at=NOW + 9)))

    def usable():
        return [
            lines(scraped.text(), name)[0][-3:]
            for name in ("cometapi_key_usable", "cometapi_keys_usable")
        ]

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


def test_a_success_after_a_withdrawal_brings_everything_back():
    state = replace(a_read_state(an_api_key()), usage=Usage(rows=(UsageRow(model="m"),)))
    scraped = Scraped(Snapshot.of([state]))
    before = scraped.text()
    scraped.show(state.withdrawn())
    scraped.show(state)

    assert scraped.text() == before


def test_scrapes_in_one_second_share_their_bytes_until_something_is_counted_or_shown():
    counted = Telemetry(version="0.0.0")
    scraped = Scraped(a_snapshot(*some_keys(3000)), telemetry=counted)

    async def scenario():
        async def scrapes():
            return await asyncio.gather(*(scraped.exposition.gzipped(Form.TEXT) for _ in range(3)))

        found = await scrapes()
        counted.reload_failed()
        counted.request_sent("main", "/", "200")
        found += await scrapes()
        await scraped.exposition.renew(a_read_state())
        found += await scrapes()
        scraped.world.pass_by(1)
        return found + await scrapes()

    found = asyncio.run(scenario())
    assert [found.index(parts) for parts in found] == [0, 0, 0, 3, 3, 3, 6, 6, 6, 6, 6, 6]
    assert len({id(parts) for parts in found}) == 4


def test_two_families_never_have_one_name():
    names = [family.name for family in (*SNAPSHOT_FAMILIES, *TELEMETRY_FAMILIES)]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("names", "served"),
    [
        (["cometapi_up"], {"cometapi_up"}),
        (["cometapi_up", "cometapi_key_info"], {"cometapi_up", "cometapi_key_info"}),
        (["cometapi_key_expires_in_seconds"], {"cometapi_key_expires_in_seconds"}),
        (["cometapi_exporter_refreshes_total"], {"cometapi_exporter_refreshes_total"}),
        (["python_info"], {"python_info"}),
        (["nobody"], set()),
        (["cometapi_up", "nobody", ""], {"cometapi_up"}),
    ],
)
@pytest.mark.parametrize("gzipped", PACKINGS)
@pytest.mark.parametrize("form", FORMS)
def test_chosen_names_alone_are_served(names, served, form, gzipped):
    scraped = Scraped(odd_snapshot(), telemetry=telemetry(), process=process_collectors())
    body = scraped.body(*names, form=form, gzipped=gzipped).decode()

    assert {line.split("{")[0] for line in body.splitlines() if not line.startswith("#")} == served
    assert body.endswith("# EOF\n") is (form is Form.OPENMETRICS)


# What is rendered again.


def some_keys(count, **over):
    """Build keys of which every fourth ends a piece, with these facts."""
    return [an_api_key(id=number, expires_at=NOW + 3600, **over) for number in range(count, 0, -1)]


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr("exporter.exposition.rendering.KEYS_A_PIECE", 4)


def stretches(account):
    """List the stretches of the pieces by name of family and position of the piece."""
    return {
        (name, n): s
        for n, piece in enumerate(account.pieces)
        for name, s in piece.stretches.items()
    }


def changed(before, after):
    """Name the stretches of *after* that are not those of *before*."""
    kept = {id(stretch) for stretch in stretches(before).values()}
    return {place for place, stretch in stretches(after).items() if id(stretch) not in kept}


def rendered(*account):
    """Render an account at once."""
    *_, found = render(*account)
    return found


def rendered_twice(keys, others, *, now=NOW, **over):
    """Render an account with *keys*, then with *others* at *now*."""
    before = rendered(a_read_state(*keys), NOW)
    return before, rendered(a_read_state(*others, **over), now, before)


@pytest.mark.usefixtures("small_pieces")
def test_a_refresh_without_changes_renders_no_piece_again():
    before, after = rendered_twice(some_keys(40), some_keys(40), now=NOW + 60)

    assert len(before.pieces) > 5
    assert changed(before, after) == set()


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("fact", "family"),
    [
        ({"used_quota": 5}, "cometapi_key_used_quota"),
        ({"has_ip_allowlist": True}, "cometapi_key_info"),
    ],
)
def test_a_key_that_changes_changes_its_piece_in_the_families_of_the_change_alone(fact, family):
    keys = some_keys(40)
    before, after = rendered_twice(
        keys, [replace_key(key, **fact) if key.id == 20 else key for key in keys]
    )

    (place,) = changed(before, after)
    assert place[0] == family
    assert any(key.id == 20 for key in after.pieces[place[1]].keys)


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
    before = rendered(state, NOW)
    same = rendered(replace(state, skipped=1), NOW, before)
    grown = rendered(replace(state, usage=Usage(rows=(UsageRow(model="m", quota=2),))), NOW, before)

    name = "cometapi_usage_quota_total"
    assert same.usage[name] is before.usage[name]
    assert grown.usage[name].plain == b'cometapi_usage_quota_total{account="main",model="m"} 2.0\n'


def test_a_new_name_changes_every_line_of_the_key():
    before, after = rendered_twice([an_api_key(name="old")], [an_api_key(name="new")])

    assert changed(before, after) == set(stretches(after))


def test_no_piece_is_larger_than_two_thousand_keys_and_none_is_lost():
    keys = [an_api_key(id=number * 97) for number in range(30_000, 0, -1)]
    pieces = rendered(a_read_state(*keys), NOW).pieces
    sizes = [len(piece.keys) for piece in pieces]

    assert (sum(sizes), max(sizes) <= 2000, 20 < len(sizes) < 60) == (30_000, True, True)


def test_until_a_new_state_is_rendered_scrapes_get_the_old_one_and_other_accounts_stay():
    scraped = Scraped(
        Snapshot.of(
            [a_read_state(an_api_key(id=1), name="b"), a_read_state(an_api_key(id=7), name="a")]
        )
    )

    async def scenario():
        renewing = asyncio.create_task(
            scraped.exposition.renew(a_read_state(an_api_key(id=2), name="b"))
        )
        await asyncio.sleep(0)
        during = b"".join(await scraped.exposition.gzipped(Form.TEXT))
        await renewing
        return during, b"".join(await scraped.exposition.gzipped(Form.TEXT))

    texts = [gzip.decompress(body).decode() for body in asyncio.run(scenario())]
    assert [[key_id(line) for line in lines(text, "cometapi_key_status")] for text in texts] == [
        ["1", "7"],
        ["2", "7"],
    ]


def test_the_accounts_to_keep_are_shown_in_their_new_order():
    scraped = Scraped(Snapshot.of([a_state(name=name) for name in "abc"]))
    scraped.exposition.keep(["c", "a"])

    found = lines(scraped.text(), "cometapi_exporter_skipped_keys")
    assert [line.split('"')[1] for line in found] == ["c", "a"]


def test_with_counts_only_no_text_of_a_key_is_rendered_or_kept():
    state = a_read_state(*some_keys(3), counts_only=True)
    text = Scraped(Snapshot.of([state])).text()
    (piece,) = rendered(state, NOW).pieces

    assert "key_id" not in text
    assert lines(text, "cometapi_keys_usable") == [
        'cometapi_keys_usable{account="main",group=""} 3.0'
    ]
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
        return [chunk async for chunk in chunks([b"x" * 200_000, b"", b"y" * 80_000, b"z"])]

    assert [len(chunk) for chunk in asyncio.run(sent())] == [200_000, 80_001]

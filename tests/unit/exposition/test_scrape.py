"""What a scrape gets, byte for byte; in time, and chosen by name."""

import asyncio
import gzip
import os
import subprocess
import zlib
from pathlib import Path

import pytest
from binaries import require
from domain import (
    A_LIST,
    NOW,
    a_balance,
    a_read_state,
    a_snapshot,
    a_state,
    an_api_key,
    failure,
    withdrawn,
)
from scraped import Scraped
from structlog.testing import capture_logs

from exporter import workers
from exporter.errors import Reason
from exporter.exposition import rendering
from exporter.exposition.catalogue import KEY_LABELS, SNAPSHOT_FAMILIES, Family
from exporter.exposition.rendering import Format
from exporter.exposition.scrape import chunks
from exporter.exposition.telemetry import TELEMETRY_FAMILIES, Telemetry, process_collectors
from exporter.model import Usage, UsageRow
from exporter.snapshot import Snapshot

GOLDEN = Path(__file__).parents[2] / "golden"
REFRESH = "REFRESH_GOLDEN"
FORMATS = [pytest.param(Format.TEXT, id="text"), pytest.param(Format.OPENMETRICS, id="openmetrics")]
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
        id=7, name="twin", model_limits=A_LIST, ip_allowlist=A_LIST, has_cross_group_retry=True
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


def some_keys(count, **over):
    """Build keys that expire in an hour."""
    return [an_api_key(id=number, expires_at=NOW + 3600, **over) for number in range(count, 0, -1)]


def telemetry():
    counted = Telemetry(version="0.0.0")
    counted.prepare("main")
    counted.refresh_ended("main", "success", 0.75)
    counted.request_sent("main", "/api/token/", "200")
    return counted


@pytest.mark.parametrize(
    ("format_", "file"),
    [(Format.TEXT, "exposition.txt"), (Format.OPENMETRICS, "exposition.openmetrics")],
)
def test_the_whole_is_as_reviewed(format_, file):
    """But for Python's version. After a change on purpose: run with REFRESH_GOLDEN=1, and review the difference."""
    whole = Scraped(odd_snapshot(), telemetry=telemetry()).plain(format_=format_)
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


@pytest.mark.parametrize("format_", FORMATS)
def test_the_packed_answer_is_exactly_one_gzip_member(format_):
    scraped = Scraped(odd_snapshot())
    packed = scraped.packed(format_=format_)
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    plain = unpacker.decompress(packed)

    assert (unpacker.eof, unpacker.unused_data, unpacker.unconsumed_tail) == (True, b"", b"")
    assert plain == gzip.decompress(packed) == scraped.plain(format_=format_)
    assert len(packed) < len(plain) / 2


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("gzipped", PACKINGS)
def test_without_accounts_the_answer_is_still_whole(format_, gzipped):
    text = Scraped(Snapshot.of([])).body(format_=format_, gzipped=gzipped).decode()

    assert text.startswith("# HELP cometapi_key_remaining_quota ")
    assert text.endswith("# EOF\n") is (format_ is Format.OPENMETRICS)
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
    state = a_read_state(an_api_key(), usage=Usage(rows=(UsageRow(model="m"),)))
    scraped = Scraped(Snapshot.of([state]))
    before = scraped.text()
    scraped.show(withdrawn(state))
    scraped.show(state)

    assert scraped.text() == before


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
@pytest.mark.parametrize("format_", FORMATS)
def test_chosen_names_alone_are_served(names, served, format_, gzipped):
    scraped = Scraped(odd_snapshot(), telemetry=telemetry(), process=process_collectors())
    body = scraped.body(*names, format_=format_, gzipped=gzipped).decode()

    assert {line.split("{")[0] for line in body.splitlines() if not line.startswith("#")} == served
    assert body.endswith("# EOF\n") is (format_ is Format.OPENMETRICS)


# What is rendered again, and when.


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
        during = b"".join(await scraped.exposition.gzipped(Format.TEXT))
        await renewing
        return during, b"".join(await scraped.exposition.gzipped(Format.TEXT))

    texts = [gzip.decompress(body).decode() for body in asyncio.run(scenario())]
    assert [[key_id(line) for line in lines(text, "cometapi_key_status")] for text in texts] == [
        ["1", "7"],
        ["2", "7"],
    ]


class HeldBack:
    """Lets rendering step number *step* wait until *go_on* is set; *begun* is set meanwhile."""

    def __init__(self, monkeypatch, step=1):
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self._steps_left = step
        self._render = workers.render
        monkeypatch.setattr(workers, "render", self.render)

    async def render(self, function):
        self._steps_left -= 1
        if self._steps_left == 0:
            self.begun.set()
            await self.go_on.wait()
        return await self._render(function)


def after_a_slow_catch_up(scraped, monkeypatch, meanwhile):
    """Let a key expire, and do *meanwhile* while its account is rendered again; return the text."""

    async def scenario():
        held_back = HeldBack(monkeypatch)
        scraped.world.pass_by(10)
        catching_up = asyncio.create_task(scraped.exposition.catch_up())
        await held_back.begun.wait()
        await meanwhile(scraped.exposition)
        held_back.go_on.set()
        await catching_up

    asyncio.run(asyncio.wait_for(scenario(), 10))
    return scraped.text()


def test_a_refresh_that_ends_during_a_catch_up_is_not_overwritten_by_it(monkeypatch):
    scraped = Scraped(a_snapshot(an_api_key(id=1, expires_at=NOW + 9)))

    text = after_a_slow_catch_up(
        scraped, monkeypatch, lambda exposition: exposition.renew(a_read_state(an_api_key(id=2)))
    )

    assert [key_id(line) for line in lines(text, "cometapi_key_status")] == ["2"]


def test_an_account_that_goes_during_a_catch_up_stays_away(monkeypatch):
    expiring = a_read_state(an_api_key(expires_at=NOW + 9), name="gone")
    scraped = Scraped(Snapshot.of([expiring, a_read_state(name="kept")]))

    async def remove(exposition):
        exposition.keep(["kept"])

    text = after_a_slow_catch_up(scraped, monkeypatch, remove)

    assert 'account="gone"' not in text
    assert 'account="kept"' in text


COMPRESSING = 3
"""The step in which a change of an account of one key is compressed: after its keys and itself."""


async def while_a_change_is_compressed(scraped, monkeypatch, meanwhile):
    """Renew account b, and do *meanwhile* once it is rendered and before it is exposed."""
    await scraped.exposition.gzipped(Format.TEXT)
    held_back = HeldBack(monkeypatch, COMPRESSING)
    renewing = asyncio.create_task(
        scraped.exposition.renew(a_read_state(an_api_key(id=2), name="b"))
    )
    await held_back.begun.wait()
    result = await meanwhile()
    held_back.go_on.set()
    await renewing
    return result


def test_while_a_change_is_compressed_scrapes_get_the_old_state_without_waiting(monkeypatch):
    scraped = Scraped(Snapshot.of([a_read_state(an_api_key(id=1), name="b")]))

    async def scenario():
        return await while_a_change_is_compressed(
            scraped, monkeypatch, lambda: scraped.exposition.gzipped(Format.TEXT)
        )

    during = asyncio.run(asyncio.wait_for(scenario(), 10))

    text = gzip.decompress(b"".join(during)).decode()
    assert [key_id(line) for line in lines(text, "cometapi_key_status")] == ["1"]
    assert [key_id(line) for line in lines(scraped.text(), "cometapi_key_status")] == ["2"]


def test_two_accounts_that_change_at_the_same_time_are_both_exposed(monkeypatch):
    scraped = Scraped(
        Snapshot.of(
            [a_read_state(an_api_key(id=1), name="b"), a_read_state(an_api_key(id=7), name="a")]
        )
    )

    async def scenario():
        await while_a_change_is_compressed(
            scraped,
            monkeypatch,
            lambda: scraped.exposition.renew(a_read_state(an_api_key(id=8), name="a")),
        )

    asyncio.run(asyncio.wait_for(scenario(), 10))

    assert [key_id(line) for line in lines(scraped.text(), "cometapi_key_status")] == ["2", "8"]


# A rendering that raises.


@pytest.fixture
def broken_row(monkeypatch):
    """Add a row that raises for keys called "broken", when the test says so."""
    is_broken = []

    def of_key(_state, key, _now):
        if is_broken and key.name == "broken":
            raise ZeroDivisionError("a name that a gateway sent")
        return 1

    row = Family(name="cometapi_key_new", help="New.", labels=KEY_LABELS, of_key=of_key)
    monkeypatch.setattr(rendering, "KEY_FAMILIES", (*rendering.KEY_FAMILIES, row))
    return is_broken


def test_an_account_that_cannot_be_rendered_keeps_its_last_rendering(broken_row):
    scraped = Scraped(a_snapshot(an_api_key(name="fine")))
    before = scraped.text()
    broken_row.append(True)

    with pytest.raises(ZeroDivisionError):
        scraped.show(a_read_state(an_api_key(name="broken")))

    assert scraped.text() == before


def test_an_account_that_cannot_be_caught_up_with_holds_up_no_other(broken_row):
    keys = [an_api_key(name=name, expires_at=NOW + 9) for name in ("broken", "fine")]
    scraped = Scraped(Snapshot.of([a_read_state(key, name=key.name) for key in keys]))
    scraped.world.pass_by(10)
    broken_row.append(True)

    def usable():
        return [line[-3:] for line in lines(scraped.text(), "cometapi_key_usable")]

    scraped.catch_up()
    while_broken = usable()
    broken_row.clear()
    scraped.catch_up()

    assert (while_broken, usable()) == (["1.0", "0.0"], ["0.0", "0.0"])


def test_an_account_that_cannot_be_caught_up_with_is_logged_once_each_time_that_begins(broken_row):
    scraped = Scraped(a_snapshot(an_api_key(name="broken", expires_at=NOW + 9)))
    counts = []
    for is_broken in (True, True, False, True):
        scraped.world.pass_by(120)
        broken_row[:] = [True] * is_broken
        with capture_logs() as logged:
            scraped.catch_up()
        counts.append(len(logged))

    assert counts == [1, 0, 0, 1]
    assert (logged[0]["account"], logged[0]["error"]) == ("main", "ZeroDivisionError")
    assert "a name that a gateway sent" not in str(logged)


# What is exposed, and how it is sent.


def test_the_accounts_to_keep_are_shown_in_their_new_order():
    scraped = Scraped(Snapshot.of([a_state(name=name) for name in "abc"]))
    scraped.exposition.keep(["c", "a"])

    found = lines(scraped.text(), "cometapi_exporter_skipped_keys")
    assert [line.split('"')[1] for line in found] == ["c", "a"]


def test_a_reader_that_is_slow_keeps_a_chunk_and_no_whole_text():
    scraped = Scraped(a_snapshot(*some_keys(3000)))

    async def sizes():
        return [len(chunk) async for chunk in scraped.exposition.plain(Format.TEXT)]

    found = asyncio.run(sizes())
    assert sum(found) > 2_000_000
    assert max(found) < 500_000


def test_a_large_gzip_member_is_sent_by_chunks():
    async def sent():
        return [chunk async for chunk in chunks([b"x" * 200_000, b"", b"y" * 80_000, b"z"])]

    assert [len(chunk) for chunk in asyncio.run(sent())] == [200_000, 80_001]

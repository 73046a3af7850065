"""The balance and the slow facts are read beside the keys, and hold nothing up."""

import asyncio

import pytest
from domain import NOW, FakeReader, FakeWorld, a_balance, an_api_key, failure, used
from structlog.testing import capture_logs

from exporter.credentials import Secret
from exporter.errors import Reason
from exporter.model import Facts
from exporter.refresh.account_reader import AccountReader
from exporter.refresh.report import Report
from exporter.refresh.usage import Ledger

TOKEN = Secret("CANARYtoken")


WEB = an_api_key(id=7, name="web", group="vip")


def reader_of(source, world=None, ledger=None, listed_keys=None):
    return AccountReader(
        source,
        report=Report("main"),
        world=world or FakeWorld(),
        keep_seconds=3600.0,
        ledger=ledger,
        listed_keys=listed_keys,
        patience=0.5,
    )


def read(account, times=1, between=lambda: None):
    async def play():
        for _ in range(times):
            account.begin(TOKEN)
            await account.settle()
            between()
        await account.close()

    with capture_logs():
        asyncio.run(play())


@pytest.mark.parametrize(
    ("reason", "seconds", "kept"),
    [
        (Reason.TIMEOUT, 3599, True),
        (Reason.RATE_LIMITED, 3599, True),
        (Reason.TIMEOUT, 3600, False),
        (Reason.UNAUTHORIZED, 1, False),
        (Reason.REJECTED, 1, False),
        (Reason.INVALID_RESPONSE, 1, False),
    ],
)
def test_a_balance_that_fails_is_kept_until_stale_after_unless_the_gateway_refuses_it(
    reason, seconds, kept
):
    source, world = FakeReader(listings=[]), FakeWorld()
    account = reader_of(source, world)
    read(account)
    source.balance = failure(reason)
    world.pass_by(seconds)
    read(account)

    assert account.balance == (a_balance() if kept else None)


def test_a_balance_that_hangs_is_read_on_and_shown_when_it_comes():
    class Slow(FakeReader):
        async def read_balance(self, token):
            asked.append(True)
            await answer.wait()
            return await super().read_balance(token)

    async def play():
        for _ in range(2):
            account.begin(TOKEN)
            await account.settle()
        seen = account.balance
        answer.set()
        await account.settle()
        return seen, account.balance

    asked, answer = [], asyncio.Event()
    account = reader_of(Slow(listings=[]))
    with capture_logs():
        assert asyncio.run(play()) == (None, a_balance())
    assert asked == [True]


def test_what_is_being_read_is_given_up_at_the_end():
    class Hanging(FakeReader):
        async def read_balance(self, _):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

    ended = []
    read(reader_of(Hanging(listings=[])))

    assert ended == [True]


def test_slow_facts_are_read_first_and_then_every_ten_minutes():
    source, world = FakeReader(listings=[], facts=Facts(version="v1")), FakeWorld()
    account = reader_of(source, world)
    versions = []

    def a_minute_later():
        world.pass_by(60)
        versions.append(account.facts.version)
        source.facts = Facts(version=f"v{len(versions) + 1}")

    read(account, times=12, between=a_minute_later)

    assert versions == ["v1"] * 10 + ["v11"] * 2


def test_facts_that_fail_are_tried_again_by_the_next_refresh_and_kept_meanwhile():
    source, world = FakeReader(listings=[], facts=Facts(version="v1")), FakeWorld()
    account = reader_of(source, world)
    read(account)
    world.pass_by(600)
    source.facts = failure(Reason.TIMEOUT)
    read(account)
    kept = account.facts.version
    source.facts = Facts(version="v2")
    read(account)

    assert (kept, account.facts.version) == ("v1", "v2")


HOUR_BEGAN = NOW // 3600 * 3600
WITH_USAGE = Facts(has_usage=True)


def test_usage_is_read_with_the_first_facts_and_then_every_five_minutes():
    source, world = (
        FakeReader(listings=[], facts=WITH_USAGE, usage={False: used(5)}),
        FakeWorld(),
    )
    account = reader_of(source, world, ledger=Ledger(9))
    seen = []

    def a_minute_later():
        seen.append(account.usage.rows[0].quota)
        world.pass_by(60)
        source.usage[False] = used(5 + len(seen))

    read(account, times=12, between=a_minute_later)

    assert source.usage_asked[-1] == (HOUR_BEGAN, HOUR_BEGAN, False)
    # What this hour and the one before, which is still written, grew by.
    assert seen == [0] * 5 + [10] * 5 + [20] * 2


@pytest.mark.parametrize("facts", [Facts(), Facts(has_usage=False)])
def test_usage_is_not_asked_for_where_the_gateway_records_none(facts):
    source = FakeReader(listings=[], facts=facts)
    read(reader_of(source, ledger=Ledger(9)))

    assert source.usage_asked == []


def test_usage_that_fails_for_a_while_is_kept_and_asked_for_by_the_next_refresh():
    source, world = (
        FakeReader(listings=[], facts=WITH_USAGE, usage={False: used(5)}),
        FakeWorld(),
    )
    account = reader_of(source, world, ledger=Ledger(9))
    read(account)
    world.pass_by(300)
    source.usage[False] = failure(Reason.TIMEOUT)
    read(account)
    kept, asked = account.usage.rows[0].quota, len(source.usage_asked)
    source.usage[False] = used(6)
    read(account)

    assert (kept, account.usage.rows[0].quota) == (0, 2)
    assert len(source.usage_asked) > asked


def test_usage_by_key_is_counted_for_known_keys_alone():
    sums = used(5, key_id=7) | used(9, key_id=8)
    account = reader_of(
        FakeReader(listings=[], facts=WITH_USAGE, usage={True: sums}),
        ledger=Ledger(9),
        listed_keys=lambda: {7: WEB},
    )
    read(account)

    assert [(row.key_id, row.key_name) for row in account.usage.rows] == [(7, "web")]


def test_a_gateway_that_does_not_sum_by_key_is_asked_by_model():
    source = FakeReader(listings=[], facts=WITH_USAGE, usage={True: None, False: used(5)})
    account = reader_of(source, ledger=Ledger(9), listed_keys=lambda: {7: WEB})
    read(account)

    assert [(row.key_id, row.model) for row in account.usage.rows] == [(0, "gpt-4o")]


def test_another_account_behind_the_token_begins_its_counters_again():
    source = FakeReader(
        listings=[], facts=WITH_USAGE, usage={False: used(5)}, balance=a_balance(account_id=1)
    )
    account = reader_of(source, ledger=Ledger(9))
    read(account)
    source.balance = a_balance(account_id=2)
    source.usage[False] = used(100)
    read(account, times=2)

    assert account.usage.rows[0].quota == 0


@pytest.mark.parametrize("during", ["hours", "month"])
def test_usage_that_is_being_read_when_another_account_appears_is_not_shown(during):
    class Swapped(FakeReader):
        async def read_balance(self, _):
            await reading.wait()
            return a_balance(account_id=2)

        async def read_usage(self, token, first, last, *, by_key):
            if (last - first > 24 * 3600) is (during == "month"):
                reading.set()
                for _ in range(9):
                    await asyncio.sleep(0)
            return await super().read_usage(token, first, last, by_key=by_key)

    reading = asyncio.Event()
    account = reader_of(
        Swapped(listings=[], facts=WITH_USAGE, usage={False: used(5)}), ledger=Ledger(9)
    )
    account.balance = a_balance(account_id=1)
    read(account)

    assert (account.balance.account_id, account.usage) == (2, None)


def test_usage_by_key_waits_for_the_first_listing():
    listed = {}
    source = FakeReader(listings=[], facts=WITH_USAGE, usage={True: used(5, key_id=7)})
    account = reader_of(source, ledger=Ledger(9), listed_keys=lambda: listed)
    read(account)
    asked_before = list(source.usage_asked)
    listed[7] = WEB
    read(account)

    assert asked_before == []
    assert [row.key_name for row in account.usage.rows] == ["web"]


def test_a_renamed_key_is_renamed_in_its_usage_by_the_next_listing():
    listed = {7: WEB}
    source = FakeReader(listings=[], facts=WITH_USAGE, usage={True: used(5, key_id=7)})
    account = reader_of(source, ledger=Ledger(9), listed_keys=lambda: listed)
    read(account)
    listed[7] = an_api_key(id=7, name="shop", group="")
    asyncio.run(account.relabel_usage())

    assert [(row.key_name, row.group) for row in account.usage.rows] == [("shop", "")]


def test_hours_are_those_of_the_gateways_clock():
    source = FakeReader(listings=[], facts=WITH_USAGE, usage={False: used(5)}, clock_skew=3_600.0)
    read(reader_of(source, FakeWorld(), ledger=Ledger(9)))

    assert source.usage_asked[2] == (HOUR_BEGAN - 3_600, HOUR_BEGAN - 3_600, False)


def test_a_token_that_is_refused_for_a_while_does_not_end_the_count_by_key():
    source, world = (
        FakeReader(listings=[], facts=WITH_USAGE, usage={True: used(5, key_id=7)}),
        FakeWorld(),
    )
    account = reader_of(source, world, ledger=Ledger(9), listed_keys=lambda: {7: WEB})
    for answer in (used(5, key_id=7), None, used(6, key_id=7)):
        source.usage[True] = answer
        read(account)
        world.pass_by(300)

    assert account.usage.rows[0].key_id == 7


def test_the_month_is_summed_once_in_every_hour():
    source, world = (
        FakeReader(listings=[], facts=WITH_USAGE, usage={False: used(5)}),
        FakeWorld(now=HOUR_BEGAN),
    )
    account = reader_of(source, world, ledger=Ledger(9))
    seen = []

    def five_minutes_later():
        seen.append(account.usage.spending.models)
        world.pass_by(300)
        source.usage[False] = used(6)

    read(account, times=13, between=five_minutes_later)

    # The day and two weeks before it in the month.
    assert seen == [(("gpt-4o", 5, 15),)] * 12 + [(("gpt-4o", 6, 18),)]


def test_a_month_that_fails_for_a_while_is_read_with_the_next_usage():
    class NoMonthYet(FakeReader):
        async def read_usage(self, token, first, last, *, by_key):
            rows = await super().read_usage(token, first, last, by_key=by_key)
            if last - first > 24 * 3600 and world.now < HOUR_BEGAN + 300:
                raise failure(Reason.TIMEOUT)
            return rows

    world = FakeWorld(now=HOUR_BEGAN)
    account = reader_of(
        NoMonthYet(listings=[], facts=WITH_USAGE, usage={False: used(5)}), world, Ledger(9)
    )
    seen = []

    def five_minutes_later():
        seen.append(account.usage.spending and account.usage.spending.models)
        world.pass_by(300)

    read(account, times=2, between=five_minutes_later)

    assert seen == [None, (("gpt-4o", 5, 15),)]


async def in_vain():
    raise failure(Reason.TIMEOUT)


async def not_reported():
    return None


@pytest.mark.parametrize(
    "answer", [in_vain, not_reported, asyncio.Event().wait], ids=["fails", "refused", "hangs"]
)
def test_a_month_that_cannot_be_read_holds_no_counter_up(answer):
    class NoDays(FakeReader):
        async def read_usage(self, token, first, last, *, by_key):
            is_month = last - first > 24 * 3600
            return await (
                answer() if is_month else super().read_usage(token, first, last, by_key=by_key)
            )

    account = reader_of(
        NoDays(listings=[], facts=WITH_USAGE, usage={False: used(5)}), ledger=Ledger(9)
    )
    read(account)

    assert (account.usage.rows[0].model, account.usage.spending) == ("gpt-4o", None)

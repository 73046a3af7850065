"""The balance and the slow facts are read beside the keys, and hold nothing up."""

import asyncio

import pytest
from domain import FakeReader, FakeWorld, a_balance, failure
from structlog.testing import capture_logs

from exporter.account_reader import AccountReader
from exporter.credentials import Secret
from exporter.errors import Reason
from exporter.model import Facts
from exporter.report import Report

TOKEN = Secret("CANARYtoken")


def reader_of(source, world=None):
    return AccountReader(
        source, report=Report("main"), monotonic=(world or FakeWorld()).monotonic, keep_seconds=3600.0, patience=0.01
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


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.SERVER_ERROR, Reason.UNREACHABLE, Reason.RATE_LIMITED])
def test_a_balance_whose_endpoint_fails_for_a_while_is_kept(reason):
    source = FakeReader(listings=[])
    account = reader_of(source)
    read(account)
    source.balance = failure(reason)
    read(account)

    assert account.balance == a_balance()


def test_a_balance_that_cannot_be_read_for_stale_after_is_dropped():
    source, world = FakeReader(listings=[]), FakeWorld()
    account = reader_of(source, world)
    read(account)
    source.balance = failure(Reason.TIMEOUT)
    world.pass_by(3600)
    read(account)

    assert account.balance is None


@pytest.mark.parametrize("reason", [Reason.UNAUTHORIZED, Reason.REJECTED, Reason.INVALID_RESPONSE])
def test_a_balance_that_the_gateway_refuses_is_dropped_at_once(reason):
    source = FakeReader(listings=[])
    account = reader_of(source)
    read(account)
    source.balance = failure(reason)
    read(account)

    assert account.balance is None


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

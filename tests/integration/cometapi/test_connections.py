"""Answers that are given up in the middle leave no connection behind that a later request would wait for."""

import asyncio
import gc
import random
import time

import httpx
import pytest
import stamina
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, endless, gzip_bomb, wrong_length_short

from exporter.cometapi.client import CometClient
from exporter.cometapi.connections import Connections
from exporter.cometapi.rate_limit import RateLimit
from exporter.credentials import Secret
from exporter.errors import ApiError

TOKEN = Secret(CANARY_TOKEN)
REFRESHES = 60
FAULTS = {"endless": endless(9_000_000), "bomb": gzip_bomb(20_000_000), "extra": wrong_length_short()}


def client_of(connections, *, timeout=0.2):
    rate_limit = RateLimit(100_000, clock=time.monotonic, sleep=asyncio.sleep)
    return CometClient(
        connections,
        user_id=None,
        rate_limit=rate_limit,
        timeout=timeout,
        concurrency=4,
        on_request=lambda _path, _code: None,
    )


async def read(client):
    """Read the account as a refresh does: the balance beside the pages, given up when a page fails."""
    balance = asyncio.create_task(client.read_balance(TOKEN))
    try:
        return len((await client.list_keys(TOKEN)).keys)
    except ApiError as error:
        return error
    finally:
        balance.cancel()
        await asyncio.gather(balance, return_exceptions=True)


def busy(connections):
    """List the connections in use, which only the library itself knows: a few more, and nothing would be sent."""
    pool = connections._pool.http._transport._pool
    return [connection for connection in pool.connections if not connection.is_idle()]


# The HTTP library can lose a socket whose request is cancelled while it connects; Python closes it when collecting it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_refresh_after_many_that_broke_off_reads_every_key(fault):
    """What is left behind depends on the moment, so faults come at random, with a fixed seed."""
    dice = random.Random(1)

    def http_client():
        limits = httpx.Limits(max_connections=5)
        return httpx.AsyncClient(base_url=gateway.url, timeout=None, limits=limits, trust_env=False)  # noqa: S113

    async def scenario():
        async with Connections(http_client) as connections:
            client = client_of(connections)
            for _ in range(REFRESHES):
                await read(client)
            gateway.faults = None
            return await read(client_of(connections, timeout=10)), busy(connections)

    with stamina.set_testing(True, attempts=3), Gateway(keys=wire_keys(450)) as gateway:
        gateway.faults = lambda _: fault if dice.random() < 0.3 else None
        assert asyncio.run(scenario()) == (450, [])
        gc.collect()  # here, where the warning is expected


def test_connections_are_kept_while_all_goes_well():
    async def scenario():
        async with Connections(lambda: httpx.AsyncClient(base_url=gateway.url, trust_env=False)) as connections:
            client = client_of(connections)
            for _ in range(5):
                await client.list_keys(TOKEN)

    with Gateway(keys=wire_keys(3)) as gateway:
        asyncio.run(scenario())

        assert gateway.connections == 1

"""Answers that are given up in the middle leave no connection behind that a later request would wait for."""

import asyncio
import gc
import random

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, endless, gzip_bomb, wrong_length_short
from sessions import Session

from exporter.credentials import Secret
from exporter.errors import ApiError

TOKEN = Secret(CANARY_TOKEN)
REFRESHES = 60
FAULTS = {
    "endless": endless(9_000_000),
    "bomb": gzip_bomb(20_000_000),
    "extra": wrong_length_short(),
}


async def refresh(client):
    """Read the account as a refresh does: the balance beside the pages, given up when a page fails."""
    balance = asyncio.create_task(client.read_balance(TOKEN))
    try:
        return len((await client.list_keys(TOKEN)).keys)
    except ApiError as error:
        return error
    finally:
        balance.cancel()
        await asyncio.gather(balance, return_exceptions=True)


def busy(client):
    """List the connections in use, which only the library itself knows: a few more, and nothing would be sent."""
    pool = client._connections._pool.http._transport._pool
    return [connection for connection in pool.connections if not connection.is_idle()]


# The HTTP library can lose a socket whose request is cancelled while it connects; Python closes it
# when collecting it.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_refresh_after_many_that_broke_off_reads_every_key(fault):
    """What is left behind depends on the moment, so faults come at random, with a fixed seed."""
    dice = random.Random(1)

    async def refreshes(client):
        client._connections._timeout = 0.2
        for _ in range(REFRESHES):
            await refresh(client)
        gateway.faults = None
        client._connections._timeout = 10
        return await refresh(client), busy(client)

    with Gateway(keys=wire_keys(450)) as gateway:
        gateway.faults = lambda _: fault if dice.random() < 0.3 else None
        assert Session(url=gateway.url).use(refreshes) == (450, [])
        gc.collect()  # here, where the warning is expected


def test_connections_are_kept_from_page_to_page_and_from_refresh_to_refresh():
    async def refreshes(client):
        for _ in range(3):
            await client.list_keys(TOKEN)

    with Gateway(keys=wire_keys(300)) as gateway:
        Session(url=gateway.url, concurrency=1).use(refreshes)

    assert (len(gateway.requests), gateway.connections) == (12, 1)

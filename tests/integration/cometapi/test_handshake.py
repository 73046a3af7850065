"""A TLS handshake that is given up leaves no socket behind, however long nothing is collected."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator

import pytest
from builders import CANARY_TOKEN
from sessions import Session

from exporter.cometapi.proxies import parse_proxy
from exporter.credentials import Secret
from exporter.errors import ApiError

TOKEN = Secret(CANARY_TOKEN)


class Silent:
    """A server that answers no TLS handshake, in the event loop of the client.

    As a proxy it opens the tunnel first. *open* counts the connections that its client has not
    closed, *handshakes* those on which a handshake began.
    """

    def __init__(self, *, is_proxy: bool = False) -> None:
        self.is_proxy = is_proxy
        self.open = 0
        self.handshakes = 0

    @contextlib.asynccontextmanager
    async def serve(self):
        """Serve, and yield the port."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _converse(self, reader, writer) -> None:
        self.open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if self.is_proxy:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.handshakes += len(await reader.read(1))
            while await reader.read(4096):
                pass
        self.open -= 1
        writer.close()


@pytest.fixture(autouse=True)
def _nothing_is_collected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def until(question) -> None:
    """Wait until *question* is answered with true, for at most 5 s."""
    for _ in range(500):
        if question():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited for 5 s in vain")


async def time_out(client, server) -> None:
    """Let requests of *client* time out in their handshakes with *server*."""
    client._connections._timeout = 0.1
    with pytest.raises(ApiError):
        await client.read_balance(TOKEN)
    assert server.handshakes


async def cancel(client, server) -> None:
    """Cancel a request of *client* in its handshake, as a reload does."""
    request = asyncio.create_task(client.read_balance(TOKEN))
    await until(lambda: server.handshakes)
    request.cancel()
    await asyncio.wait([request])


@pytest.mark.parametrize("is_proxy", [False, True], ids=["direct", "tunnel"])
@pytest.mark.parametrize("give_up", [time_out, cancel])
def test_the_connection_is_closed_when_the_request_is_given_up(give_up, is_proxy):
    async def play():
        server = Silent(is_proxy=is_proxy)
        async with server.serve() as port:
            url, proxy = f"https://127.0.0.1:{port}", None
            if is_proxy:
                url = "https://gateway.example"
                proxy = parse_proxy(f"http://127.0.0.1:{port}", "HTTPS_PROXY")
            client = Session(url=url, proxy=proxy).client()
            async with contextlib.aclosing(client):
                await give_up(client, server)
                await until(lambda: not server.open)

    asyncio.run(play())

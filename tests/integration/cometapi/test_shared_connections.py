"""All accounts together keep within the connections that the descriptors of the process allow."""

import asyncio
import contextlib
import json

from builders import CANARY_TOKEN

from exporter import app
from exporter.exposition.telemetry import Telemetry
from exporter.settings.load import load_settings
from exporter.watch import Watch

ACCOUNTS = 8
PAGE = json.dumps({"success": True, "message": "", "data": {"total": 0, "items": []}}).encode()


class SlowGateway:
    """Responds to each request after a moment, in the event loop of the clients.

    *open* counts the connections that are open, *most_open* how many were at a time.
    """

    def __init__(self) -> None:
        self.open = 0
        self.most_open = 0
        self.requests = 0

    @contextlib.asynccontextmanager
    async def serve(self):
        """Serve, and yield the URL."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _converse(self, reader, writer) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                await asyncio.sleep(0.02)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
        self.open -= 1
        writer.close()


def settings_of(tmp_path, url):
    accounts = "".join(
        f"  - {{name: a{n}, base_url: '{url}', access_token_env: TOKEN}}\n" for n in range(ACCOUNTS)
    )
    file = tmp_path / "accounts.yml"
    file.write_text(f"accounts:\n{accounts}")
    flags = {"config_file": str(file), "max_requests_per_minute": "1000"}
    return load_settings(flags, {"TOKEN": CANARY_TOKEN})


def test_accounts_share_few_connections_and_keep_none_open(tmp_path, monkeypatch):
    monkeypatch.setattr("exporter.descriptors.for_gateways", lambda: 3)

    async def play():
        gateway = SlowGateway()
        async with gateway.serve() as url:
            watch = await Watch.open(
                settings_of(tmp_path, url),
                runtime=app.RUNTIME,
                telemetry=Telemetry(version="1"),
            )
            await watch.refresh_once()
            # The gateway notices a closed connection a moment later.
            for _ in range(100):
                if gateway.open:
                    await asyncio.sleep(0.01)
            left_open = gateway.open
            await watch.close()
        return gateway, left_open

    gateway, left_open = asyncio.run(play())
    assert gateway.requests >= 2 * ACCOUNTS
    # A connection that is closed may be counted for a moment longer than its client uses it.
    assert gateway.most_open <= 4
    assert left_open == 0

"""A connection's deadlines, with a clock and a transport of the test's own."""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from exporter.server.connection import Connection
from exporter.server.limits import Limits
from exporter.server.phase import Phase

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class PatientLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when the test says so."""

    now = 1000.0

    def time(self):
        return self.now


class NoSocket:
    """A socket that is connected to nobody."""

    def fileno(self):
        return -1

    def getsockname(self):
        return ("127.0.0.1", 1)

    def getpeername(self):
        return ("127.0.0.1", 2)


class Transport(asyncio.Transport):
    """A transport that remembers what was written, and whether it was closed."""

    def __init__(self):
        super().__init__({"socket": NoSocket()})
        self.written = b""
        self.closed = False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = True

    def get_write_buffer_size(self):
        return 0

    def resume_reading(self):
        """Nothing is ever paused."""


async def page(_, __, send):
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def in_patient_loop(play):
    """Run the coroutine of *play* with a connection, its transport and a way to let time pass."""
    loop = PatientLoop()

    async def wait(seconds):
        loop.now += seconds
        # Timers that are due, and the tasks that they wake, run within a few steps.
        for _ in range(10):
            await asyncio.sleep(0)

    async def run():
        config = uvicorn.Config(page, ws="none", log_config=None, proxy_headers=False)
        config.load()
        connection = Connection(config, ServerState(), Limits(), lambda: None)
        transport = Transport()
        connection.connection_made(transport)
        await play(connection, transport, wait)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())


def test_an_idle_connection_lasts_75_seconds():
    """A scraper that comes once a minute finds its connection open."""

    async def play(connection, transport, wait):
        connection.data_received(REQUEST)
        await wait(0)
        assert transport.written.endswith(b"\r\n\r\nok")
        await wait(74.5)
        connection.check()
        assert not transport.closed
        await wait(1)
        connection.check()
        assert transport.closed

    in_patient_loop(play)


def test_bytes_of_a_head_do_not_extend_its_deadline():
    async def play(connection, transport, wait):
        for byte in (b"G", b"E", b"T"):
            connection.data_received(byte)
            await wait(3)
            connection.check()
        assert not transport.closed
        connection.data_received(b" ")
        await wait(1)
        connection.check()
        assert transport.closed

    in_patient_loop(play)


def test_a_client_is_new_for_a_second():
    async def play(connection, _, wait):
        assert connection.is_new
        await wait(1)
        assert not connection.is_new

    in_patient_loop(play)


def test_a_client_that_was_answered_is_not_new():
    async def play(connection, _, wait):
        connection.data_received(REQUEST)
        await wait(0)
        assert connection.phase is Phase.IDLE
        assert not connection.is_new

    in_patient_loop(play)

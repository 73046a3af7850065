"""Clients that crowd a server out, as a program: PORT RELOADING IDLE SILENT; runs until it is ended."""

import asyncio
import contextlib
import resource
import sys

PAGE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PROBE = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    await reader.readexactly(int(length.partition(b":")[2]))


async def reload_page(port: int) -> None:
    """Ask for the page again and again on a kept connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        while True:
            await ask(reader, writer, PAGE)


async def keep_idle(port: int) -> None:
    """Ask once, and keep the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        await ask(reader, writer, PROBE)
        await reader.read()


async def keep_silent(port: int) -> None:
    """Connect, say nothing, and connect again."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        await asyncio.sleep(0.06)


async def again(client, port: int) -> None:
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await client(port)
        await asyncio.sleep(0.01)


async def main(port: int, reloading: int, idle: int, silent: int) -> None:
    clients = [reload_page] * reloading + [keep_idle] * idle + [keep_silent] * silent
    await asyncio.gather(*(again(client, port) for client in clients))


resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
asyncio.run(main(*map(int, sys.argv[1:])))

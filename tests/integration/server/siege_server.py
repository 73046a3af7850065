"""A server of its own process for the siege: 100 kB a page, and deadlines of about a second. Prints its port."""

import asyncio
import logging
import os
import signal
from typing import Any

from exporter.server.limits import DEADLINES, Limits
from exporter.server.listen import ListenAddress, bind
from exporter.server.phase import Phase
from exporter.server.serve import serve

BODY = os.urandom(100_000)


async def page(_: Any, __: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]}
    )
    await send({"type": "http.response.body", "body": BODY})


async def main() -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # as the program does
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sockets = bind([ListenAddress(host="127.0.0.1", port=0)])
    print(sockets[0].getsockname()[1], flush=True)
    await serve(
        page,
        sockets,
        stop=stop,
        limits=Limits(
            deadlines={**DEADLINES, Phase.HEAD: 1.5, Phase.DISCARD: 0.5}, response_seconds=1.5
        ),
    )


asyncio.run(main())

"""Start the program: handle signals first, then import everything else.

Talks to: signals. Knows nothing else of the exporter, because importing it takes half a second, in
which a signal may arrive. `cli` reads the command line.
"""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run as a program."""
    # A reload before there is anything to reload. By default, SIGHUP ends the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    from exporter import cli  # noqa: PLC0415 - heavy: signals are handled before

    sys.exit(cli.run(sys.argv[1:], os.environ))


def _end(number: int, _: FrameType | None) -> None:
    """End the process as the signal does by default, at once and without a traceback."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # The kernel drops a signal with its default action for the first process of a container.
    os._exit(128 + number)


if __name__ == "__main__":
    main()

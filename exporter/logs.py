"""Write log lines as logfmt or JSON to standard error, from a separate thread.

Talks to: standard error. Knows structlog and the standard library's logging, nothing else. Lines
that cannot be written in time are dropped and counted, so logging never blocks or ends the program.
Libraries that log what they send are silenced, and tracebacks do not contain the values of
variables.
"""

import atexit
import io
import logging
import logging.handlers
import queue
import sys
from typing import Any, TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")
# More than a burst of all accounts failing at once.
MAX_WAITING_LINES = 1000
# At exit, for a reader of the log that is slow but alive.
FLUSH_SECONDS = 1.0

_QUIET = ("httpx", "httpcore", "stamina", "uvicorn.access")
# Clients can make these warn, so only their errors are logged.
_RARELY = ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.asgi")


class _Counting(logging.Handler):
    """Counts the lines that it cannot handle, and drops them."""

    dropped = 0

    # The signature is that of logging.
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Count a line that did not fit into the queue, or could not be written."""
        self.dropped += 1


class _Queue(_Counting, logging.handlers.QueueHandler):
    """Formats lines, and passes them on to the thread that writes."""


class _Writer(_Counting, logging.StreamHandler[TextIO]):
    """Writes lines."""


class _Output:
    """Where log lines go: a bounded queue, and a thread that writes."""

    def __init__(self, stream: TextIO, style: str) -> None:
        self.lines: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING_LINES)
        self.handler = _Queue(self.lines)
        self.handler.setFormatter(_formatter(style))
        self._writer = _Writer(stream)
        self._listener = logging.handlers.QueueListener(self.lines, self._writer)
        self._listener.start()

    @property
    def dropped(self) -> int:
        """How many lines were not written."""
        return self.handler.dropped + self._writer.dropped

    def flush(self, seconds: float) -> None:
        """Wait until everything is written, at most *seconds*."""
        with self.lines.all_tasks_done:
            self.lines.all_tasks_done.wait_for(lambda: not self.lines.unfinished_tasks, seconds)


_output: _Output | None = None


def set_up_logs(level: str, style: str, *, stream: TextIO | None = None) -> None:
    """Write log lines of at least *level* to *stream*, in the *style* of `FORMATS`.

    The default *stream* is standard error.
    """
    global _output  # noqa: PLW0603 - logging is one for a process
    flush_logs()
    _output = _Output(stream or _standard_error(), style)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: logging.getLogger("exporter"),
        cache_logger_on_first_use=False,
    )
    # structlog has filtered by level already.
    logging.getLogger("exporter").setLevel(logging.DEBUG)
    root = logging.getLogger()
    root.handlers[:] = [_output.handler]
    root.setLevel(logging.WARNING)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _RARELY:
        logging.getLogger(name).setLevel(logging.ERROR)


def dropped_lines() -> int:
    """Return how many lines could not be written so far."""
    return _output.dropped if _output is not None else 0


@atexit.register
def flush_logs(seconds: float = FLUSH_SECONDS) -> None:
    """Wait until every line is written, at most *seconds*."""
    if _output is not None:
        _output.flush(seconds)


def _standard_error() -> TextIO:
    """Return standard error without a buffer, so that no flush can fail when the program exits."""
    try:
        return io.TextIOWrapper(
            io.FileIO(sys.stderr.fileno(), "w", closefd=False),
            encoding="utf-8",
            errors="backslashreplace",
            write_through=True,
        )
    except (AttributeError, OSError):
        # Closed, or replaced by an object that is not a file.
        return sys.stderr or io.StringIO()


def _formatter(style: str) -> logging.Formatter:
    renderer: Any = structlog.processors.LogfmtRenderer(
        key_order=["ts", "level", "msg"], bool_as_flag=False
    )
    if style == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.EventRenamer("msg"),
            renderer,
        ],
    )

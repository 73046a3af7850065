"""Write log lines for people and machines: logfmt or JSON on standard error.

Knows structlog and the standard library's logging, nothing else. Libraries that log what they send are kept quiet, and
exceptions are written without the values of their variables.
"""

import logging
import sys
from typing import Any, TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

_QUIET = ("httpx", "httpcore", "asyncio", "stamina", "uvicorn.access")
_RARELY = ("uvicorn", "uvicorn.error", "uvicorn.asgi")


def set_up_logs(level: str, style: str, *, stream: TextIO | None = None) -> None:
    """Send every log line from *level* up to *stream*, standard error by default, as *style* of `FORMATS`."""
    target = stream or sys.stderr
    chain: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.EventRenamer("msg"),
        _render(style),
    ]
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    _bridge_the_libraries(target, chain)


def _render(style: str) -> Any:  # noqa: ANN401 - structlog's processors have no narrower common type
    if style == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.processors.LogfmtRenderer(key_order=["ts", "level", "msg"], bool_as_flag=False)


def _bridge_the_libraries(stream: TextIO, chain: list[Any]) -> None:
    """Let what libraries log through the standard library come out in the same form."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *chain[1:],
            ],
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _RARELY:
        logging.getLogger(name).setLevel(logging.ERROR)

"""Reject requests that the application must not see, and normalize absolute-form targets.

Pure: an ASGI scope in, a response or a scope out.
"""

import re
from urllib.parse import unquote

from starlette.responses import PlainTextResponse
from starlette.types import Scope

ORIGIN = re.compile(rb"https?://[^/]*", re.IGNORECASE)


def refusal(scope: Scope, head_bytes: int) -> PlainTextResponse | None:
    """Return the response to a request that must be rejected, or None.

    Rejected are requests to a proxy, of another HTTP version, of ambiguous length, and those whose
    head is larger than *head_bytes*.
    """
    target = len(scope["raw_path"]) + len(scope["query_string"])
    if scope["http_version"] not in ("1.0", "1.1"):
        status = 505
        text = "only HTTP/1.1 is spoken here"
    elif scope["method"] == "CONNECT":
        # h11 would turn the connection into a tunnel if the application responded with 200.
        status = 405
        text = "this is not a proxy"
    elif {b"transfer-encoding", b"content-length"} <= {name for name, _ in scope["headers"]}:
        status = 400
        text = "both Transfer-Encoding and Content-Length"
    elif target + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > head_bytes:
        status = 431
        text = "the request head is too large"
    else:
        return None
    return PlainTextResponse(f"{text}\n", status, {"Connection": "close"})


def in_origin_form(scope: Scope) -> Scope:
    """Return *scope* without scheme and host in its path.

    A client may send them, and a server must accept them. Source: RFC 9112 section 3.2.2.
    """
    match = ORIGIN.match(scope["raw_path"])
    if match is None:
        return scope
    raw_path = scope["raw_path"][match.end() :] or b"/"
    return {**scope, "raw_path": raw_path, "path": unquote(raw_path.decode("ascii"))}

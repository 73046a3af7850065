"""Judge request heads: which get no page, and which path is meant.

Pure: an ASGI scope in, a response or a scope out.
"""

import re
from urllib.parse import unquote

from starlette.responses import PlainTextResponse
from starlette.types import Scope

ORIGIN = re.compile(rb"https?://[^/]*", re.IGNORECASE)


def refusal(scope: Scope, head_bytes: int) -> PlainTextResponse | None:
    """Return what to answer to a request that no page is for: a proxy's, HTTP/2's, an ambiguous or a huge one."""
    target = len(scope["raw_path"]) + len(scope["query_string"])
    if scope["http_version"] not in ("1.0", "1.1"):
        status, text = 505, "only HTTP/1.1 is spoken here"
    elif (
        scope["method"] == "CONNECT"
    ):  # h11 would make a tunnel of the connection if the application said 200
        status, text = 405, "this is not a proxy"
    elif {b"transfer-encoding", b"content-length"} <= {name for name, _ in scope["headers"]}:
        status, text = 400, "both Transfer-Encoding and Content-Length"
    elif target + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > head_bytes:
        status, text = 431, "the request head is too large"
    else:
        return None
    return PlainTextResponse(f"{text}\n", status, {"Connection": "close"})


def in_origin_form(scope: Scope) -> Scope:
    """Return *scope* with its path alone where the request names a host too, as RFC 9112 section 3.2.2 allows."""
    match = ORIGIN.match(scope["raw_path"])
    if match is None:
        return scope
    raw_path = scope["raw_path"][match.end() :] or b"/"
    return {**scope, "raw_path": raw_path, "path": unquote(raw_path.decode("ascii"))}

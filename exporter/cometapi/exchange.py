"""Send one GET and bring back the whole answer, or say why there is none.

Talks to: the network, by httpx; beside `connections` the only file that knows it. Knows no keys, no pages,
no retries. The answer is bounded in time (one deadline for all of it) and in size (decoded, so that a small body
cannot unpack into a large one). No error quotes a header, a URL or the text of a library's error, since those may hold
the access token.
"""

import asyncio
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping

import httpx

from exporter.cometapi.answer import Answer
from exporter.errors import ApiError, InvalidResponse, TimedOut, Unreachable

LARGEST_BODY = 8 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_UNREADABLE_ADDRESS = (httpx.InvalidURL, UnicodeError)


async def fetch(
    http: httpx.AsyncClient,
    path: str,
    *,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    timeout: float,  # noqa: ASYNC109 - the whole answer's deadline, part of what this function promises
    user_id: int | None = None,
) -> Answer:
    """GET *path* within *timeout* seconds in all; raises TimedOut, Unreachable or InvalidResponse (too large)."""
    try:
        async with (
            asyncio.timeout(timeout),
            http.stream("GET", path, params=params, headers={"Accept-Encoding": "gzip", **headers}) as response,
        ):
            body = await _read_body(response)
            return Answer(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=body,
                received_at=time.time(),
                user_id=user_id,
            )
    except (TimeoutError, httpx.TimeoutException):
        raise TimedOut(f"no complete response from {_address(http)} within {timeout:g} s") from None
    except (httpx.HTTPError, *_UNREADABLE_ADDRESS) as error:
        raise _no_answer(error, http.base_url.host, _address(http)) from None


def _address(http: httpx.AsyncClient) -> str:
    url = http.base_url
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


async def _read_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in _decoded(response):
        body += piece
        if len(body) > LARGEST_BODY:
            raise InvalidResponse(f"the answer is larger than {LARGEST_BODY >> 20} MiB")
    return bytes(body)


async def _decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async for piece in response.aiter_raw():
            yield piece
        return
    if encoding != "gzip":
        raise InvalidResponse("the answer is compressed in a way that was not asked for")
    inflate = zlib.decompressobj(wbits=_GZIP)
    async for piece in response.aiter_raw():
        try:
            yield inflate.decompress(piece, LARGEST_BODY + 1)
        except zlib.error:
            raise InvalidResponse("the answer's gzip is broken") from None
        if inflate.unused_data:
            raise InvalidResponse("the answer goes on after its gzip")
    if not inflate.eof and response.status_code == httpx.codes.OK:
        raise Unreachable("the answer's gzip broke off")


def _no_answer(error: Exception, host: str, address: str) -> ApiError:
    """Say why there is no answer, from the causes that the library kept.

    The library reads the target of a redirect even where it does not follow it, and may stumble over it.
    """
    causes = tuple(_causes(error))
    if any(isinstance(cause, _UNREADABLE_ADDRESS) for cause in causes):
        return InvalidResponse("the base URL, or where it redirects to, is no address")
    known = (fault for cause in causes if (fault := _fault_of(cause, host, address)) is not None)
    broke = f"the connection to {address} broke before the response was complete"
    return Unreachable(next(known, f"cannot connect to {address}" if isinstance(error, httpx.ConnectError) else broke))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what led to it; of several failed attempts at one host the first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        first = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = first or cause.__cause__ or cause.__context__


def _fault_of(cause: BaseException, host: str, address: str) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return f"TLS: the certificate of {address} is not trusted: {cause.verify_message}"
        case ssl.SSLError():
            is_plain = cause.reason in _NO_TLS
            broken = f"TLS: no secure connection to {address}: {cause.reason or 'broken off'}"
            return f"{address} does not speak TLS: is the base URL http:// instead?" if is_plain else broken
        case socket.gaierror():
            return f"cannot resolve {host}"
        case ConnectionRefusedError():
            return f"cannot connect to {address}: connection refused"
        case ConnectionResetError():
            return f"the connection to {address} was reset"
    return None

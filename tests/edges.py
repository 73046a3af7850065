"""Stand before a simulated gateway: firewalls, portals, caches and proxies that answer in its place.

Pure: no sockets; a clock is an argument. An edge is a function of a request and of `pass_on`, which
returns the answer of what stands behind. Edges compose; the outermost comes first:

    Gateway(edges=[bearer_only(), on(GROUPS_PATH, cloudflare_challenge())])
"""

import email.utils
import gzip
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway import Answer, Edge, PassOn, Request

HTML_TYPE = "text/html; charset=UTF-8"
TEXT_TYPE = "text/plain; charset=UTF-8"
CLOUDFLARE = {"Server": "cloudflare", "CF-RAY": "8f0a1b2c3d4e5f60-FRA"}
CHALLENGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body>Checking your browser</body></html>"
)


# Where an edge answers.


def on(paths: str | Collection[str], edge: Edge) -> Edge:
    """Let *edge* stand before *paths* alone."""
    chosen = {paths} if isinstance(paths, str) else set(paths)

    def choose(request: Request, pass_on: PassOn) -> Answer:
        return edge(request, pass_on) if request.path in chosen else pass_on()

    return choose


def except_on(paths: str | Collection[str], edge: Edge) -> Edge:
    """Let *edge* stand before every path but *paths*."""
    spared = {paths} if isinstance(paths, str) else set(paths)

    def choose(request: Request, pass_on: PassOn) -> Answer:
        return pass_on() if request.path in spared else edge(request, pass_on)

    return choose


def after(requests: int, edge: Edge) -> Edge:
    """Let the first *requests* pass, then let *edge* stand before the gateway."""
    seen = 0

    def choose(request: Request, pass_on: PassOn) -> Answer:
        nonlocal seen
        seen += 1
        return pass_on() if seen <= requests else edge(request, pass_on)

    return choose


# What answers in the gateway's place.


def responds(
    status: int,
    body: str = "",
    kind: str | None = HTML_TYPE,
    headers: Mapping[str, str] | None = None,
) -> Edge:
    """Give the same answer to every request; *kind* is the Content-Type, None for none."""
    given = {"Content-Type": kind} | dict(headers or {})
    fixed = Answer(status=status, headers=given, body=body.encode())
    return lambda _request, _pass_on: fixed


def cloudflare_challenge(status: int = 403) -> Edge:
    """Ask for proof of a browser, as Cloudflare does."""
    return responds(status, CHALLENGE_PAGE, headers=CLOUDFLARE | {"cf-mitigated": "challenge"})


def cloudflare_1010() -> Edge:
    """Reject the client's signature in plain text, as Cloudflare does."""
    return responds(403, "error code: 1010", TEXT_TYPE, CLOUDFLARE)


def cloudflare_error(status: int = 522) -> Edge:
    """Say that the gateway cannot be reached: 520 to 526 and 530."""
    return responds(status, f"error code: {status}", TEXT_TYPE, CLOUDFLARE)


def firewall(status: int = 403) -> Edge:
    """Reject with a page: 403, 405, 418 or 451, as firewalls of several makers do."""
    return responds(status, "<html><head><title>Request blocked</title></head></html>")


def silent_firewall(status: int = 403) -> Edge:
    """Reject with an empty body and no type."""
    return responds(status, kind=None)


def script_challenge() -> Edge:
    """Answer 200 with a page that runs a script first."""
    return responds(200, "<html><script>var arg1='00';</script></html>")


def captive_portal(login: str | None = None) -> Edge:
    """Show a login page with status 200; with *login*, redirect there with 302."""
    if login is None:
        return responds(200, "<html><head><title>Network login</title></head></html>")
    return responds(302, headers={"Location": login})


def basic_auth(realm: str = "staff") -> Edge:
    """Ask for a password of the proxy's own, unless one is sent."""
    asks = responds(
        401,
        "<html><head><title>401 Authorization Required</title></head></html>",
        headers={"WWW-Authenticate": f'Basic realm="{realm}"'},
    )

    def guard(request: Request, pass_on: PassOn) -> Answer:
        if request.headers.get("authorization", "").startswith("Basic "):
            return pass_on()
        return asks(request, pass_on)

    return guard


def bearer_only() -> Edge:
    """Let only `Authorization: Bearer ...` pass."""
    asks = responds(
        401,
        '{"message":"unsupported authorization scheme"}',
        "application/json",
        {"WWW-Authenticate": "Bearer"},
    )
    return _requires(_sends_bearer, asks)


def header_only(name: str, value: str) -> Edge:
    """Let only requests with this header pass, as access proxies do; others get an empty 403."""
    return _requires(lambda request: request.headers.get(name.lower()) == value, silent_firewall())


def _sends_bearer(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith("Bearer ")


def _requires(is_allowed: Callable[[Request], bool], otherwise: Edge) -> Edge:
    def guard(request: Request, pass_on: PassOn) -> Answer:
        return pass_on() if is_allowed(request) else otherwise(request, pass_on)

    return guard


def foreign_json(status: int = 403, content: object = None) -> Edge:
    """Answer with JSON that is not of the family."""
    shown = {"error": "forbidden", "request": "1"} if content is None else content
    return responds(status, json.dumps(shown), "application/json")


def rate_limiter(retry_after: str | None = None, body: str = "") -> Edge:
    """Answer 429 with an empty body, or with a page."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return responds(429, body, headers=headers)


# What changes the gateway's own answers.


@dataclass(kw_only=True)
class CachingProxy:
    """Keep each answer of status 200 for *lifetime* seconds, and return it with its age.

    A request with `Cache-Control: no-cache` or `Pragma: no-cache` is passed on, unless the proxy
    *ignores_clients*, as some content delivery networks do.
    """

    clock: Callable[[], float]
    lifetime: float
    ignores_clients: bool = False
    stored: dict[tuple[str, str], tuple[float, Answer]] = field(default_factory=dict)

    def __call__(self, request: Request, pass_on: PassOn) -> Answer:
        place = (request.path, repr(sorted(request.query.items())))
        now = self.clock()
        if place in self.stored and (self.ignores_clients or not _asks_fresh(request)):
            since, kept = self.stored[place]
            if now - since < self.lifetime:
                headers = {"Age": f"{now - since:.0f}", "X-Cache": "HIT"}
                return _with_headers(kept, headers)
        fresh = pass_on()
        if fresh.status == 200:
            date = {"Date": email.utils.formatdate(now, usegmt=True)}
            fresh = _with_headers(fresh, date)
            self.stored[place] = (now, fresh)
        return fresh


def _asks_fresh(request: Request) -> bool:
    asked = request.headers.get("cache-control", "") + request.headers.get("pragma", "")
    return "no-cache" in asked


def aged(seconds: int, clock: Callable[[], float]) -> Edge:
    """Pretend that a cache has kept every answer for *seconds*, whatever the client asks for."""

    def cache(_request: Request, pass_on: PassOn) -> Answer:
        date = email.utils.formatdate(clock() - seconds, usegmt=True)
        return _with_headers(pass_on(), {"Age": str(seconds), "X-Cache": "HIT", "Date": date})

    return cache


def labelled(coding: str) -> Edge:
    """Send bodies as they are, with this Content-Encoding: `UTF-8`, `none`, `identity` or empty."""

    def label(_request: Request, pass_on: PassOn) -> Answer:
        return _with_headers(pass_on(), {"Content-Encoding": coding})

    return label


def packed(coding: str = "gzip", *, members: int = 1) -> Edge:
    """Compress every body, asked or not, into a gzip stream of *members*, labelled *coding*."""

    def pack(_request: Request, pass_on: PassOn) -> Answer:
        plain = pass_on()
        length = -(-len(plain.body) // members) or 1
        starts = range(0, len(plain.body), length) or range(1)
        pieces = [gzip.compress(plain.body[start : start + length]) for start in starts]
        return _with_headers(replace(plain, body=b"".join(pieces)), {"Content-Encoding": coding})

    return pack


def _with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return replace(answer, headers=dict(answer.headers) | dict(headers))


# How a proxy that encodes JSON again writes whole numbers.


def as_text(number: int) -> str:
    """Write 500000 as "500000"."""
    return f'"{number}"'


def with_point(number: int) -> str:
    """Write 500000 as 500000.0."""
    return f"{number}.0"


def with_exponent(number: int) -> str:
    """Write 100000 as 1e+05, and 1501 as 1.501e+03."""
    mantissa, exponent = f"{number:.15e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"


def numbers(write: Callable[[int], str], *fields: str) -> Edge:
    """Write the whole numbers of *fields*, at any depth, as *write* does."""
    names = "|".join(map(re.escape, fields))
    wanted = re.compile(rf'("(?:{names})"):(-?\d+)(?=[,}}])')

    def written(found: re.Match[str]) -> str:
        return f"{found[1]}:{write(int(found[2]))}"

    def encode(_request: Request, pass_on: PassOn) -> Answer:
        plain = pass_on()
        return replace(plain, body=wanted.sub(written, plain.body.decode()).encode())

    return encode


def field_as(name: str, value: object) -> Edge:
    """Give every field *name* of the JSON, at any depth, this *value*."""
    return _rewriting(lambda fields: fields | {name: value} if name in fields else fields)


def without_field(name: str) -> Edge:
    """Leave out every field *name* of the JSON, at any depth."""
    return _rewriting(lambda fields: {key: fields[key] for key in fields if key != name})


def _rewriting(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Edge:
    def rewrite(_request: Request, pass_on: PassOn) -> Answer:
        plain = pass_on()
        changed = json.loads(plain.body, object_hook=change)
        body = json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode()
        return replace(plain, body=body)

    return rewrite

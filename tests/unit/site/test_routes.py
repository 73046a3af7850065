"""What clients get: metrics whatever happens, and two probes."""

import asyncio
import gzip
from dataclasses import dataclass, field

import httpx
import pytest
from domain import NOW, a_read_state, a_snapshot, a_state, an_api_key
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from scraped import Scraped

from exporter.exposition.rendering import Format
from exporter.site.routes import Site
from exporter.snapshot import Snapshot

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def a_site(exposition, **over):
    """Describe a site without a status page over *exposition*."""
    facts = {
        "telemetry_path": "/metrics",
        "read_snapshot": a_snapshot,
        "clock": lambda: NOW,
        "is_alive": lambda: True,
        "has_status_page": False,
    }
    return Site(exposition=exposition, **facts | over)


def request(path, *, method="GET", ready=True, headers=None, **over):
    """Ask a site, accepting what *headers* say and nothing else; return the response, with what came on the wire."""
    exposition = Scraped(a_snapshot(an_api_key(name="ключ"))).exposition
    snapshot = Snapshot.of([a_read_state() if ready else a_state()])
    site = a_site(exposition, read_snapshot=lambda: snapshot, **over).application()

    async def ask():
        transport = httpx.ASGITransport(site)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            client.headers.clear()
            async with client.stream(method, path, headers=headers) as response:
                return response, b"".join([piece async for piece in response.aiter_raw()])

    return asyncio.run(ask())


def status(path, **over):
    return request(path, **over)[0].status_code


def test_a_scrape_that_accepts_nothing_special_gets_plain_text():
    response, raw = request("/metrics")

    assert (response.status_code, response.headers["content-type"]) == (200, TEXT)
    assert "content-encoding" not in response.headers
    assert (response.headers["vary"], response.headers["cache-control"]) == (
        "Accept, Accept-Encoding",
        "no-store",
    )
    assert 'key_name="ключ"' in raw.decode()


def test_who_accepts_openmetrics_gets_it():
    response, raw = request(
        "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}
    )

    assert response.headers["content-type"] == OPENMETRICS
    assert "cometapi_up" in {family.name for family in parse_openmetrics(raw.decode())}


def test_who_accepts_gzip_gets_it_said_and_done():
    response, raw = request("/metrics", headers={"accept-encoding": "gzip"})

    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) == len(raw)
    assert gzip.decompress(raw) == request("/metrics")[1]


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready", "/"])
def test_no_browser_may_guess_what_an_answer_is(path):
    assert request(path)[0].headers["x-content-type-options"] == "nosniff"


def test_names_choose_families():
    _, raw = request("/metrics?name[]=cometapi_up&name[]=cometapi_key_status")

    assert [
        line.split("{")[0] for line in raw.decode().splitlines() if not line.startswith("#")
    ] == [
        "cometapi_key_status",
        "cometapi_up",
    ]


@pytest.mark.parametrize(
    "query", ["?name[]=missing", "?name[]=", "?name%5B%5D=%00%ff", "?foo=bar", "?name[]=a" * 50]
)
def test_metrics_answer_200_whatever_is_asked_and_when_nothing_works(query):
    headers = {"accept": ";q=;,", "accept-encoding": b"\xff;q=x"}

    assert status(f"/metrics{query}", headers=headers, is_alive=lambda: False, ready=False) == 200


def test_the_metrics_have_the_path_that_was_chosen_and_no_other():
    chosen = {"telemetry_path": "/probe/cometapi"}

    assert [status(path, **chosen) for path in ("/probe/cometapi", "/metrics")] == [200, 404]
    assert (
        request("/", **chosen)[1]
        == b"the status page is disabled; the metrics are at /probe/cometapi\n"
    )


@pytest.mark.parametrize(
    ("path", "alive", "ready", "code"),
    [
        ("/-/healthy", True, False, 200),
        ("/-/healthy", False, True, 503),
        ("/-/ready", False, True, 200),
        ("/-/ready", True, False, 503),
    ],
)
def test_each_probe_answers_its_own_question(path, alive, ready, code):
    response, _ = request(path, is_alive=lambda: alive, ready=ready)

    assert response.status_code == code
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_says_what_get_would_and_nothing_else_is_allowed(path):
    head, get = (request(path, method=method)[0] for method in ("HEAD", "GET"))
    refused = [
        request(path, method=method)[0]
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW")
    ]

    assert (head.status_code, head.headers["content-type"]) == (
        get.status_code,
        get.headers["content-type"],
    )
    assert {response.status_code for response in refused} == {405}
    assert {frozenset(response.headers["allow"].split(", ")) for response in refused} == {
        frozenset({"GET", "HEAD"})
    }


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/-/",
        "/-/live",
        "/metrics/",
        "/metrics/x",
        "/%2e%2e/etc/passwd",
        "/metrics%00",
        "/api/v1/keys",
        "/api/v1/changes",
    ],
)
def test_what_is_not_there_is_404(path):
    assert status(path) == 404


@pytest.mark.parametrize(
    ("problems", "code", "text"),
    [
        (
            None,
            403,
            "reloads by request are disabled: set --web.enable-lifecycle, or send SIGHUP\n",
        ),
        ([], 200, "reloaded\n"),
        (
            ["accounts[0].name: missing", "thresholds: no list"],
            500,
            "accounts[0].name: missing\nthresholds: no list\n",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_reload_by_request_says_every_problem(method, problems, code, text):
    async def reload():
        return problems

    response, raw = request("/-/reload", method=method, reload=None if problems is None else reload)

    assert (response.status_code, raw.decode()) == (code, text)


def test_sixteen_requests_share_a_reload_and_further_ones_are_rejected():
    exposition = Scraped(a_snapshot()).exposition

    async def play():
        go_on = asyncio.Event()

        async def reload():
            await go_on.wait()
            return ()

        transport = httpx.ASGITransport(a_site(exposition, reload=reload).application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            asking = [asyncio.create_task(client.post("/-/reload")) for _ in range(20)]
            done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 4:
                await asyncio.sleep(0)
                done = {task for task in asking if task.done()}
            go_on.set()
            responses = await asyncio.gather(*asking)
        return sorted(response.status_code for response in responses)

    assert asyncio.run(play()) == [200] * 16 + [503] * 4


def test_a_client_that_leaves_makes_room_for_another_request_to_reload():
    exposition = Scraped(a_snapshot()).exposition

    async def play():
        go_on, asked = asyncio.Event(), asyncio.Queue()

        async def reload():
            asked.put_nowait("reload")
            await go_on.wait()
            return ()

        transport = httpx.ASGITransport(a_site(exposition, reload=reload).application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            asking = [asyncio.create_task(client.post("/-/reload")) for _ in range(16)]
            for _ in asking:
                await asked.get()
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
            last = asyncio.create_task(client.post("/-/reload"))
            reached = asyncio.create_task(asked.get())
            await asyncio.wait([last, reached], return_when=asyncio.FIRST_COMPLETED)
            reached.cancel()
            go_on.set()
            return (await last).status_code

    assert asyncio.run(play()) == 200


@pytest.mark.parametrize("path", ["/-/healthy/", "/-/ready/"])
def test_the_probe_address_redirects_nobody_to_the_host_of_the_request(path):
    probes = a_site(Scraped(a_snapshot()).exposition).probes()

    async def play():
        transport = httpx.ASGITransport(probes)
        async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as client:
            return (await client.get(path)).status_code

    assert asyncio.run(play()) == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_other_methods_do_not_reload(method):
    assert status("/-/reload", method=method) == 405


# Many clients at once.

EXPENSIVE = {
    "chosen": ("/metrics?name[]=cometapi_up", {"accept-encoding": "gzip"}),
    "plain": ("/metrics", {"accept-encoding": "identity"}),
    "page": ("/", {}),
    "json": ("/api/v1/keys", {}),
    "changes": ("/api/v1/changes", {}),
}


@dataclass(kw_only=True)
class StuckExposition:
    """Answers a gzip scrape at once, and nothing else before it is let go; *begun* counts what was asked for."""

    begun: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def gzipped(self, form, names=()):
        assert form is Format.TEXT
        if names:
            self.begun += 1
            await self.let_go.wait()
        return [b""]

    async def plain(self, form, names):
        await self.gzipped(form, names or ["all"])
        for piece in (b"plain", b"", b" text"):
            yield piece


def crowd(scenario):
    """Run *scenario* with a stuck exposition and a way to ask a site with a status page over it."""

    async def run():
        exposition = StuckExposition()
        transport = httpx.ASGITransport(a_site(exposition, has_status_page=True).application())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.wait_for(scenario(exposition, client), 10)

    return asyncio.run(run())


async def asked(client, number, path, headers):
    tasks = [asyncio.ensure_future(client.get(path, headers=headers)) for _ in range(number)]
    for _ in range(50):
        await asyncio.sleep(0)
    return tasks


def test_of_a_crowd_of_expensive_requests_one_is_at_work_and_sixteen_wait():
    async def scenario(exposition, client):
        tasks = await asked(client, 300, *EXPENSIVE["chosen"])
        refused = [task.result() for task in tasks if task.done()]
        begun = exposition.begun
        exposition.let_go.set()
        return begun, refused, [answer.status_code for answer in await asyncio.gather(*tasks)]

    begun, refused, codes = crowd(scenario)

    assert (begun, codes.count(200), codes.count(503)) == (1, 17, 283)
    assert {
        (answer.headers["retry-after"], answer.headers["connection"]) for answer in refused
    } == {("5", "close")}


@pytest.mark.parametrize("kind", EXPENSIVE)
def test_all_expensive_responses_share_one_bound(kind):
    async def scenario(exposition, client):
        tasks = await asked(client, 17, *EXPENSIVE["chosen"])
        answer = await client.get(EXPENSIVE[kind][0], headers=EXPENSIVE[kind][1])
        exposition.let_go.set()
        await asyncio.gather(*tasks)
        return answer.status_code

    assert crowd(scenario) == 503


def test_an_ordinary_scrape_is_never_refused_and_waits_for_no_crowd():
    async def scenario(exposition, client):
        tasks = await asked(client, 300, *EXPENSIVE["chosen"])
        code = (await client.get("/metrics", headers={"accept-encoding": "gzip"})).status_code
        begun = exposition.begun
        exposition.let_go.set()
        await asyncio.gather(*tasks)
        return code, begun

    assert crowd(scenario) == (200, 1)


def test_a_plain_response_is_whole_although_its_pieces_take_turns():
    async def scenario(exposition, client):
        tasks = await asked(client, 8, *EXPENSIVE["plain"])
        exposition.let_go.set()
        return [answer.content for answer in await asyncio.gather(*tasks)]

    assert crowd(scenario) == [b"plain text"] * 8

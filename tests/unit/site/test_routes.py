"""What clients get: metrics whatever happens, and two probes."""

import asyncio
import gzip
from dataclasses import dataclass, field

import httpx
import pytest
from domain import NOW, a_read_state, a_snapshot, a_state, an_api_key
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from scraped import Scraped

from exporter.exposition.rendering import Form
from exporter.site.routes import Site
from exporter.snapshot import Snapshot

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came: *raw* as it was sent."""

    status: int
    headers: httpx.Headers
    raw: bytes

    @property
    def text(self):
        return self.raw.decode()


def a_site(exposition, **over):
    """Build a site without a status page over *exposition*."""
    facts = {
        "telemetry_path": "/metrics",
        "read_snapshot": a_snapshot,
        "clock": lambda: NOW,
        "is_alive": lambda: True,
        "has_status_page": False,
    }
    return Site(exposition=exposition, **facts | over).application()


@dataclass(kw_only=True)
class Client:
    """A client of a site that accepts what is said in each request and nothing else."""

    telemetry_path: str = "/metrics"
    alive: bool = True
    ready: bool = True
    has_status_page: bool = False
    reload: object = None

    def __post_init__(self):
        self.site = a_site(
            Scraped(a_snapshot(an_api_key(name="ключ"))).exposition,
            telemetry_path=self.telemetry_path,
            is_alive=lambda: self.alive,
            has_status_page=self.has_status_page,
            reload=self.reload,
            read_snapshot=lambda: Snapshot.of([a_read_state() if self.ready else a_state()]),
        )

    def request(self, method, path, **headers):
        return asyncio.run(
            self._request(method, path, {name.replace("_", "-"): text for name, text in headers.items()})
        )

    async def _request(self, method, path, headers):
        transport = httpx.ASGITransport(self.site)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            client.headers.clear()
            async with client.stream(method, path, headers=headers) as answer:
                raw = b"".join([piece async for piece in answer.aiter_raw()])
                return Answer(status=answer.status_code, headers=answer.headers, raw=raw)

    def get(self, path, **headers):
        return self.request("GET", path, **headers)


def test_a_scrape_that_accepts_nothing_special_gets_plain_text():
    answer = Client().get("/metrics")

    assert answer.status == 200
    assert answer.headers["content-type"] == TEXT
    assert "content-encoding" not in answer.headers
    assert 'key_name="ключ"' in answer.text


def test_who_accepts_openmetrics_gets_it():
    answer = Client().get("/metrics", accept="application/openmetrics-text;version=1.0.0")

    assert answer.headers["content-type"] == OPENMETRICS
    assert "cometapi_up" in {family.name for family in parse_openmetrics(answer.text)}


def test_who_accepts_gzip_gets_it_said_and_done():
    client = Client()
    answer = client.get("/metrics", accept_encoding="gzip")

    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(answer.raw)
    assert gzip.decompress(answer.raw) == client.get("/metrics").raw


def test_caches_are_told_what_the_answer_depends_on_and_that_it_must_not_be_kept():
    headers = Client().get("/metrics").headers

    assert (headers["vary"], headers["cache-control"]) == ("Accept, Accept-Encoding", "no-store")


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/keys"])
def test_no_browser_may_guess_what_an_answer_is(path):
    assert Client(has_status_page=True).get(path).headers["x-content-type-options"] == "nosniff"


def test_names_choose_families():
    answer = Client().get("/metrics?name[]=cometapi_up&name[]=cometapi_key_status")

    assert [line.split("{")[0] for line in answer.text.splitlines() if not line.startswith("#")] == [
        "cometapi_key_status",
        "cometapi_up",
    ]


@pytest.mark.parametrize("query", ["?name[]=missing", "?name[]=", "?name%5B%5D=%00%ff", "?foo=bar", "?name[]=a" * 50])
def test_metrics_answer_200_whatever_is_asked(query):
    assert Client().get(f"/metrics{query}", accept=";q=;,", accept_encoding=b"\xff;q=x").status == 200


def test_metrics_answer_200_when_nothing_works():
    assert Client(alive=False, ready=False).get("/metrics").status == 200


def test_the_metrics_have_the_path_that_was_chosen_and_no_other():
    client = Client(telemetry_path="/probe/cometapi")

    assert [client.get(path).status for path in ("/probe/cometapi", "/metrics")] == [200, 404]


@pytest.mark.parametrize(
    ("path", "state", "status"),
    [
        ("/-/healthy", {}, 200),
        ("/-/healthy", {"ready": False}, 200),
        ("/-/healthy", {"alive": False}, 503),
        ("/-/ready", {}, 200),
        ("/-/ready", {"alive": False}, 200),
        ("/-/ready", {"ready": False}, 503),
    ],
)
def test_each_probe_answers_its_own_question(path, state, status):
    answer = Client(**state).get(path)

    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_probe_asks_again_each_time():
    client = Client(ready=False)
    before = client.get("/-/ready").status
    client.ready = True

    assert (before, client.get("/-/ready").status) == (503, 200)


@pytest.mark.parametrize("telemetry_path", ["/metrics", "/probe/cometapi"])
def test_where_the_page_for_people_is_disabled_one_is_told_where_the_metrics_are(telemetry_path):
    answer = Client(telemetry_path=telemetry_path).get("/")

    assert answer.status == 404
    assert answer.text == f"the status page is disabled; the metrics are at {telemetry_path}\n"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_says_what_get_would(path):
    client = Client()
    head, get = client.request("HEAD", path), client.get(path)

    assert (head.status, head.headers["content-type"]) == (get.status, get.headers["content-type"])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_other_methods_are_not_allowed(method, path):
    answer = Client().request(method, path)

    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "path", ["/missing", "/-/", "/-/live", "/metrics/", "/metrics/x", "/%2e%2e/etc/passwd", "/metrics%00"]
)
def test_what_is_not_there_is_404(path):
    assert Client().get(path).status == 404


@pytest.mark.parametrize(
    ("problems", "status", "text"),
    [
        (None, 403, "reloads by request are disabled: set --web.enable-lifecycle, or send SIGHUP\n"),
        ([], 200, "reloaded\n"),
        (["accounts[0].name: missing", "thresholds: no list"], 500, "accounts[0].name: missing\nthresholds: no list\n"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_reload_by_request_says_every_problem(method, problems, status, text):
    async def reload():
        return problems

    answer = Client(reload=None if problems is None else reload).request(method, "/-/reload")

    assert (answer.status, answer.text) == (status, text)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_other_methods_do_not_reload(method):
    assert Client().request(method, "/-/reload").status == 405


# Many clients at once.

EXPENSIVE = {
    "chosen": ("/metrics?name[]=cometapi_up", {"accept-encoding": "gzip"}),
    "plain": ("/metrics", {"accept-encoding": "identity"}),
    "page": ("/", {}),
    "json": ("/api/v1/keys", {}),
}


@dataclass(kw_only=True)
class StuckExposition:
    """Answers a gzip scrape at once, and nothing else before it is let go; *begun* counts what was asked for."""

    begun: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def gzipped(self, form, names=()):
        assert form is Form.TEXT
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
        transport = httpx.ASGITransport(a_site(exposition, has_status_page=True))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.wait_for(scenario(exposition, client), 10)

    return asyncio.run(run())


async def asked(client, number, path, headers):
    tasks = [asyncio.ensure_future(client.get(path, headers=headers)) for _ in range(number)]
    for _ in range(50):
        await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("kind", ["chosen", "plain"])
def test_of_a_crowd_of_expensive_requests_one_is_at_work_and_sixteen_wait(kind):
    async def scenario(exposition, client):
        tasks = await asked(client, 300, *EXPENSIVE[kind])
        refused = [task.result() for task in tasks if task.done()]
        begun = exposition.begun
        exposition.let_go.set()
        return begun, refused, [answer.status_code for answer in await asyncio.gather(*tasks)]

    begun, refused, codes = crowd(scenario)

    assert (begun, codes.count(200), codes.count(503)) == (1, 17, 283)
    assert {(answer.headers["retry-after"], answer.headers["connection"]) for answer in refused} == {("5", "close")}


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


def test_three_hundred_requests_that_are_cut_at_once_leave_no_work_behind():
    async def scenario(exposition, client):
        tasks = await asked(client, 300, *EXPENSIVE["chosen"])
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        exposition.let_go.set()
        page = await client.get("/")
        return page.status_code, exposition.begun

    assert crowd(scenario) == (200, 1)


def test_a_plain_response_is_whole_although_its_pieces_take_turns():
    async def scenario(exposition, client):
        tasks = await asked(client, 8, *EXPENSIVE["plain"])
        exposition.let_go.set()
        return [answer.content for answer in await asyncio.gather(*tasks)]

    assert crowd(scenario) == [b"plain text"] * 8

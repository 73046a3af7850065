"""What visitors get: metrics whatever happens, and two probes."""

import asyncio
import gzip
from dataclasses import dataclass

import httpx
import pytest
from domain import NOW, a_snapshot, an_api_key
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.exposition import Exposition
from exporter.site.routes import Site

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


@dataclass(kw_only=True)
class Visit:
    """A site, and a visitor who accepts what is said in each request and nothing else."""

    telemetry_path: str = "/metrics"
    alive: bool = True
    ready: bool = True

    def __post_init__(self):
        snapshot = a_snapshot(an_api_key(name="ключ"))
        self.site = Site(
            exposition=Exposition(current=lambda: snapshot, own=[], clock=lambda: NOW),
            telemetry_path=self.telemetry_path,
            is_alive=lambda: self.alive,
            is_ready=lambda: self.ready,
        ).application()

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
    answer = Visit().get("/metrics")

    assert answer.status == 200
    assert answer.headers["content-type"] == TEXT
    assert "content-encoding" not in answer.headers
    assert 'key_name="ключ"' in answer.text


def test_who_accepts_openmetrics_gets_it():
    answer = Visit().get("/metrics", accept="application/openmetrics-text;version=1.0.0")

    assert answer.headers["content-type"] == OPENMETRICS
    assert "cometapi_up" in {family.name for family in parse_openmetrics(answer.text)}


def test_who_accepts_gzip_gets_it_said_and_done():
    visit = Visit()
    answer = visit.get("/metrics", accept_encoding="gzip")

    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(answer.raw)
    assert gzip.decompress(answer.raw) == visit.get("/metrics").raw


def test_caches_are_told_what_the_answer_depends_on_and_that_it_must_not_be_kept():
    headers = Visit().get("/metrics").headers

    assert (headers["vary"], headers["cache-control"]) == ("Accept, Accept-Encoding", "no-store")


def test_names_choose_families():
    answer = Visit().get("/metrics?name[]=cometapi_up&name[]=cometapi_key_status")

    assert [line.split("{")[0] for line in answer.text.splitlines() if not line.startswith("#")] == [
        "cometapi_key_status",
        "cometapi_up",
    ]


@pytest.mark.parametrize("query", ["?name[]=nobody", "?name[]=", "?name%5B%5D=%00%ff", "?foo=bar", "?name[]=a" * 50])
def test_metrics_answer_200_whatever_is_asked(query):
    assert Visit().get(f"/metrics{query}", accept=";q=;,", accept_encoding=b"\xff;q=x").status == 200


def test_metrics_answer_200_when_nothing_works():
    assert Visit(alive=False, ready=False).get("/metrics").status == 200


def test_the_metrics_have_the_path_that_was_chosen_and_no_other():
    visit = Visit(telemetry_path="/probe/cometapi")

    assert [visit.get(path).status for path in ("/probe/cometapi", "/metrics")] == [200, 404]


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
    answer = Visit(**state).get(path)

    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_probe_asks_anew_each_time():
    visit = Visit(ready=False)
    before = visit.get("/-/ready").status
    visit.ready = True

    assert (before, visit.get("/-/ready").status) == (503, 200)


@pytest.mark.parametrize("telemetry_path", ["/metrics", "/probe/cometapi"])
def test_where_the_page_for_people_is_switched_off_one_is_told_where_the_metrics_are(telemetry_path):
    answer = Visit(telemetry_path=telemetry_path).get("/")

    assert answer.status == 404
    assert answer.text == f"the status page is switched off; the metrics are at {telemetry_path}\n"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_says_what_get_would(path):
    visit = Visit()
    head, get = visit.request("HEAD", path), visit.get(path)

    assert (head.status, head.headers["content-type"]) == (get.status, get.headers["content-type"])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_other_methods_are_not_allowed(method, path):
    answer = Visit().request(method, path)

    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/nobody", "/-/", "/-/live", "/metrics/x", "/%2e%2e/etc/passwd", "/metrics%00"])
def test_what_is_not_there_is_404(path):
    assert Visit().get(path).status == 404

"""Draw a dashboard with Grafana's own libraries in Chromium, and report what a person would see.

Talks to: a Prometheus, and the page that `drawn/bundle.mjs` makes. The page itself sends nothing to
the network: every address that it asks for is answered here, from files of node_modules.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from binaries import require
from dashboards.queries import Json, Moment, Prometheus, Query, panel_queries
from playwright.sync_api import Browser, Page, Route, sync_playwright

FOLDER = Path(__file__).parent / "drawn"
MODULES = FOLDER / "node_modules"
BUNDLE = MODULES / ".drawn" / "page.js"
HOME = "http://dashboards.invalid/"
FONT = "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
PAGE = """<!doctype html><meta charset=utf-8><link rel=stylesheet href=page.css>
<style>@font-face { font-family: Inter; font-weight: 100 900; src: url(fonts/inter) }</style>
<script>window.__grafana_public_path__ = '/'</script><div id=page></div><script src=page.js></script>"""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
NAVIGATION = 300
"""Width of Grafana's docked navigation, which the panels lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a person looks at, and how; *is_folded* leaves collapsed rows collapsed."""

    dashboard: Json
    values: Mapping[str, str]
    moment: Moment
    width: int = 1440
    left: int = NAVIGATION
    theme: str = "dark"
    is_folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A drawn dashboard: its page, what is seen of each panel by title, and what the page complained about."""

    page: Page
    panels: dict[str, Json]
    complaints: list[str] = field(default_factory=list)


def bundle() -> Path:
    """Return the page's program, bundled again where a source is newer; skip or fail without the libraries."""
    node = require("node")
    if not (MODULES / "@grafana" / "ui").is_dir():
        reason = "Grafana's libraries are not installed: dashboards are NOT drawn (scripts/install-dashboard-tools)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    sources = [*FOLDER.glob("*.js*"), FOLDER / "bundle.mjs"]
    if not BUNDLE.exists() or BUNDLE.stat().st_mtime < max(
        source.stat().st_mtime for source in sources
    ):
        subprocess.run([node, FOLDER / "bundle.mjs"], check=True, timeout=120)
    return BUNDLE


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser; skip or fail without the libraries that draw."""
    bundle()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=QUIET)
        yield browser
        browser.close()


def draw(browser: Browser, source: Prometheus, view: View) -> Drawn:
    """Draw a dashboard as *source* fills it."""
    page = browser.new_page(viewport={"width": view.width, "height": 1000})
    page.clock.set_fixed_time(view.moment.end)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.route("**/*", _answer)
    page.goto(HOME)
    given: dict[str, Any] = {
        "dashboard": view.dashboard,
        "answers": _answers(view, source),
        "from": view.moment.end - view.moment.seconds,
        "to": view.moment.end,
        "theme": view.theme,
        "left": view.left,
        "folded": view.is_folded,
    }
    seen: list[Json] = page.evaluate("given => draw(given)", given)
    return Drawn(page=page, panels={panel["title"]: panel for panel in seen}, complaints=complaints)


def picture(drawn: Drawn, path: Path, height: int | None = None) -> None:
    """Save what was drawn as PNG, from its top to its bottom or down to *height*."""
    whole: int = drawn.page.evaluate("document.body.scrollHeight")
    drawn.page.set_viewport_size({"width": 1440, "height": height or whole})
    drawn.page.screenshot(path=path)


def _answers(view: View, source: Prometheus) -> dict[int, Json]:
    found: dict[int, Json] = {}
    for query in panel_queries(view.dashboard):
        found.setdefault(_panel_id(query), {})[query.name] = source.run(
            query, view.values, view.moment
        )
    return found


def _panel_id(query: Query) -> int:
    return int(query.place.split()[1])


def _answer(route: Route) -> None:
    path = route.request.url.removeprefix(HOME)
    if path == "":
        route.fulfill(body=PAGE, content_type="text/html")
    elif path in {"page.js", "page.css"}:
        route.fulfill(path=BUNDLE.parent / path)
    elif path.startswith("fonts/"):
        route.fulfill(path=MODULES / FONT)
    elif path.startswith("build/img/icons/"):
        route.fulfill(
            path=MODULES / "@grafana/ui/dist/public/img" / path.removeprefix("build/img/")
        )
    else:
        route.abort()

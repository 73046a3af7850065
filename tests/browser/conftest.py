"""A real Chromium that talks to the exporter alone, and complains when a page does anything else."""

import contextlib
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from binaries import require, skip_or_fail
from builders import CANARY_TOKEN, a_wire_key, wire_keys
from gateway import Gateway, always, answer
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from processes import Exporter

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
QUIET += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def chromium():
    """Run a browser for one module: while Playwright is there, its event loop is in the way of `asyncio.run`."""
    path = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe():
    """Return the source of the accessibility checker."""
    if not AXE.is_file():
        skip_or_fail("axe-core (scripts/install-browser-tools installs it)")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def demo():
    with Exporter("--demo") as running:
        yield running.wait_ready()


@pytest.fixture
def watch():
    """Start a gateway with these keys and the exporter that reads it ten times a second; both, ready."""
    flags = ("--collect.interval=100ms", "--collect.max-requests-per-minute=100000")
    with contextlib.ExitStack() as stack:

        def started(*keys):
            gateway = stack.enter_context(Gateway(keys=list(keys)))
            variables = {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN, "COMETAPI_BASE_URL": gateway.url}
            return stack.enter_context(Exporter(*flags, **variables)).wait_ready(), gateway

        yield started


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """Return the address of an exporter of three accounts: many keys, two with long names, and none.

    The keys break policies.
    """
    gateways = {
        "production-eu": Gateway(keys=wire_keys(230, now=int(time.time()))),
        "team/research": Gateway(
            keys=[
                a_wire_key(1, name="W" * 50, group="M" * 50),
                a_wire_key(2, name="a" * 50, group="b-" * 25),
            ]
        ),
        "broken": Gateway(faults=always(answer(401))),
    }
    file = tmp_path_factory.mktemp("several") / "accounts.yml"
    with contextlib.ExitStack() as stack:
        accounts = [
            {
                "name": name,
                "base_url": stack.enter_context(gateway).url,
                "access_token_env": "TOKEN",
            }
            for name, gateway in gateways.items()
        ]
        policies = [{"max_lifetime": "1h", "ip_allowlist": True, "model_limits": True, "name": "x"}]
        content = {"accounts": accounts, "policies": policies}
        file.write_text(json.dumps(content), encoding="utf-8")
        yield (
            stack.enter_context(Exporter(f"--config.file={file}", TOKEN=CANARY_TOKEN))
            .wait_ready()
            .url
        )


@pytest.fixture
def open_page(chromium: Browser, watch):
    """Open an address in a new browser context; at the end no page may have complained or gone elsewhere.

    It asks for `watch` so that the pages close before what they look at ends. Complaints with
    *expected* are allowed.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def watch(page: Page, home: str, expected: str) -> None:
        page.on(
            "console",
            lambda message: (
                wrong.append(message.text)
                if message.type != "log" and not (expected and expected in message.text)
                else None
            ),
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss())
        )
        page.on(
            "request",
            lambda request: (
                wrong.append(request.url) if urlsplit(request.url).netloc != home else None
            ),
        )

    def opened(url: str, expected: str = "", **options) -> Page:
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        watch(page, urlsplit(url).netloc, expected)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []

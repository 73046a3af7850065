"""Take pictures of the status page.

`python scripts/screenshot.py` writes docs/images/status-page*.png from the demo.

Talks to: the installed exporter, started with `--demo` on a free loopback port, and Debian's
Chromium.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
EXPORTER = Path(sys.executable).with_name("cometapi-exporter")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
QUIET += ["--disable-component-update", "--disable-sync"]
PICTURES = {
    "status-page": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    "status-page-dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
    "status-page-phone": {
        "color_scheme": "light",
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
    },
}
PATIENCE_SECONDS = 20.0


def address_of(demo: subprocess.Popen[str]) -> str:
    """Wait until the demo says where it listens, and has read its account once."""
    end = time.monotonic() + PATIENCE_SECONDS
    assert demo.stderr is not None
    for line in demo.stderr:
        found = re.search(r"http://127\.0\.0\.1:\d+", line) if "listening" in line else None
        if found or time.monotonic() > end:
            break
    if found is None:
        raise SystemExit("the demo did not start")
    while time.monotonic() < end:
        with urlopen(f"{found[0]}/api/v1/keys?limit=1", timeout=5) as answer:
            if b'"ready":true' in answer.read():
                return found[0]
        time.sleep(0.2)
    raise SystemExit("the demo was not ready in time")


def take(browser: Browser, url: str, name: str) -> Path:
    """Take one picture."""
    page = browser.new_page(**PICTURES[name])
    page.goto(url)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    page.close()
    return path


def main() -> int:
    """Take the pictures named on the command line, or all."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed: scripts/install-browser-tools installs it")
    IMAGES.mkdir(parents=True, exist_ok=True)
    demo = subprocess.Popen(
        [EXPORTER, "--demo", "--web.listen-address=127.0.0.1:0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = address_of(demo)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
            for name in sys.argv[1:] or PICTURES:
                path = take(browser, url, name)
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")
            browser.close()
    finally:
        demo.terminate()
        demo.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Take pictures of the dashboards.

`python scripts/dashboard_pictures.py` writes docs/images/dashboard-*.png.

Talks to: Prometheus with three hours of the demo, or months of spending, in its store, and
Chromium; both as
tests/dashboards start them.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from dashboards.committed import ONE_KEY, OVERVIEW, SPENDING  # noqa: E402
from dashboards.drawing import View, chromium, draw, picture  # noqa: E402
from dashboards.queries import Json, Moment, Prometheus  # noqa: E402
from dashboards.sample_keys import END  # noqa: E402
from dashboards.serving import prometheus_with_history  # noqa: E402
from dashboards.spending_history import accounts, at, spending_lines  # noqa: E402

IMAGES = ROOT / "docs" / "images"
LAST_HOURS = Moment(end=END, seconds=3 * 3600)
HOME = {"job": ".*", "cluster": "home", "namespace": ".*"}
DEMO = HOME | {"account": "demo", "group": ".*", "window": "1h", "money": "1"}
# Each with the height that tells the story: the first two rows of the one, all of the other.
BOARDS = {
    "overview": (OVERVIEW, DEMO | {"key": ".*"}, 1640),
    "key": (ONE_KEY, DEMO | {"key": "1127"}, None),
}
# Of a history of its own, as the days of a month are no three hours.
LAST_DAYS = Moment(end=at(5, 20, 15), seconds=30 * 86_400, step=86_400)
SPENT = HOME | {"account": ".*", "group": ".*", "key": ".*", "window": "1h", "money": "1"}
THEMES = {"": "light", "-dark": "dark"}


def main() -> int:
    """Take each dashboard in both themes."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with prometheus_with_history(Path(folder) / "demo") as source:
            for name, (dashboard, values, height) in BOARDS.items():
                _take(browser, source, name, (dashboard, values, LAST_HOURS), height)
        lines = spending_lines(accounts())
        with prometheus_with_history(Path(folder) / "spending", lines, block="4000h") as source:
            _take(browser, source, "spending", (SPENDING, SPENT, LAST_DAYS), None)
    return 0


def _take(
    browser: Browser,
    source: Prometheus,
    name: str,
    board: tuple[Json, dict[str, str], Moment],
    height: int | None,
) -> None:
    dashboard, values, moment = board
    for ending, theme in THEMES.items():
        view = View(
            dashboard=dashboard,
            values=values,
            moment=moment,
            left=0,
            theme=theme,
            is_folded=True,
        )
        path = IMAGES / f"dashboard-{name}{ending}.png"
        picture(draw(browser, source, view), path, height)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    sys.exit(main())

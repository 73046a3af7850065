"""Take pictures of the dashboards.

`python scripts/dashboard_pictures.py` writes docs/images/dashboard-*.png.

Talks to: a Prometheus with three hours of the demo in its store, and Chromium; both as
tests/dashboards start them.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from dashboards.committed import ONE_KEY, OVERVIEW  # noqa: E402
from dashboards.drawing import View, chromium, draw, picture  # noqa: E402
from dashboards.queries import Moment  # noqa: E402
from dashboards.sample_keys import END  # noqa: E402
from dashboards.serving import prometheus_with_history  # noqa: E402

IMAGES = ROOT / "docs" / "images"
LAST_HOURS = Moment(end=END, seconds=3 * 3600)
HOME = {"job": ".*", "cluster": "home", "namespace": ".*"}
DEMO = HOME | {"account": "demo", "group": ".*", "window": "1h", "money": "1"}
# Each with the height that tells the story: the first two rows of the one, all of the other.
BOARDS = {
    "overview": (OVERVIEW, DEMO | {"key": ".*"}, 1640),
    "key": (ONE_KEY, DEMO | {"key": "1127"}, None),
}
THEMES = {"": "light", "-dark": "dark"}


def main() -> int:
    """Take each dashboard in both themes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        prometheus_with_history(Path(folder)) as source,
        chromium() as browser,
    ):
        for name, (dashboard, values, height) in BOARDS.items():
            for ending, theme in THEMES.items():
                view = View(
                    dashboard=dashboard,
                    values=values,
                    moment=LAST_HOURS,
                    left=0,
                    theme=theme,
                    is_folded=True,
                )
                path = IMAGES / f"dashboard-{name}{ending}.png"
                picture(draw(browser, source, view), path, height)
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

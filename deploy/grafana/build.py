"""Write the Grafana dashboards that are committed beside this file, or check that they are up to date.

Talks to: the folder `dashboards`. Needs grafana-foundation-sdk, one of the development dependencies.
"""

import argparse
import sys
from pathlib import Path

from cometapi_grafana.one_key import one_key
from cometapi_grafana.overview import overview
from cometapi_grafana.page import as_json

FOLDER = Path(__file__).resolve().parent / "dashboards"
DASHBOARDS = {"cometapi-overview.json": overview, "cometapi-key.json": one_key}


def main(arguments: list[str] | None = None) -> int:
    """Give the exit code: 1 where --check found a file that differs from what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a dashboard is out of date")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the dashboards are (default: %(default)s)")
    options = parser.parse_args(arguments)
    texts = {options.folder / name: as_json(build()) for name, build in DASHBOARDS.items()}
    return _check(texts) if options.check else _write(texts)


def _check(texts: dict[Path, str]) -> int:
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path} is out of date: run python deploy/grafana/build.py")
    return 1 if stale else 0


def _write(texts: dict[Path, str]) -> int:
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

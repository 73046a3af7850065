"""Write the Grafana dashboards that are committed beside this file.

Talks to: the folder `dashboards`. Needs grafana-foundation-sdk, one of the development
dependencies.
"""

from pathlib import Path

from cometapi_grafana.dashboard import as_json
from cometapi_grafana.exporter import exporter
from cometapi_grafana.one_key import one_key
from cometapi_grafana.overview import overview
from cometapi_grafana.spending import spending

FOLDER = Path(__file__).resolve().parent / "dashboards"
DASHBOARDS = {
    "cometapi-overview.json": overview,
    "cometapi-key.json": one_key,
    "cometapi-spending.json": spending,
    "cometapi-exporter.json": exporter,
}


def outputs() -> dict[Path, str]:
    """Return the text of every dashboard by its path."""
    return {FOLDER / name: as_json(build()) for name, build in DASHBOARDS.items()}


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")

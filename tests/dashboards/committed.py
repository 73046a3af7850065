"""The committed dashboards, and where their generator is."""

from pathlib import Path

from dashboards.queries import Json, load

GRAFANA = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
OVERVIEW: Json = load(GRAFANA / "dashboards" / "cometapi-overview.json")
ONE_KEY: Json = load(GRAFANA / "dashboards" / "cometapi-key.json")
EXPORTER: Json = load(GRAFANA / "dashboards" / "cometapi-exporter.json")
SPENDING: Json = load(GRAFANA / "dashboards" / "cometapi-spending.json")
# Those that the sample history fills; that of spending needs months.
OF_TODAY = [OVERVIEW, ONE_KEY, EXPORTER]
ALL = [*OF_TODAY, SPENDING]

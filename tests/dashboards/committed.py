"""The committed dashboards, and where their generator is."""

from pathlib import Path

from dashboards.queries import Json, load

GRAFANA = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
OVERVIEW: Json = load(GRAFANA / "dashboards" / "cometapi-overview.json")
ONE_KEY: Json = load(GRAFANA / "dashboards" / "cometapi-key.json")
BOTH = [OVERVIEW, ONE_KEY]
SPENDING: Json = load(GRAFANA / "dashboards" / "cometapi-spending.json")
ALL = [*BOTH, SPENDING]

"""What both dashboards share before a panel is on them, and how one becomes JSON text.

Pure. Knows no files.
"""

import json

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

Page = Dashboard
PanelBuilder = Builder[model.Panel]


def new_page(title: str, uid: str, description: str) -> Page:
    """Start a dashboard: read-only, because the next provisioning would undo what was edited in Grafana."""
    page = (
        Dashboard(title).uid(uid).description(description).tags(["cometapi", "prometheus", "mixin"])
    )
    page = page.readonly().tooltip(model.DashboardCursorSync.CROSSHAIR).timezone("browser")
    return page.time("now-24h", "now").refresh("1m")


def as_json(page: Page) -> str:
    """Give panels their numbers and write the dashboard, the same text for the same dashboard."""
    dashboard = page.build()
    for number, panel in enumerate(_all_panels(dashboard.panels or []), start=1):
        panel.id_val = number
    encoded = json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{encoded}\n"


def _all_panels(panels: list[model.Panel | model.RowPanel]) -> list[model.Panel | model.RowPanel]:
    found: list[model.Panel | model.RowPanel] = []
    for panel in panels:
        found.append(panel)
        if isinstance(panel, model.RowPanel):
            found.extend(panel.panels)
    return found

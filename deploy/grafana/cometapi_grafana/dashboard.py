"""The frame around the panels of a dashboard, and its JSON text.

Pure. Knows no files.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

PanelBuilder = Builder[model.Panel]

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Wide enough for $__rate_interval to hold four samples at the usual scrape intervals up to a
# minute.
MIN_STEP = "1m"


@dataclass(frozen=True, slots=True)
class RowOfPanels:
    """A row of a dashboard: its title and the function that builds its panels."""

    title: str
    panels: Callable[[], list[PanelBuilder]]
    is_collapsed: bool = False


def new_dashboard(title: str, uid: str, description: str) -> Dashboard:
    """Start a dashboard: read-only, because the next provisioning would undo any change."""
    dashboard = Dashboard(title).uid(uid).description(description)
    dashboard = dashboard.tags(["cometapi", "prometheus", "mixin"]).timezone("browser")
    dashboard = dashboard.readonly().tooltip(model.DashboardCursorSync.CROSSHAIR)
    return dashboard.time("now-24h", "now").refresh("1m")


def add_rows(dashboard: Dashboard, rows: Iterable[RowOfPanels]) -> Dashboard:
    """Add *rows* with their panels, in order."""
    for row in rows:
        heading = Row(row.title)
        if row.is_collapsed:
            # Grafana keeps the panels of a collapsed row within the row.
            heading.collapsed(collapsed=True)
            for panel in row.panels():
                heading.with_panel(panel)
        dashboard.with_row(heading)
        if not row.is_collapsed:
            for panel in row.panels():
                dashboard.with_panel(panel)
    return dashboard


def as_json(dashboard: Dashboard) -> str:
    """Give panels their numbers and write the dashboard, the same text for the same dashboard."""
    built = dashboard.build()
    for number, panel in enumerate(_all_panels(built.panels or []), start=1):
        panel.id_val = number
    plain = json.loads(json.dumps(built, cls=JSONEncoder))
    for panel in plain["panels"]:
        for each in (panel, *panel.get("panels", [])):
            _leave_out_defaults(each)
    encoded = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{encoded}\n"


def _leave_out_defaults(panel: dict[str, Any]) -> None:
    """Remove what Grafana assumes anyway, such as the panel's data source for each of its queries.

    A dashboard in a ConfigMap may have 256 KiB at the most, or `kubectl apply` refuses it.
    """
    _leave_out(panel, {"repeatDirection": "h", "transparent": False, "transformations": []})
    defaults = {"datasource": panel.get("datasource"), "range": False, "format": "time_series"}
    for target in panel.get("targets", []):
        _leave_out(target, defaults)


def _leave_out(settings: dict[str, Any], defaults: dict[str, Any]) -> None:
    for name, default in defaults.items():
        if name in settings and settings[name] == default:
            del settings[name]


def _all_panels(panels: list[model.Panel | model.RowPanel]) -> list[model.Panel | model.RowPanel]:
    found: list[model.Panel | model.RowPanel] = []
    for panel in panels:
        found.append(panel)
        if isinstance(panel, model.RowPanel):
            found.extend(panel.panels)
    return found

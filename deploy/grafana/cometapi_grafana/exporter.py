"""The dashboard of the exporter itself, for the question whether its data can be relied on.

Pure.
"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from cometapi_grafana.annotations import failing_refreshes
from cometapi_grafana.dashboard import RowOfPanels, add_rows, new_dashboard
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.links import EXPORTER_UID, to_overview
from cometapi_grafana.rows.exporter_health import exporter_health
from cometapi_grafana.variables import exporter_variables


def exporter() -> Dashboard:
    """Build the dashboard."""
    dashboard = new_dashboard(
        "CometAPI / Exporter",
        EXPORTER_UID,
        "Whether the exporter's data can be relied on, and what the exporter costs.",
    )
    for variable in exporter_variables():
        dashboard.with_variable(variable)
    dashboard.annotation(failing_refreshes(SCOPE))
    return add_rows(dashboard.link(to_overview()), _ROWS)


_ROWS = (RowOfPanels("Exporter health", exporter_health),)

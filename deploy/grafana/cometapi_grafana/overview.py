"""The overview: every key of the chosen accounts, and first what needs attention.

Pure.
"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from cometapi_grafana.annotations import any_status_change, changed_keys, failing_refreshes
from cometapi_grafana.dashboard import PanelBuilder, RowOfPanels, add_rows, new_dashboard
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.links import OVERVIEW_UID, to_exporter, to_key, to_spending
from cometapi_grafana.rows.attention import attention
from cometapi_grafana.rows.every_key import every_key
from cometapi_grafana.rows.expiry import expiry
from cometapi_grafana.rows.history import history
from cometapi_grafana.rows.models import models
from cometapi_grafana.rows.money import money
from cometapi_grafana.rows.policies import policies
from cometapi_grafana.variables import overview_variables


def overview() -> Dashboard:
    """Build the dashboard."""
    dashboard = new_dashboard(
        "CometAPI / Keys overview",
        OVERVIEW_UID,
        "All API keys: what needs attention, money, expiry.",
    )
    for variable in overview_variables():
        dashboard.with_variable(variable)
    for annotation in (any_status_change(SCOPE), changed_keys(SCOPE), failing_refreshes(SCOPE)):
        dashboard.annotation(annotation)
    dashboard = dashboard.link(to_key()).link(to_spending()).link(to_exporter())
    return add_rows(dashboard, _ROWS)


def _models() -> list[PanelBuilder]:
    return models(SCOPE)


_ROWS = (
    RowOfPanels("What needs attention now", attention),
    RowOfPanels("Money and quota", money),
    RowOfPanels("Policies", policies),
    RowOfPanels("Expiry calendar", expiry),
    RowOfPanels("Spending by model", _models),
    RowOfPanels("Every key", every_key),
    RowOfPanels("History", history),
)

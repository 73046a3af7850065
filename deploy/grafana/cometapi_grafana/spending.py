"""The dashboard for those who pay: the calendar month, budgets, and days.

Pure.
"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from cometapi_grafana.annotations import failing_refreshes
from cometapi_grafana.dashboard import RowOfPanels, add_rows, new_dashboard
from cometapi_grafana.expressions import OVERVIEW as SCOPE
from cometapi_grafana.links import SPENDING_UID, to_overview
from cometapi_grafana.rows.months import budgets, days, this_month
from cometapi_grafana.variables import overview_variables


def spending() -> Dashboard:
    """Build the dashboard; in UTC, as the months and days of the gateway are."""
    dashboard = new_dashboard(
        "CometAPI / Spending",
        SPENDING_UID,
        "Cost of keys and models: this month and its forecast, budgets, days.",
    )
    # The gateway's sum of the month is read once an hour.
    dashboard = dashboard.timezone("utc").time("now-30d", "now").refresh("15m")
    for variable in overview_variables():
        dashboard.with_variable(variable)
    dashboard.annotation(failing_refreshes(SCOPE))
    return add_rows(dashboard.link(to_overview()), _ROWS)


_ROWS = (
    RowOfPanels("This calendar month (UTC)", this_month),
    RowOfPanels("Monthly budgets", budgets),
    RowOfPanels("By day", days),
)

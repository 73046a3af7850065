"""The dashboard of one key: can it work, what does it cost, how long will it last.

Pure.
"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from cometapi_grafana.annotations import (
    changed_keys,
    failing_refreshes,
    raised_quota,
    status_changes,
)
from cometapi_grafana.dashboard import PanelBuilder, RowOfPanels, add_rows, new_dashboard
from cometapi_grafana.expressions import ONE_KEY as SCOPE
from cometapi_grafana.links import KEY_UID, to_overview
from cometapi_grafana.rows.key_history import key_history
from cometapi_grafana.rows.key_now import key_account, key_money, key_state
from cometapi_grafana.rows.models import models
from cometapi_grafana.variables import key_variables


def one_key() -> Dashboard:
    """Build the dashboard."""
    dashboard = new_dashboard(
        "CometAPI / One key",
        KEY_UID,
        "One API key: does it work, what does it cost, how long will it last.",
    )
    for variable in key_variables():
        dashboard.with_variable(variable)
    others = (raised_quota(SCOPE), changed_keys(SCOPE), failing_refreshes(SCOPE))
    for annotation in (*status_changes(SCOPE), *others):
        dashboard.annotation(annotation)
    return add_rows(dashboard.link(to_overview()), _ROWS)


def _models() -> list[PanelBuilder]:
    return models(SCOPE)


_ROWS = (
    RowOfPanels("Status", key_state),
    RowOfPanels("Money and quota", key_money),
    RowOfPanels("Account", key_account),
    RowOfPanels("History", key_history),
    # Of single keys only with --collect.usage=key-model, which is not the default.
    RowOfPanels("Spending by model", _models, is_collapsed=True),
)

"""Ways from one dashboard to the other.

Pure. Knows the dashboards' identities and the names of their variables.
"""

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

OVERVIEW_UID = "cometapi-overview"
KEY_UID = "cometapi-key"
SPENDING_UID = "cometapi-spending"
EXPORTER_UID = "cometapi-exporter"
_KEPT = ("datasource", "cluster", "namespace", "job", "money", "window")
_KEEP = "&".join(f"${{{name}:queryparam}}" for name in _KEPT)
_TIME = "${__url_time_range}"


def key_of_row() -> DashboardLink:
    """Open the key that a table row is about; the row must hold account and key_id."""
    account, key = "${__data.fields.account:percentencode}", "${__data.fields.key_id:percentencode}"
    return _data_link(
        "Open this key", f"/d/{KEY_UID}?{_KEEP}&var-account={account}&var-key={key}&{_TIME}"
    )


def key_of_series() -> DashboardLink:
    """Open the key that a line or bar is about; the series must carry account and key_id."""
    account, key = (
        "${__field.labels.account:percentencode}",
        "${__field.labels.key_id:percentencode}",
    )
    return _data_link(
        "Open this key", f"/d/{KEY_UID}?{_KEEP}&var-account={account}&var-key={key}&{_TIME}"
    )


def to_overview() -> DashboardLink:
    """Lead from one key back to all keys of its account."""
    return _top_link(
        "All keys of this account", f"/d/{OVERVIEW_UID}?{_KEEP}&${{account:queryparam}}"
    )


def to_key() -> DashboardLink:
    """Lead from the overview to the dashboard of one key, to be chosen there."""
    return _top_link("One key", f"/d/{KEY_UID}?{_KEEP}")


def to_spending() -> DashboardLink:
    """Lead from the overview to what the same accounts cost."""
    return _top_link("Spending", f"/d/{SPENDING_UID}?{_KEEP}&${{account:queryparam}}")


def to_exporter() -> DashboardLink:
    """Lead from the overview to the exporter that reads the same accounts."""
    return _top_link("Exporter", f"/d/{EXPORTER_UID}?{_KEEP}&${{account:queryparam}}")


def _data_link(title: str, url: str) -> DashboardLink:
    return DashboardLink(title).type(DashboardLinkType.LINK).url(url)


def _top_link(title: str, url: str) -> DashboardLink:
    return _data_link(title, url).icon("dashboard").keep_time(keep_time=True)

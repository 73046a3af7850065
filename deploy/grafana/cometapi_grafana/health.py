"""The row about the exporter itself, for the question whether its data can be relied on.

Pure. May not know which dashboard it is on.
"""

from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
from grafana_foundation_sdk.models.common import GraphTresholdsStyleMode

from . import look, panels, tables
from .expressions import Scope
from .page import PanelBuilder
from .panels import Frame
from .targets import Ask

_MINE = 'and on (job, instance) cometapi_exporter_build_info{job=~"$job"}'


def health_panels(scope: Scope) -> list[PanelBuilder]:
    """Build the row's panels."""
    return [
        _answers(scope),
        _age(scope),
        _refreshes(scope),
        _duration(scope),
        _requests(scope),
        _memory(),
        _cpu(),
        _skipped(scope),
        _builds(),
    ]


def _answers(scope: Scope) -> PanelBuilder:
    frame = _third("API answers", "Whether each account's refreshes succeeded, over time.", look.COUNT)
    ask = Ask(expr=scope.of_account("cometapi_up"), legend="{{account}}")
    return panels.timeline(frame, ask, mappings=look.ANSWERS)


def _age(scope: Scope) -> PanelBuilder:
    read_at = scope.of_account("cometapi_exporter_last_success_timestamp_seconds")
    interval = scope.of_account("cometapi_exporter_refresh_interval_seconds")
    frame = _third("Refreshes since success", "Age of the data in refresh intervals; about 1 is normal.", look.COUNT)
    ask = Ask(expr=f"(time() - {read_at}) / {interval}", legend="{{account}}")
    panel = panels.graph(frame, ask).thresholds(look.thresholds(look.REFRESHES_MISSED))
    return panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))


def _refreshes(scope: Scope) -> PanelBuilder:
    ended, failed = (
        f"rate({name}{{{scope.account}}}[$__rate_interval])"
        for name in ("cometapi_exporter_refreshes_total", "cometapi_exporter_refresh_failures_total")
    )
    frame = _third("Refreshes per minute", "By success or by the reason for failing.", look.COUNT)
    asks = (
        Ask(expr=f"sum by (reason) ({failed}) * 60", legend="{{reason}}"),
        Ask(expr=f"(sum({ended}) - sum({failed})) * 60", legend="success", name="B"),
    )
    return panels.stacked(frame, *asks)


def _duration(scope: Scope) -> PanelBuilder:
    series = f"cometapi_exporter_refresh_duration_seconds_bucket{{{scope.account}}}"
    buckets = f"sum by (le) (rate({series}[$__rate_interval]))"
    asks = [
        Ask(expr=f"histogram_quantile({share}, {buckets})", legend=name, name=name)
        for name, share in (("median", 0.5), ("p95", 0.95))
    ]
    frame = _third("Refresh duration", "How long reading all keys of one account takes.", look.SECONDS)
    return panels.graph(frame, *asks)


def _requests(scope: Scope) -> PanelBuilder:
    sent = f"rate(cometapi_exporter_api_requests_total{{{scope.account}}}[$__rate_interval])"
    frame = _third(
        "API requests per minute",
        "Requests by endpoint and HTTP status code; none means that there was no response.",
        look.COUNT,
    )
    ask = Ask(expr=f"sum by (endpoint, code) ({sent}) * 60", legend="{{endpoint}} {{code}}")
    return panels.stacked(frame, ask)


def _memory() -> PanelBuilder:
    used = f'process_resident_memory_bytes{{job=~"$job"}} {_MINE}'
    frame = _third("Memory", "Resident memory of each exporter process.", look.BYTES)
    return panels.graph(frame, Ask(expr=f"max by (instance) ({used})", legend="{{instance}}"))


def _skipped(scope: Scope) -> PanelBuilder:
    frame = Frame(
        title="Skipped keys",
        description="Keys that the last refresh could not read. They are missing everywhere on this page.",
        width=4,
        height=8,
        unit=look.COUNT,
    )
    skipped = scope.of_account("cometapi_exporter_skipped_keys")
    return panels.number(frame, Ask(expr=f"sum({skipped})"), steps=look.NONE_IS_GOOD)


def _cpu() -> PanelBuilder:
    used = f'rate(process_cpu_seconds_total{{job=~"$job"}}[$__rate_interval]) {_MINE}'
    frame = _third("CPU", "Share of one CPU that each exporter process uses.", look.SHARE)
    return panels.graph(frame, Ask(expr=f"max by (instance) ({used})", legend="{{instance}}"))


def _builds() -> PanelBuilder:
    frame = _wide("Exporters", "The running exporters, one row a replica.", look.COUNT)
    builds = 'max by (job, instance, version, python_version) (cometapi_exporter_build_info{job=~"$job"})'
    titles = {"job": "Job", "instance": "Instance", "version": "Version", "python_version": "Python"}
    return tables.info_table(frame, builds, titles=titles)


def _third(title: str, description: str, unit: str) -> Frame:
    return Frame(title=title, description=description, width=8, height=8, unit=unit)


def _wide(title: str, description: str, unit: str) -> Frame:
    return Frame(title=title, description=description, width=12, height=8, unit=unit)

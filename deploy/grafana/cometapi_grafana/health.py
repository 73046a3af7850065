"""The row about the exporter itself, for the question whether its figures are to be trusted.

Pure. May not know which dashboard it stands on.
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
        _rounds(scope),
        _duration(scope),
        _requests(scope),
        _memory(),
        _cpu(),
        _builds(),
    ]


def _answers(scope: Scope) -> PanelBuilder:
    frame = _third("API answers", "Whether each account's rounds succeeded, over time.", look.COUNT)
    ask = Ask(expr=scope.of_account("cometapi_up"), legend="{{account}}")
    return panels.timeline(frame, ask, mappings=look.ANSWERS)


def _age(scope: Scope) -> PanelBuilder:
    read_at = scope.of_account("cometapi_exporter_last_success_timestamp_seconds")
    interval = scope.of_account("cometapi_exporter_refresh_interval_seconds")
    frame = _third("Rounds since the last success", "Age of the figures in rounds; about 1 is normal.", look.COUNT)
    ask = Ask(expr=f"(time() - {read_at}) / {interval}", legend="{{account}}")
    panel = panels.graph(frame, ask).thresholds(look.thresholds(look.ROUNDS_MISSED))
    return panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))


def _rounds(scope: Scope) -> PanelBuilder:
    rounds = f"increase(cometapi_exporter_refreshes_total{{{scope.account}}}[$__rate_interval])"
    frame = _third("Rounds by outcome", "Rounds that ended in each step, by success or by reason.", look.COUNT)
    return panels.stacked(frame, Ask(expr=f"sum by (outcome) ({rounds})", legend="{{outcome}}"), bars=True)


def _duration(scope: Scope) -> PanelBuilder:
    series = f"cometapi_exporter_refresh_duration_seconds_bucket{{{scope.account}}}"
    buckets = f"sum by (le) (rate({series}[$__rate_interval]))"
    asks = [
        Ask(expr=f"histogram_quantile({share}, {buckets})", legend=name, name=name)
        for name, share in (("median", 0.5), ("p95", 0.95))
    ]
    frame = _third("Duration of a round", "How long reading all keys of one account takes.", look.SECONDS)
    return panels.graph(frame, *asks)


def _requests(scope: Scope) -> PanelBuilder:
    sent = f"rate(cometapi_exporter_api_requests_total{{{scope.account}}}[$__rate_interval])"
    frame = _third(
        "API requests per minute",
        "Requests sent by endpoint and HTTP status; none means that no answer came.",
        look.COUNT,
    )
    ask = Ask(expr=f"sum by (endpoint, code) ({sent}) * 60", legend="{{endpoint}} {{code}}")
    return panels.stacked(frame, ask)


def _memory() -> PanelBuilder:
    used = f'process_resident_memory_bytes{{job=~"$job"}} {_MINE}'
    frame = _third("Memory", "Resident memory of each exporter process.", look.BYTES)
    return panels.graph(frame, Ask(expr=f"max by (instance) ({used})", legend="{{instance}}"))


def _cpu() -> PanelBuilder:
    used = f'rate(process_cpu_seconds_total{{job=~"$job"}}[$__rate_interval]) {_MINE}'
    frame = _half("CPU", "Share of one CPU that each exporter process uses.", look.SHARE)
    return panels.graph(frame, Ask(expr=f"max by (instance) ({used})", legend="{{instance}}"))


def _builds() -> PanelBuilder:
    frame = _half("Exporters", "The running exporters, one row a replica.", look.COUNT)
    builds = 'max by (job, instance, version, python_version) (cometapi_exporter_build_info{job=~"$job"})'
    titles = {"job": "Job", "instance": "Instance", "version": "Version", "python_version": "Python"}
    return tables.info_table(frame, builds, titles=titles)


def _third(title: str, description: str, unit: str) -> Frame:
    return Frame(title=title, description=description, width=8, height=8, unit=unit)


def _half(title: str, description: str, unit: str) -> Frame:
    return Frame(title=title, description=description, width=12, height=7, unit=unit)

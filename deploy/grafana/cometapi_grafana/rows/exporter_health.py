"""The row about the exporter itself, for the question whether its data can be relied on.

Pure.
"""

from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
from grafana_foundation_sdk.models.common import GraphTresholdsStyleMode

from cometapi_grafana import look, panels, tables
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.expressions import INSTALLATION_LABELS, REPLICA_LABELS
from cometapi_grafana.panels import Frame, Query

_BUILD = tables.RowLabels(
    first={"job": "Job", "instance": "Instance", "version": "Version", "python_version": "Python"},
    widths={"Version": 90, "Python": 90},
)
_EXPORTER = f"{INSTALLATION_LABELS}, {REPLICA_LABELS}"
_MINE = f"and on ({_EXPORTER}) cometapi_exporter_build_info{{{SCOPE.installation}}}"


def exporter_health() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [
        *_numbers(),
        _answers(),
        _age(),
        _refreshes(),
        _duration(),
        _requests(),
        _memory(),
        _cpu(),
        _builds(),
    ]


def _numbers() -> list[PanelBuilder]:
    lines = f"cometapi_exporter_log_lines_dropped_total{{{SCOPE.installation}}}"
    reloaded = f"cometapi_exporter_config_last_reload_successful{{{SCOPE.installation}}}"
    return [
        _count(
            "Skipped keys",
            "Keys that could not be parsed. They are missing on this page.",
            "skipped_keys",
        ),
        _count(
            "Excluded keys",
            "Keys excluded by --keys.include and --keys.exclude.",
            "excluded_keys",
        ),
        _count(
            "Other models",
            "Series of models that are summed as other.",
            "usage_folded_series",
        ),
        panels.number(
            _small(
                "Configuration",
                "Rejected: the last reload failed, and the previous configuration stays in effect.",
            ),
            Query(expr=f"min({reloaded})"),
            mappings=look.RELOADED,
        ),
        panels.number(
            _small(
                "Dropped lines",
                "Log lines that could not be written in time, in the time range.",
            ),
            Query(expr=f"round(sum(increase({lines}[$__range])))"),
            steps=look.NONE_IS_USUAL,
        ),
        panels.number(
            _small(
                "Clock skew",
                "Largest difference between the exporter's clock and a gateway's.",
                look.SECONDS,
            ),
            Query(expr=f"max(abs({SCOPE.of_account('cometapi_gateway_clock_skew_seconds')}))"),
            steps=look.CLOCK_SKEW,
        ),
    ]


def _count(title: str, description: str, metric: str) -> PanelBuilder:
    counted = Query(expr=f"sum({SCOPE.of_account(f'cometapi_exporter_{metric}')})")
    return panels.number(_small(title, description), counted, steps=look.NONE_IS_GOOD)


def _answers() -> PanelBuilder:
    frame = _third(
        "Refreshes over time", "Whether each account's refreshes succeeded, over time.", look.COUNT
    )
    ask = Query(expr=SCOPE.of_account("cometapi_up"), legend="{{account}}")
    return panels.timeline(frame, ask, mappings=look.ANSWERS)


def _age() -> PanelBuilder:
    read_at = SCOPE.of_account("cometapi_exporter_last_success_timestamp_seconds")
    interval = SCOPE.of_account("cometapi_exporter_refresh_interval_seconds")
    frame = _third(
        "Intervals since success",
        "Age of the data in refresh intervals; about 1 is normal.",
        look.COUNT,
    )
    ask = Query(expr=f"(time() - {read_at}) / {interval}", legend="{{account}}")
    panel = panels.graph(frame, ask).thresholds(look.thresholds(look.REFRESHES_MISSED))
    return panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))


def _refreshes() -> PanelBuilder:
    every, failed = (
        f"rate(cometapi_exporter_{name}_total{{{SCOPE.account}}}[$__rate_interval])"
        for name in ("refreshes", "refresh_failures")
    )
    frame = _third("Refreshes per minute", "By success or by the reason for failing.", look.COUNT)
    return panels.stacked(
        frame,
        Query(expr=f"(sum({every}) - sum({failed})) * 60", legend="success", name="success"),
        Query(expr=f"sum by (reason) ({failed}) * 60", legend="{{reason}}", name="failures"),
    )


def _duration() -> PanelBuilder:
    series = f"cometapi_exporter_refresh_duration_seconds_bucket{{{SCOPE.account}}}"
    buckets = f"sum by (le) (rate({series}[$__rate_interval]))"
    asks = [
        Query(expr=f"histogram_quantile({share}, {buckets})", legend=name, name=name)
        for name, share in (("median", 0.5), ("p95", 0.95))
    ]
    frame = _third("Refresh duration", "Duration of reading all keys of one account.", look.SECONDS)
    return panels.graph(frame, *asks)


def _requests() -> PanelBuilder:
    sent = f"rate(cometapi_exporter_api_requests_total{{{SCOPE.account}}}[$__rate_interval])"
    frame = _third(
        "API requests per minute",
        "Requests by path and HTTP status code; none means that there was no response.",
        look.COUNT,
    )
    ask = Query(expr=f"sum by (path, code) ({sent}) * 60", legend="{{path}} {{code}}")
    return panels.stacked(frame, ask)


def _memory() -> PanelBuilder:
    used = f"process_resident_memory_bytes{{{SCOPE.installation}}} {_MINE}"
    frame = _third("Memory", "Resident memory of each exporter process.", look.BYTES)
    return panels.graph(frame, Query(expr=f"max by (instance) ({used})", legend="{{instance}}"))


def _cpu() -> PanelBuilder:
    used = f"rate(process_cpu_seconds_total{{{SCOPE.installation}}}[$__rate_interval]) {_MINE}"
    frame = _third("CPU", "Share of one CPU that each exporter process uses.", look.SHARE)
    return panels.graph(frame, Query(expr=f"max by (instance) ({used})", legend="{{instance}}"))


def _builds() -> PanelBuilder:
    frame = Frame(
        title="Running exporters",
        description="The running exporters, one row for each replica or shard. Accounts up: fewer than Accounts where "
        "this exporter cannot read some, which another replica may hide elsewhere.",
        width=16,
        height=8,
        unit=look.COUNT,
    )
    columns = [
        _build_column("shard_index", "Shard"),
        _build_column("shards", "Shards"),
        _build_column("accounts", "Accounts"),
        tables.Column(
            name="up",
            title="Accounts up",
            expr=_of_build("sum", SCOPE.account_series("cometapi_up")),
            unit=look.COUNT,
            width=110,
        ),
    ]
    return tables.row_table(frame, SCOPE, columns, _BUILD, sort_by="Shard")


def _build_column(metric: str, title: str) -> tables.Column:
    value = f"cometapi_exporter_{metric}{{{SCOPE.installation}}}"
    expr = _of_build("max", value)
    return tables.Column(name=metric, title=title, expr=expr, unit=look.COUNT, width=90)


def _of_build(fold: str, value: str) -> str:
    """Fold *value* to one for each running exporter, with its versions."""
    build_info = f"cometapi_exporter_build_info{{{SCOPE.installation}}}"
    versions = f"on ({_EXPORTER}) group_left (version, python_version) {build_info}"
    return f"{fold} by (job, instance, version, python_version) ({value} * {versions})"


def _small(title: str, description: str, unit: str = look.COUNT) -> Frame:
    return Frame(title=title, description=description, width=4, height=4, unit=unit)


def _third(title: str, description: str, unit: str) -> Frame:
    return Frame(title=title, description=description, width=8, height=8, unit=unit)

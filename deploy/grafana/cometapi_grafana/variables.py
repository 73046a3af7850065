"""The choices at the top of a dashboard.

Pure. The names are an interface: links and alerts carry them as `var-account`, `var-key` and so on.
"""

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    DatasourceVariable,
    QueryVariable,
)
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from cometapi_grafana.dashboard import SOURCE
from cometapi_grafana.expressions import INSTALLATION, ONE_KEY, OVERVIEW

# The data source's own numbers for kinds of variable query.
_LABEL_VALUES, _QUERY_RESULT = 1, 3
_KEY_PARTS = r'/key_id="(?<value>[^"]+)".*zz_shown="(?<text>.*)"}/'

Variable = CustomVariable | DatasourceVariable | QueryVariable


def overview_variables() -> list[Variable]:
    """Choose any number of accounts, groups and keys."""
    return [
        _source(),
        *_installation(),
        _many(_account()),
        _many(_group()),
        _many(_key(OVERVIEW.group)),
        _money(),
        _window(),
    ]


def key_variables() -> list[Variable]:
    """Choose one account and one of its keys."""
    return [
        _source(),
        *_installation(),
        _account(),
        _key(ONE_KEY.account),
        _money(),
        _window(),
    ]


def exporter_variables() -> list[Variable]:
    """Choose exporters, and any number of accounts."""
    return [_source(), *_installation(), _many(_account())]


def _source() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def _installation() -> list[QueryVariable]:
    """Choose the exporters by labels that Prometheus adds; All also where there is none."""
    series = "cometapi_exporter_build_info"
    cluster = _label_values("cluster", series).label("Cluster")
    namespace = _label_values("namespace", f'{series}{{cluster=~"$cluster"}}').label("Namespace")
    jobs = f'{series}{{cluster=~"$cluster", namespace=~"$namespace"}}'
    job = _label_values("job", jobs).label("Job")
    return [
        _many(cluster.description("The cluster of the exporter, if your series have that label.")),
        _many(namespace.description("The namespace of the exporter, if your series have it.")),
        _many(job.description("The Prometheus job that scrapes the exporter.")),
    ]


def _account() -> QueryVariable:
    # Exists for every account from the exporter's start, unlike what only a refresh tells.
    series = f"cometapi_exporter_refresh_interval_seconds{{{INSTALLATION}}}"
    variable = _label_values("account", series).label("Account")
    return variable.description("An account as named in the exporter's settings.")


def _group() -> QueryVariable:
    variable = _label_values("group", f"cometapi_keys{{{OVERVIEW.account}}}").label("Group")
    return variable.description("The group chosen for a key. Keys without one are shown under All.")


def _key(matchers: str) -> QueryVariable:
    """List keys as "name · id", because names may be empty or shared; the value is the id."""
    keys = f"max by (account, key_id, key_name) (cometapi_key_status{{{matchers}}})"
    query = f'query_result(label_join({keys}, "zz_shown", " · ", "key_name", "key_id"))'
    variable = _query("key", query, _QUERY_RESULT).regex(_KEY_PARTS).label("Key")
    return variable.description("A key by its name and id.")


def _money() -> CustomVariable:
    units, dollars = _option("Quota units", "0"), _option("USD", "1", selected=True)
    variable = CustomVariable("money").label("Money in").values("Quota units : 0,USD : 1")
    variable = variable.current(dollars).options([units, dollars])
    return variable.description(
        "Show quota as USD, by the rate of each account, or as the API counts it."
    )


def _window() -> CustomVariable:
    choices = [_option(text, text, selected=text == "6h") for text in ("1h", "6h", "1d", "7d")]
    variable = CustomVariable("window").label("Rate over").values("1h,6h,1d,7d")
    variable = variable.current(choices[1]).options(choices)
    return variable.description("The period over which the spending rate is computed.")


def _label_values(label: str, series: str) -> QueryVariable:
    return _query(label, f"label_values({series}, {label})", _LABEL_VALUES)


def _query(name: str, query: str, kind: int) -> QueryVariable:
    asked: dict[str, object] = {"query": query, "qryType": kind, "refId": f"Variable_{name}"}
    variable = QueryVariable(name).query(asked).datasource(SOURCE)
    variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _many(variable: QueryVariable) -> QueryVariable:
    """Allow several values, and All as `.*`: `.+` would hide keys without a group."""
    variable = variable.multi(multi=True).include_all(include_all=True).all_value(".*")
    return variable.current(_option("All", "$__all", selected=True))


def _option(text: str, value: str, *, selected: bool = False) -> VariableOption:
    return VariableOption(text=text, value=value, selected=selected)

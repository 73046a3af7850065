"""Read the queries out of a Grafana dashboard and ask a real Prometheus, as Grafana would.

Knows Grafana's JSON and Prometheus's HTTP API; knows nothing of which metrics exist, so any source
of data will do.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]
# Grafana leaves "$1", a group of label_replace(), alone.
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|([a-zA-Z_]\w*))")
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((?P<expr>.+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query of a dashboard; *place* says where a person finds it."""

    dashboard: str
    place: str
    panel_type: str
    name: str
    expr: str
    is_range: bool
    legend: str = ""

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.place} [{self.name}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time range on the screen, ending at *end*, in seconds."""

    end: int
    seconds: int
    step: int = 60

    def built_in(self) -> dict[str, str]:
        """Give the variables that Grafana itself provides, at a scrape interval of *step*."""
        return {
            "__range": f"{self.seconds}s",
            "__to": f"{self.end}000",
            "__interval": f"{self.step}s",
            "__rate_interval": f"{4 * self.step}s",
        }


def load(path: Path) -> Json:
    """Read one dashboard."""
    dashboard: Json = json.loads(path.read_text(encoding="utf-8"))
    return dashboard


def all_panels(dashboard: Json) -> list[Json]:
    """Give every panel and every row, those within collapsed rows too."""
    return [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", []))]


def drawn_panels(dashboard: Json) -> list[Json]:
    """Give every panel that shows something."""
    return [panel for panel in all_panels(dashboard) if panel["type"] != "row"]


def panel_queries(dashboard: Json) -> Iterator[Query]:
    """Give every query of every panel."""
    for panel in drawn_panels(dashboard):
        for target in panel["targets"]:
            yield Query(
                dashboard=dashboard["uid"],
                place=f"panel {panel['id']} {panel['title']}",
                panel_type=panel["type"],
                name=target["refId"],
                expr=target["expr"],
                is_range=bool(target.get("range")),
                legend=target.get("legendFormat", ""),
            )


def annotation_queries(dashboard: Json) -> Iterator[Query]:
    """Give the query of every annotation."""
    for annotation in dashboard["annotations"]["list"]:
        yield Query(
            dashboard=dashboard["uid"],
            place="annotation",
            panel_type="annotation",
            name=annotation["name"],
            expr=annotation["target"]["expr"],
            is_range=True,
            legend=annotation["textFormat"],
        )


def variables(dashboard: Json) -> dict[str, Json]:
    """Give the variables by name."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Put *values* in the place of variables; a variable without a value is a KeyError."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


def all_expressions(dashboard: Json) -> list[str]:
    """Give every text that holds PromQL."""
    queries = [query.expr for query in (*panel_queries(dashboard), *annotation_queries(dashboard))]
    asked = [v["query"]["query"] for v in variables(dashboard).values() if v["type"] == "query"]
    return queries + asked


class Prometheus:
    """Ask one Prometheus; every answer that is not a success raises."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=20, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, query: Query, values: Mapping[str, str], moment: Moment) -> list[Json]:
        """Run a panel's or an annotation's query and give its series."""
        expr = substitute(query.expr, {**values, **moment.built_in()})
        if query.is_range:
            return self.course(expr, moment)
        return self.now(expr, moment)

    def now(self, expr: str, moment: Moment) -> list[Json]:
        """Ask for the value at the end of the time range."""
        return self._result("/api/v1/query", {"query": expr, "time": str(moment.end)})

    def course(self, expr: str, moment: Moment) -> list[Json]:
        """Ask for the course over the time range, at multiples of the step as Grafana does."""
        start = moment.end - moment.seconds
        times = {
            "start": str(start - start % moment.step),
            "end": str(moment.end - moment.end % moment.step),
            "step": str(moment.step),
        }
        return self._result("/api/v1/query_range", {"query": expr} | times)

    def understood(self, expr: str) -> str:
        """Give *expr* as Prometheus formats it."""
        answer = self._http.post("/api/v1/format_query", data={"query": expr})
        formatted: str = answer.raise_for_status().json()["data"]
        return formatted

    def options(
        self, variable: Json, values: Mapping[str, str], moment: Moment
    ) -> list[tuple[str, str]]:
        """Give a query variable's choices as (text, value)."""
        query = substitute(variable["query"]["query"], {**values, **moment.built_in()})
        if found := _LABEL_VALUES.fullmatch(query):
            return [
                (value, value)
                for value in self._label_values(found["series"], found["label"], moment)
            ]
        found = _QUERY_RESULT.fullmatch(query)
        assert found is not None, f"{query} is no variable query that Grafana knows"
        return _captured(variable["regex"], self.now(found["expr"], moment))

    def _label_values(self, series: str, label: str, moment: Moment) -> list[str]:
        times = {"start": str(moment.end - moment.seconds), "end": str(moment.end)}
        answer = self._http.get(f"/api/v1/label/{label}/values", params={"match[]": series} | times)
        values: list[str] = answer.raise_for_status().json()["data"]
        return values

    def _result(self, path: str, form: dict[str, str]) -> list[Json]:
        answer = self._http.post(path, data=form)
        assert answer.status_code == httpx.codes.OK, f"{answer.text}\n{form['query']}"
        series: list[Json] = answer.json()["data"]["result"]
        return series


def _captured(regex: str, series: list[Json]) -> list[tuple[str, str]]:
    """Apply a variable's regular expression to each series, written as Grafana writes it."""
    pattern = re.compile(regex.strip("/").replace("(?<", "(?P<"))
    found = [pattern.search(_written(one)) for one in series]
    return [(match["text"], match["value"]) for match in found if match]


def _written(series: Json) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(series["metric"].items()))
    return f"{{{labels}}} {series['value'][1]} {int(series['value'][0]) * 1000}"

"""Marks on every graph: changed status, raised quota, changed settings, failing refreshes.

Pure. Knows queries and colours.
"""

from dataclasses import replace

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
from grafana_foundation_sdk.models import dashboard as model

from cometapi_grafana.dashboard import MIN_STEP, SOURCE
from cometapi_grafana.expressions import Scope
from cometapi_grafana.look import STATUS_COLORS

_STATUS_CODES = {1: "enabled", 2: "disabled", 3: "expired", 4: "exhausted"}
_MOST_AT_ONCE = 20
_EARLIER = " offset $__rate_interval"
_WHO = "{{key_name}} (id {{key_id}}, account {{account}})"


class PrometheusAnnotation(model.AnnotationQuery):
    """An annotation with the words and the step that the data source reads beside the query.

    The query is written twice, as Grafana's older releases read it from the annotation itself and
    newer ones from its target.
    """

    title = ""
    text = ""

    def to_json(self) -> dict[str, object]:
        """Give what Grafana stores."""
        target = {
            "expr": self.expr,
            "interval": MIN_STEP,
            "range": True,
            "instant": False,
            "refId": "Anno",
        }
        words = {"titleFormat": self.title, "textFormat": self.text, "tagKeys": "account,group"}
        return model.AnnotationQuery.to_json(self) | words | {"step": MIN_STEP, "target": target}


class PrometheusAnnotationBuilder(AnnotationQuery):
    """Builds a PrometheusAnnotation."""

    _internal: PrometheusAnnotation

    def __init__(self, *, name: str, expr: str, color: str, text: str) -> None:
        self._internal = PrometheusAnnotation(
            name=name, datasource=SOURCE, enable=True, icon_color=color, expr=expr
        )
        self._internal.title = name
        self._internal.text = text


def any_status_change(scope: Scope) -> PrometheusAnnotationBuilder:
    """Mark where any key changed its status: one query for all, since each is expensive."""
    changed = f'count_values by ({scope.named_key_labels}) ("status", {_changed(scope)})'
    for code, name in _STATUS_CODES.items():
        changed = f'label_replace({changed}, "status", "{name}", "status", "{code}")'
    return PrometheusAnnotationBuilder(
        name="Key status changed",
        expr=f"topk({_MOST_AT_ONCE}, {changed})",
        color="yellow",
        text=f"{_WHO} is now {{{{status}}}}",
    )


def status_changes(scope: Scope) -> list[PrometheusAnnotationBuilder]:
    """Mark where one key changed to a status, in the colour of that status."""
    return [
        PrometheusAnnotationBuilder(
            name=f"Key now {name}",
            expr=f"{_changed(scope)} == {code}",
            color=STATUS_COLORS[name],
            text=_WHO,
        )
        for code, name in _STATUS_CODES.items()
    ]


def failing_refreshes(scope: Scope) -> PrometheusAnnotationBuilder:
    """Shade the time in which the API could not be read."""
    return PrometheusAnnotationBuilder(
        name="Refreshes failing",
        expr=f"{scope.of_account('cometapi_up')} == bool 0",
        color="dark-red",
        text="account {{account}}: the data is not updated during this time",
    )


def changed_keys(scope: Scope) -> PrometheusAnnotationBuilder:
    """Mark where someone changed keys of an account: the counter does not say which keys."""
    counter = f"cometapi_key_changes_total{{{scope.account}}}"
    changes = f"max by ({scope.account_labels}, change) (increase({counter}[$__rate_interval])) > 0"
    return PrometheusAnnotationBuilder(
        name="Keys changed",
        expr=f"topk({_MOST_AT_ONCE}, {changes})",
        color="light-blue",
        text="account {{account}}: {{change}}; the status page and the log name the keys",
    )


def raised_quota(scope: Scope) -> PrometheusAnnotationBuilder:
    """Mark where a key was given more quota.

    Remaining plus used is what the key was ever given: spending and refunds leave it alone. One per
    cent of slack, because a gateway may write the two with some seconds between them.
    """
    # The text of a mark names the key, which the labels of one key do not.
    scope = replace(scope, key_labels=scope.named_key_labels)
    granted = f"({scope.of_key('remaining_quota')} + {scope.of_key('used_quota')})"
    before = f"({scope.of_key('remaining_quota', at=_EARLIER)} + {scope.of_key('used_quota', at=_EARLIER)})"
    return PrometheusAnnotationBuilder(
        name="Quota raised", expr=f"{granted} > 1.01 * {before}", color="purple", text=_WHO
    )


def _changed(scope: Scope) -> str:
    """Give the present status of the keys that changed it within the last step."""
    changed = f"{scope.key_series('status')} and ({scope.changed('status', '$__rate_interval')})"
    return f"max by ({scope.named_key_labels}) ({changed})"

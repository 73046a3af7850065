"""The overview's row about policies: which keys break which of them.

Pure.
"""

from dataclasses import replace

from cometapi_grafana import key_tables, look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.panels import Frame, Query

# Some pages of the table. To fix more than that, the audit's list is better.
_LISTED = 50


def policies() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [_broken(), _counts()]


def _broken() -> PanelBuilder:
    last_use = f"topk({_LISTED}, {SCOPE.broken_policies()}) * 1000"
    column = replace(
        key_tables.last_use(SCOPE),
        expr=last_use,
        steps=look.PLAIN,
        mappings=look.named_values({"0": ("never", "text")}),
    )
    return key_tables.policy_table(
        Frame(
            title="Keys that break policies",
            description="Enabled keys that break a policy of the configuration file, one row for each policy, those "
            f"used last first. At most {_LISTED} rows; `cometapi-exporter --audit` lists all, with the fix.",
            width=16,
            height=9,
            unit=look.COUNT,
            empty=panels.NONE_FOUND,
        ),
        SCOPE,
        column,
    )


def _counts() -> PanelBuilder:
    frame = Frame(
        title="Keys by broken policy",
        description="How many keys break each policy. A policy that is not listed is not set.",
        width=8,
        height=9,
        unit=look.COUNT,
        empty="Unknown, or none is set",
    )
    broken = (
        f"max by ({SCOPE.account_labels}, policy) {SCOPE.newest_listing(SCOPE.policy_counts())}"
    )
    return panels.bars(frame, Query(expr=f"sum by (policy) ({broken})", legend="{{policy}}"))

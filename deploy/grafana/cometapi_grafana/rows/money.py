"""The overview's row about money: what is spent on what, and how long the balance lasts.

Pure.
"""

from cometapi_grafana import look, panels
from cometapi_grafana.dashboard import PanelBuilder
from cometapi_grafana.expressions import BY_INSTALLATION as SCOPE
from cometapi_grafana.expressions import per_day
from cometapi_grafana.panels import Frame, Query, in_money, summed
from cometapi_grafana.rows.accounts import balances

_DRAWN = 10


def money() -> list[PanelBuilder]:
    """Build the row's panels."""
    return [
        *_money_numbers(),
        _top_keys(),
        _group_rate(),
        _price_factors(),
        _spendable_history(),
        balances(SCOPE),
    ]


def _money_numbers() -> list[PanelBuilder]:
    of_usable = f"{SCOPE.key_series('remaining_quota')} and {SCOPE.is_usable()}"
    left = f"clamp_min({SCOPE.by_key(of_usable)}, 0)"
    return [
        panels.number(
            _money_frame(
                "Spent in range",
                "Spending of the chosen keys in the time range above, less refunds.",
            ),
            *in_money(SCOPE, Query(expr=SCOPE.spent()), total=summed()),
        ),
        panels.number(
            _money_frame(
                "Burn per day", "Spending of the chosen keys per day, at their current rate."
            ),
            *in_money(SCOPE, Query(expr=per_day(SCOPE.burn())), total=summed()),
        ),
        panels.number(
            _money_frame("Left on keys", "Quota left on usable keys that have their own quota."),
            *in_money(SCOPE, Query(expr=left), total=summed()),
        ),
        panels.number(
            _small(
                "Unlimited keys",
                "Keys without their own quota: only the account's limits them.",
                look.COUNT,
            ),
            Query(expr=f"sum({SCOPE.of_key('unlimited_quota')})"),
        ),
    ]


def _top_keys() -> PanelBuilder:
    asks = in_money(
        SCOPE, Query(expr=f"topk({_DRAWN}, {SCOPE.spent()})", legend="{{key_name}} · {{key_id}}")
    )
    frame = Frame(
        title=f"Top {_DRAWN} keys by spending",
        description="The keys that spent most in the time range above.",
        width=8,
        height=9,
        unit=look.DOLLARS,
    )
    return panels.bars(frame, *asks, key_links=True)


def _group_rate() -> PanelBuilder:
    labels = SCOPE.group_labels
    rate = f"sum by ({labels}) ({per_day(SCOPE.burn())})"
    most = f"topk({_DRAWN}, sum by ({labels}) ({SCOPE.spent(at_end=True)}))"
    frame = Frame(
        title="Burn per day, by group",
        description=f"The {_DRAWN} groups that spent most in the time range above; a missing group name means none.",
        width=8,
        height=9,
        unit=look.DOLLARS,
    )
    ask = Query(expr=f"{rate} and on ({labels}) {most}", legend="{{group}} · {{account}}")
    return panels.graph(frame, *in_money(SCOPE, ask))


def _spendable_history() -> PanelBuilder:
    frame = Frame(
        title="Spendable over time",
        description="Amount that each account can pay with. Steps up are top-ups and resets of subscriptions.",
        width=24,
        height=7,
        unit=look.EXACT_DOLLARS,
        empty="Unknown or not offered",
        decimals=2,
    )
    return panels.graph(
        frame, *in_money(SCOPE, Query(expr=SCOPE.spendable(), legend="{{account}}"))
    )


def _price_factors() -> PanelBuilder:
    factor = f"max by ({SCOPE.group_labels}) (cometapi_group_price_factor{{{SCOPE.group}}})"
    frame = Frame(
        title="Price factor by group",
        description=f"The factor by which the gateway multiplies prices, at most {_DRAWN} groups: those with the highest.",
        width=8,
        height=9,
        unit=look.COUNT,
        empty="Unknown or not offered",
    )
    return panels.bars(
        frame, Query(expr=f"topk({_DRAWN}, {factor})", legend="{{group}} · {{account}}")
    )


def _small(title: str, description: str, unit: str) -> Frame:
    return Frame(title=title, description=description, width=6, height=3, unit=unit)


def _money_frame(title: str, description: str) -> Frame:
    return _small(title, description, look.DOLLARS)

"""What the month cost beside its budget: unknown, zero and last month's are different things."""

import pytest
from domain import NOW, a_read_state, an_api_key

from exporter import budgets
from exporter.budgets import MonthlyBudget
from exporter.model import Spending, Usage
from exporter.thresholds import Threshold

DAY = 86_400
KEY = an_api_key(id=7)
LAST_MONTH = NOW - 40 * DAY
UNKNOWN = MonthlyBudget(spent_usd=None, budget_usd=20.0)


def a_month(*, read_at=NOW - 60, by_key=None, **account):
    """Build an account with a budget of 20 dollars whose models cost 12 dollars, 1 million units."""
    spending = Spending(
        read_at=read_at,
        models=(("gpt-5", 0, 11_500_000), ("other models", 0, 500_000)),
        month_by_key=by_key,
    )
    return a_read_state(
        KEY,
        usage=Usage(spending=spending),
        configured_units_per_usd=1_000_000.0,
        monthly_budget_usd=20.0,
        **account,
    )


def test_the_models_of_an_account_are_summed():
    assert budgets.of_account(a_month(), NOW) == MonthlyBudget(spent_usd=12.0, budget_usd=20.0)


@pytest.mark.parametrize(
    "state",
    [
        a_read_state(monthly_budget_usd=20.0),
        a_read_state(usage=Usage(), monthly_budget_usd=20.0),
        a_month(read_at=LAST_MONTH),
    ],
    ids=["not offered", "not read yet", "the month before"],
)
def test_a_month_that_was_not_read_is_unknown(state):
    assert budgets.of_account(state, NOW) == UNKNOWN


@pytest.mark.parametrize(
    ("by_key", "spent"),
    [({7: 3_000_000, 8: 9_000_000}, 3.0), ({8: 9_000_000}, 0.0), (None, None)],
    ids=["used", "not used", "not counted by key"],
)
def test_a_key_has_its_own_month_and_budget(by_key, spent):
    thresholds = [Threshold(monthly_budget_usd=5.0)]

    assert budgets.of_key(a_month(by_key=by_key, thresholds=thresholds), KEY, NOW) == MonthlyBudget(
        spent_usd=spent, budget_usd=5.0
    )


def test_without_a_threshold_a_key_has_no_budget():
    assert budgets.of_key(a_month(by_key={}), KEY, NOW) == MonthlyBudget(0.0, None)

"""What an account and a key cost in the calendar month (UTC), beside their monthly budgets.

Pure: a state, a key and a time in. Knows no page and no JSON.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.model import ApiKey, Spending
from exporter.snapshot import AccountState


@dataclass(frozen=True, slots=True)
class MonthlyBudget:
    """What was spent this month and the budget for it, in US dollars.

    *spent_usd* is None where it is unknown, *budget_usd* where none is set.
    """

    spent_usd: float | None
    budget_usd: float | None


def of_account(state: AccountState, now: float) -> MonthlyBudget:
    """Return the month of the account as a whole at unix time *now*."""
    spending = _spending_of_this_month(state, now)
    if spending is None:
        return MonthlyBudget(None, state.monthly_budget_usd)
    quota = sum(month for _, _, month in spending.models)
    return MonthlyBudget(state.usd(quota), state.monthly_budget_usd)


def of_key(state: AccountState, key: ApiKey, now: float) -> MonthlyBudget:
    """Return the month of *key* at unix time *now*; known where usage is counted by key."""
    budget = state.threshold(key).monthly_budget_usd
    spending = _spending_of_this_month(state, now)
    if spending is None or spending.month_by_key is None:
        return MonthlyBudget(None, budget)
    return MonthlyBudget(state.usd(spending.month_by_key.get(key.id, 0)), budget)


def _spending_of_this_month(state: AccountState, now: float) -> Spending | None:
    """Return what was read last, None where that is unknown or still of the month before."""
    spending = state.usage.spending if state.usage else None
    if spending is None:
        return None
    read_at = datetime.fromtimestamp(spending.read_at, UTC)
    today = datetime.fromtimestamp(now, UTC)
    is_current = (read_at.year, read_at.month) == (today.year, today.month)
    return spending if is_current else None

"""Say what the owner of the demo's account requires of keys, and its budget. Four keys break it.

Pure: a table.
"""

from exporter.patterns import Pattern
from exporter.policies import Policies, Policy

DAY = 86_400.0

# The demo spends about 480 US dollars in a month: no alert about the budget fires.
DEMO_MONTHLY_BUDGET_USD = 1_000.0

DEMO_POLICIES = Policies(
    [
        Policy(keys=Pattern("staging/.*"), limited_quota=True),
        Policy(max_unused=90 * DAY),
        Policy(groups=frozenset({"production", "staging", "research", ""})),
    ]
)
"""1122 has no quota limit, 1113 and 1112 are not in use, 1110 is in a group of former times."""

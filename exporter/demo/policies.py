"""Say what the owner of the demo's account requires of keys. Four keys break it.

Pure: a table.
"""

from exporter.patterns import Pattern
from exporter.policies import Policies, Policy

DAY = 86_400.0

DEMO_POLICIES = Policies(
    [
        Policy(keys=Pattern("staging/.*"), limited_quota=True),
        Policy(max_unused=90 * DAY),
        Policy(groups=frozenset({"production", "staging", "research", ""})),
    ]
)
"""1122 has no quota limit, 1113 and 1112 are not in use, 1110 is in a group of former times."""

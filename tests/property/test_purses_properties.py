"""Whatever an account has: the exporter calls it empty only where the gateway serves nothing.

The simulated gateway decides who pays; it knows nothing of `exporter.purses`.
"""

import json

import purses
from builders import a_wire_account, a_wire_key, a_wire_subscription
from hypothesis import given
from hypothesis import strategies as st

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import parse_subscriptions
from exporter.purses import largest, paying_purses

NOW = 1_750_000_000
LEFT = st.integers(0, 12)
SUBSCRIPTION = st.tuples(st.sampled_from([0, 10]), st.integers(0, 12), st.booleans())


@given(
    wallet=st.integers(-5, 12),
    rows=st.lists(SUBSCRIPTION, max_size=3),
    preference=st.sampled_from(purses.PREFERENCES),
    estimate=st.integers(1, 13),
)
def test_a_request_is_served_exactly_where_one_purse_can_pay_it(wallet, rows, preference, estimate):
    """A total of 0 has no limit."""
    subscriptions = [
        a_wire_subscription(
            number, amount_total=total, amount_used=used, allow_wallet_overflow=overflow
        )
        for number, (total, used, overflow) in enumerate(rows, start=1)
    ]
    payer = purses.Payer(
        keys=[a_wire_key(1, unlimited_quota=True)],
        account=a_wire_account(quota=wallet),
        subscriptions=subscriptions,
        preference=preference,
    )
    body = {"success": True, "data": payer.shown_subscriptions(NOW)}
    answer = Answer(status=200, headers={}, body=json.dumps(body).encode(), received_at=float(NOW))

    most = largest(paying_purses(wallet, parse_subscriptions(answer)))
    outcome = payer.request(1, NOW, estimate=estimate)

    assert (outcome == purses.SERVED) is (most is None or most >= estimate)

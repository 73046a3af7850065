"""What an account can pay with: the purses that a gateway tries, and what they hold together."""

import pytest

from exporter.model import BillingPreference, Subscription, Subscriptions
from exporter.purses import largest, paying_purses, spendable

FIRST = BillingPreference.SUBSCRIPTION_FIRST
WALLET_FIRST = BillingPreference.WALLET_FIRST
ONLY = BillingPreference.SUBSCRIPTION_ONLY
WALLET_ONLY = BillingPreference.WALLET_ONLY


def having(*left, preference=FIRST, overflow=True, unreadable=0):
    """Build the subscriptions with so much *left* in each, None for no limit."""
    running = [Subscription(remaining_quota=each) for each in left]
    if not overflow:
        running.append(Subscription(remaining_quota=0, allows_wallet_overflow=False))
    return Subscriptions(running=tuple(running), unreadable=unreadable, preference=preference)


@pytest.mark.parametrize(
    ("wallet", "subscriptions", "in_all", "most"),
    [
        pytest.param(50, None, 50, 50, id="no subscriptions offered"),
        pytest.param(-5, None, -5, -5, id="a debt is shown as one"),
        pytest.param(None, None, None, None, id="the wallet is not known"),
        pytest.param(50, having(preference=FIRST), 50, 50, id="none runs: the wallet"),
        pytest.param(50, having(preference=WALLET_FIRST), 50, 50, id="none runs, wallet first"),
        pytest.param(50, having(preference=ONLY), 0, 0, id="none runs, subscription only"),
        pytest.param(None, having(preference=ONLY), 0, 0, id="none runs, an unknown wallet"),
        pytest.param(50, having(7, preference=FIRST), 57, 50, id="both"),
        pytest.param(3, having(7, preference=FIRST), 10, 7, id="the subscription is fuller"),
        pytest.param(50, having(7, preference=ONLY), 7, 7, id="the subscription only"),
        pytest.param(50, having(7, preference=WALLET_ONLY), 50, 50, id="the wallet only"),
        pytest.param(50, having(7, overflow=False), 7, 7, id="the wallet may not pay"),
        pytest.param(50, having(3, 4, overflow=False), 7, 4, id="one flag is enough"),
        pytest.param(
            50,
            having(7, overflow=False, preference=WALLET_FIRST),
            57,
            50,
            id="wallet first ignores the flag",
        ),
        pytest.param(0, having(3_000, 3_000), 6_000, 3_000, id="purses are not added up"),
        pytest.param(-9, having(7), 7, 7, id="a debt takes nothing from a subscription"),
        pytest.param(0, having(None), None, None, id="no limit"),
        pytest.param(0, having(None, preference=WALLET_ONLY), 0, 0, id="no limit, not tried"),
        pytest.param(None, having(7), None, None, id="an unknown wallet may hold anything"),
        pytest.param(None, having(7, overflow=False), 7, 7, id="an unknown wallet, not tried"),
        pytest.param(50, having(7, preference=None), None, None, id="an unknown preference"),
        pytest.param(0, having(7, unreadable=1), None, None, id="an unreadable subscription"),
        pytest.param(
            9, having(unreadable=1, preference=WALLET_ONLY), 9, 9, id="unreadable, not tried"
        ),
    ],
)
def test_an_account_pays_with_the_purses_that_its_gateway_tries(
    wallet, subscriptions, in_all, most
):
    purses = paying_purses(wallet, subscriptions)

    assert (spendable(purses), largest(purses)) == (in_all, most)

"""Say what an account can pay with: its wallet, its subscriptions or both.

Pure: knows no HTTP, no clock, no keys. Amounts are quota units; None is an amount without limit, or
one that is not known.

A gateway pays each request from one single purse. Which purses it tries follows from the account's
preference; with `subscription_first`, one running subscription that does not allow it is enough to
leave the wallet alone.
"""

from collections.abc import Sequence

from exporter.model import BillingPreference, Subscriptions


def paying_purses(wallet: int | None, subscriptions: Subscriptions | None) -> Sequence[int | None]:
    """Return what is left in each purse that may pay for a request; empty where nothing pays.

    *subscriptions* is None where the gateway has none to offer. A purse is None where it has no
    limit or is not known.
    """
    if subscriptions is None:
        return [wallet]
    preference = subscriptions.preference
    if preference is None:
        return [None]
    if preference is BillingPreference.WALLET_ONLY:
        return [wallet]
    purses: list[int | None] = [each.remaining_quota for each in subscriptions.running]
    purses += [None] * subscriptions.unreadable
    if _wallet_pays(subscriptions):
        purses.append(wallet)
    return purses


def _wallet_pays(subscriptions: Subscriptions) -> bool:
    if subscriptions.preference is BillingPreference.SUBSCRIPTION_ONLY:
        return False
    if subscriptions.preference is BillingPreference.WALLET_FIRST:
        return True
    return all(each.allows_wallet_overflow for each in subscriptions.running)


def spendable(purses: Sequence[int | None]) -> int | None:
    """Return what *purses* hold in all; None where one has no limit or is not known.

    Debts of one purse do not reduce another one.
    """
    known = [purse for purse in purses if purse is not None]
    if len(known) < len(purses):
        return None
    if len(known) == 1:
        return known[0]
    return sum(max(purse, 0) for purse in known)


def largest(purses: Sequence[int | None]) -> int | None:
    """Return what one request can cost at the most; None where one has no limit or is not known."""
    known = [purse for purse in purses if purse is not None]
    if len(known) < len(purses):
        return None
    return max(known, default=0)

"""Say what a reload changes.

Pure: settings in, names out.
"""

from dataclasses import dataclass

from exporter.settings.load import Account, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What becomes of the accounts, in the order of the new settings.

    *kept* accounts have the same settings as before, *changed* ones have others under the same
    name. *removed* are names.
    """

    kept: tuple[Account, ...]
    changed: tuple[Account, ...]
    added: tuple[Account, ...]
    removed: tuple[str, ...]


def compare(old: Settings, new: Settings) -> Changes:
    """Compare the accounts of *old* and *new* by name."""
    before = {account.name: account for account in old.accounts}
    after = {account.name for account in new.accounts}
    known = [account for account in new.accounts if account.name in before]
    return Changes(
        kept=tuple(account for account in known if account == before[account.name]),
        changed=tuple(account for account in known if account != before[account.name]),
        added=tuple(account for account in new.accounts if account.name not in before),
        removed=tuple(name for name in before if name not in after),
    )

"""What becomes of each account in a reload."""

from dataclasses import replace

from builders import CANARY_TOKEN

from exporter.settings.changes import Changes, compare
from exporter.settings.load import load_settings

SETTINGS = load_settings({}, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN})


def an_account(name, **over):
    return replace(SETTINGS.accounts[0], name=name, **over)


def test_accounts_are_compared_by_name_and_come_in_the_order_of_the_new_settings():
    old = replace(SETTINGS, accounts=tuple(an_account(name) for name in ("b", "a", "d", "x")))
    new_accounts = (
        an_account("c"),
        an_account("d", interval=30.0),
        an_account("a"),
        an_account("b"),
    )

    assert compare(old, replace(SETTINGS, accounts=new_accounts)) == Changes(
        kept=(an_account("a"), an_account("b")),
        changed=(an_account("d", interval=30.0),),
        added=(an_account("c"),),
        removed=("x",),
    )


def test_another_order_changes_nothing():
    old = replace(SETTINGS, accounts=(an_account("a"), an_account("b")))
    new = replace(SETTINGS, accounts=(an_account("b"), an_account("a")))

    assert compare(old, new) == Changes(
        kept=(an_account("b"), an_account("a")), changed=(), added=(), removed=()
    )

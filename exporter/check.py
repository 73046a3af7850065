"""Write the report of `--check`: a table of the accounts, then what is wrong and how to fix it.

Pure: states in, text out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import click

from exporter.account_notes import skew_note, state_word, units_note
from exporter.errors import SUCCESS, fix
from exporter.formatting import count
from exporter.model import STATUS_LABELS, ApiKey, UnusableReason
from exporter.snapshot import AccountState

MOST_NAMES = 5

_HEADERS = ("account", "gateway", "keys", *STATUS_LABELS, "usable", "skipped", "balance", "result")
_COLOURS = {_HEADERS[-1]: "bright_black", "up": "green"}

Remark = tuple[str, str, str]
"""The colour, what was found, and what to do, "" for nothing."""


def report(states: Sequence[AccountState], now: float, *, in_file: bool = False) -> str:
    """Return the report on the refresh of each account, with colours, as of unix time *now*.

    With *in_file*, advice names the settings of the configuration file instead of flags.
    """
    rows = [_HEADERS, *(_row(state, now) for state in states)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for *cells, result in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths[:-1], strict=True)]
        lines.append("  ".join([*padded, click.style(result, fg=_COLOURS.get(result, "red"))]))
    for state in states:
        for colour, found, advice in _remarks(state, now, in_file=in_file):
            lines += ["", f"{state.name}: {click.style(found, fg=colour)}"]
            if advice:
                lines.append(f"  what to do: {advice}")
    return "\n".join(lines)


def _row(state: AccountState, now: float) -> tuple[str, ...]:
    if state.failing is not None:
        return (state.name, state.gateway, *("-" for _ in _HEADERS[2:-1]), _result(state))
    counts = Counter(key.status_word for key in state.keys)
    numbers = (
        len(state.keys),
        *(counts[word] for word in STATUS_LABELS),
        state.usable_keys(now),
        state.skipped,
    )
    return (state.name, state.gateway, *map(str, numbers), _balance(state), _result(state))


def _result(state: AccountState) -> str:
    """Write the account's state, and the reason if the refresh did not simply succeed."""
    word = state_word(state)
    return word if state.outcome == SUCCESS else f"{word}: {state.outcome}"


def _balance(state: AccountState) -> str:
    """Write the wallet, and what subscriptions add to it."""
    wallet = (
        "not available" if state.balance is None else _dollars(state, state.balance.remaining_quota)
    )
    paying = state.subscriptions
    if paying is None or not paying.is_any_running:
        return wallet
    left = paying.remaining_quota
    if left is None:
        return f"{wallet} + subscription"
    return f"{wallet} + subscription {_dollars(state, left)}"


def _dollars(state: AccountState, units: float) -> str:
    return f"{state.usd(units):,.2f} USD"


def _remarks(state: AccountState, now: float, *, in_file: bool) -> Iterator[Remark]:
    if state.failing is not None:
        yield "red", state.error, fix(state.failing, in_file=in_file)
    else:
        yield from _remarks_on_keys(state, now)
        yield from _remarks_on_settings(state, in_file=in_file)
    if found := skew_note(state):
        yield "yellow", found, "set this machine's clock (NTP); expiry is judged by it"


def _remarks_on_keys(state: AccountState, now: float) -> Iterator[Remark]:
    if state.is_exhausted:
        yield (
            "red",
            "the account cannot pay for any request, whatever its keys have left",
            "top up the account",
        )
    closed = [
        key
        for key in state.keys
        if state.unusable_reason(key, now) is UnusableReason.GROUP_UNAVAILABLE
    ]
    if closed:
        groups = ", ".join(sorted({repr(key.group) for key in closed})[:MOST_NAMES])
        found = f"{_names(closed)} cannot be used: not open to the account: group {groups}"
        yield (
            "red",
            found,
            "choose another group for these keys, or have the gateway's operator open it",
        )
    dry = [key for key in state.keys if state.is_probably_dry(key, now)]
    if dry:
        found = (
            f"{_names(dry)} probably ran dry: less is left than a usual request costs, "
            "and nothing was spent lately"
        )
        yield "yellow", found, "raise the quota of these keys, or disable them"


def _names(keys: Sequence[ApiKey]) -> str:
    """Name a few keys; names are written so that nothing in them can act on a terminal."""
    names = [f"{key.name!r} (id {key.id})" for key in keys[:MOST_NAMES]]
    if len(keys) > MOST_NAMES:
        names.append(f"{len(keys) - MOST_NAMES} more")
    return f"{count(len(keys), 'key')}: {', '.join(names)}:"


def _remarks_on_settings(state: AccountState, *, in_file: bool) -> Iterator[Remark]:
    if state.excluded:
        yield (
            "bright_black",
            f"{count(state.excluded, 'key')} excluded by keys.include and keys.exclude",
            "",
        )
    if found := units_note(state):
        option = "quota_per_usd" if in_file else "--cometapi.quota-per-usd"
        yield "yellow", found, f"remove {option} unless the gateway's value is wrong"

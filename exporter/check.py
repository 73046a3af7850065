"""Write the report of `--check`: a table of the accounts, then what is wrong and how to fix it.

Pure: states in, text out.
"""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from exporter.account_notes import (
    assumed_note,
    balance_text,
    cached_note,
    endpoint_advice,
    endpoint_note,
    gifts_note,
    little_left_note,
    skew_note,
    state_word,
    subscriptions_text,
    units_note,
    unreadable_note,
)
from exporter.errors import SUCCESS, fix
from exporter.formatting import DAY, count
from exporter.model import (
    STATUS_LABELS,
    ApiKey,
    KeyStatus,
    ListingProgress,
    UnusableReason,
)
from exporter.snapshot import AccountState

MOST_NAMES = 5
CLOCK_ADVICE = "check this machine's clock (NTP); if it is right, tell the gateway's operator"
# What a terminal shows without wrapping inside a word.
LINE_LENGTH = 100

UNUSABLE: Mapping[UnusableReason, tuple[str, str]] = {
    UnusableReason.EXHAUSTED: (
        "no quota left, though reported as enabled",
        "top up these keys if their users need them",
    ),
    UnusableReason.EXPIRED: (
        "expired, though reported as enabled",
        "extend these keys if their users need them",
    ),
    UnusableReason.ACCOUNT_EXHAUSTED: (
        "not usable, because the account cannot pay",
        "if the spending was intended, top up the account",
    ),
    UnusableReason.GROUP_UNAVAILABLE: (
        "cannot be used: their group is not available to the account",
        (
            "ask the gateway's operator for access, or move these keys to another group after you "
            "have compared its price and its models"
        ),
    ),
}
"""For each reason why an enabled key is not usable: what is found, and what to do."""

_HEADERS = ("account", "gateway", "keys", *STATUS_LABELS, "usable", "skipped", "balance", "result")
_LEFT_OUT_AT_ZERO = {*STATUS_LABELS, "skipped"} - {"enabled"}
_COLOURS = {_HEADERS[-1]: "bright_black", "up": "green"}

Remark = tuple[str, str, str]
"""The colour, what was found, and what to do, "" for nothing."""


def pages_text(progress: ListingProgress) -> str:
    """Write how far reading the keys is."""
    text = f"pages read: {progress.pages}"
    if progress.expected is not None:
        # A list that changed is read again; then more pages are read than it has.
        text += f" of {max(progress.expected, progress.pages)}"
    if progress.is_waiting:
        text += ", waiting for the rate limit"
    return text


def report(states: Sequence[AccountState], now: float, *, in_file: bool = False) -> str:
    """Return the report on the refresh of each account, with colours, as of unix time *now*.

    With *in_file*, advice names the settings of the configuration file instead of flags.
    """
    lines = _table(states, now)
    if max(len(click.unstyle(line)) for line in lines) > LINE_LENGTH:
        lines = _blocks(states, now)
    for state in states:
        for colour, found, advice in _remarks(state, now, in_file=in_file):
            lines.append("")
            lines += _wrapped(f"{state.name}: ", found, colour)
            if advice:
                lines += _wrapped("  fix: ", advice, None)
    return "\n".join(lines)


def json_report(states: Sequence[AccountState], now: float, *, in_file: bool = False) -> str:
    """Return the same report as JSON; null is what is not known, or was not read."""
    accounts = [_as_json(state, now, in_file=in_file) for state in states]
    return json.dumps({"accounts": accounts}, indent=2, ensure_ascii=False)


def _as_json(state: AccountState, now: float, *, in_file: bool) -> dict[str, Any]:
    is_read = state.failing is None
    balance = state.balance
    return {
        "name": state.name,
        "gateway": state.gateway,
        "result": _result(state),
        "keys": len(state.keys) if is_read else None,
        "usable": state.usable_keys(now) if is_read else None,
        "balance_usd": None if balance is None else state.usd(balance.remaining_quota),
        "findings": [
            {"message": found, "advice": advice}
            for _, found, advice in _remarks(state, now, in_file=in_file)
        ],
    }


def _table(states: Sequence[AccountState], now: float) -> list[str]:
    """Return one line for each account, without the columns that count nothing."""
    rows = [_HEADERS, *(_row(state, now) for state in states)]
    columns = [column for column in zip(*rows, strict=True) if not _counts_nothing(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for *cells, result in zip(*columns, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(cells, widths[:-1], strict=True)]
        lines.append("  ".join([*padded, _styled(result)]))
    return lines


def _counts_nothing(column: Sequence[str]) -> bool:
    header, *cells = column
    return header in _LEFT_OUT_AT_ZERO and all(cell in ("0", "-") for cell in cells)


def _blocks(states: Sequence[AccountState], now: float) -> list[str]:
    """Return a few lines for each account, where a table would be too wide."""
    lines = []
    for state in states:
        name, gateway, *counts, balance, result = _row(state, now)
        lines += [f"{name}: {_styled(result)}", f"  gateway: {gateway}"]
        if state.failing is None:
            counted = [
                f"{header}: {cell}"
                for header, cell in zip(_HEADERS[2:-2], counts, strict=True)
                if not _counts_nothing((header, cell))
            ]
            lines += [f"  {', '.join(counted)}", f"  balance: {balance}"]
    return lines


def _styled(result: str) -> str:
    return click.style(result, fg=_COLOURS.get(result, "red"))


def _wrapped(label: str, text: str, colour: str | None) -> list[str]:
    """Return *text* after *label*, in lines that fit, each coloured by itself."""
    first, *rest = textwrap.wrap(
        label + text,
        width=LINE_LENGTH,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = [label + click.style(first.removeprefix(label), fg=colour)]
    lines += [click.style(line, fg=colour) for line in rest]
    return lines


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
    if state.reads_no_key:
        return "no key could be read"
    word = state_word(state)
    return word if state.outcome == SUCCESS else f"{word}: {state.outcome}"


def _balance(state: AccountState) -> str:
    """Write the wallet, and what subscriptions add to it."""
    wallet = balance_text(state, _dollars)
    paying = subscriptions_text(state, _dollars)
    return f"{wallet} + subscriptions {paying}" if paying else wallet


def _dollars(usd: float) -> str:
    return f"{usd:,.2f} USD"


def _remarks(state: AccountState, now: float, *, in_file: bool) -> Iterator[Remark]:
    if state.failing is not None:
        yield "red", state.error, fix(state.failing, in_file=in_file)
    else:
        yield from _remarks_on_account(state)
        yield from _remarks_on_unread(state)
        yield from _remarks_on_keys(state, now)
        yield from _remarks_on_endpoints(state, in_file=in_file)
        yield from _remarks_on_settings(state, in_file=in_file)
    if found := cached_note(state):
        yield "yellow", found, "configure the cache not to cache paths below /api/"
    if found := skew_note(state):
        yield "yellow", found, CLOCK_ADVICE


def _remarks_on_unread(state: AccountState) -> Iterator[Remark]:
    advice = "if the gateway documents these fields like this, please report it as a bug"
    costly = [str(unread) for unread in state.unread if unread.costs_key]
    if state.skipped:
        skipped = count(state.skipped, "key")
        found = f"{skipped} skipped because of unreadable fields: {_some(costly)}"
        yield "red", found, advice
    others = [str(unread) for unread in state.unread if not unread.costs_key]
    if others:
        yield "yellow", f"some fields could not be read and are left out: {_some(others)}", advice
    for path, fields in state.unread_of_endpoints.items():
        yield "yellow", f"could not be read in {path.value}: {_some(fields)}", advice


def _some(names: Sequence[str]) -> str:
    some = ", ".join(names[:MOST_NAMES])
    return f"{some}, ..." if len(names) > MOST_NAMES else some


def _remarks_on_account(state: AccountState) -> Iterator[Remark]:
    if state.is_exhausted:
        yield (
            "red",
            "account empty: all requests fail, regardless of the quota of its keys",
            "if the spending was intended, top up the account",
        )
    if found := little_left_note(state):
        advice = "check whether requests are rejected; if they are, top up the account"
        yield "yellow", found, advice


def _remarks_on_keys(state: AccountState, now: float) -> Iterator[Remark]:
    reasons: dict[UnusableReason, list[ApiKey]] = {}
    for key in state.keys:
        reason = state.unusable_reason(key, now)
        if key.status == KeyStatus.ENABLED and reason is not None:
            reasons.setdefault(reason, []).append(key)
    for reason, (what, advice) in UNUSABLE.items():
        keys = reasons.get(reason, [])
        if keys:
            yield "red", f"{count(len(keys), 'key')}: {what}: {_names(keys)}", advice
    expiring = [key for key in state.keys if _expires_soon(state, key, now)]
    if expiring:
        verb = "expires" if len(expiring) == 1 else "expire"
        found = f"{count(len(expiring), 'key')} {verb} within a day: {_names(expiring)}"
        yield "yellow", found, "ask the users of these keys; extend those that they still need"
    little = [key for key in state.keys if state.has_little_left(key, now)]
    if little:
        found = (
            f"{count(len(little), 'key')}: less is left than a typical request of the account "
            f"costs: {_names(little)}"
        )
        advice = (
            "a cheaper request may still work: ask the users of these keys, and raise the quota "
            "if they need it"
        )
        yield "yellow", found, advice


def _expires_soon(state: AccountState, key: ApiKey, now: float) -> bool:
    if key.expires_at is None or state.unusable_reason(key, now) is not None:
        return False
    return key.expires_at - now < DAY


def _names(keys: Sequence[ApiKey]) -> str:
    """Name a few keys; names are written so that nothing in them can act on a terminal."""
    names = [_name(key) for key in keys[:MOST_NAMES]]
    if len(keys) > MOST_NAMES:
        names.append(f"{len(keys) - MOST_NAMES} more")
    return ", ".join(names)


def _name(key: ApiKey) -> str:
    group = f", group {key.group!r}" if key.group else ""
    return f"{key.name!r} (id {key.id}{group})"


def _remarks_on_endpoints(state: AccountState, *, in_file: bool) -> Iterator[Remark]:
    for path, failure in state.endpoint_failures.items():
        found = f"{endpoint_note(state, path)}: {failure.text}"
        yield "yellow", found, endpoint_advice(state, failure, in_file=in_file)
    if found := unreadable_note(state):
        yield "yellow", found, "please report the gateway and its version"
    if found := gifts_note(state):
        yield "yellow", found, ""
    if found := assumed_note(state):
        option = "quota_per_usd" if in_file else "--cometapi.quota-per-usd"
        yield "yellow", found, f"set {option} to what the gateway's operator tells you"


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

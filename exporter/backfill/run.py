"""Read the history of all accounts, then write it: nothing is written before everything was read.

Talks to: the API, through a client for each account; standard output and standard error, through
the functions that it is given.

An error while reading leaves nothing behind. An output that is cut short has no `# EOF` at its end,
and promtool does not accept it.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

from exporter.backfill.history import AMOUNTS, Period
from exporter.backfill.progress import Progress, size
from exporter.backfill.reader import ReadByModel, Reader
from exporter.backfill.samples import (
    END,
    VALUE_AND_TIME_BYTES,
    comments,
    sample_count,
    sample_lines,
    series_name,
)
from exporter.backfill.spool import Spool
from exporter.cometapi.client import CometClient
from exporter.errors import ApiError, BackfillError, fix
from exporter.formatting import count, duration
from exporter.refresh.schedule import Runtime
from exporter.settings.load import Account, Settings
from exporter.watch import Hosts

# Beside an exporter that runs, and sends at most 50 by default.
REQUESTS_PER_MINUTE = 20

# A gateway that sums 30 days takes longer than one that lists a page of keys.
LEAST_TIMEOUT_SECONDS = 60.0

# A series by key with names of usual lengths, and the two labels that are added unless others are
# given; only the estimates depend on it.
USUAL_NAME_BYTES = 180
USUAL_ADDED_BYTES = 54

Write = Callable[[bytes], object]
Say = Callable[[str], None]


async def write_history(
    settings: Settings, *, period: Period, runtime: Runtime, write: Write, say: Say
) -> None:
    """Write the usage of all accounts of *settings* in *period*.

    *say* gets lines for people. Raises BackfillError, before anything was written.
    """
    accounts = [account for account in settings.accounts if account.usage != "off"]
    if not accounts:
        raise BackfillError("no account has usage to write: --collect.usage is off")
    with Spool(period) as spool:
        async with _readers(accounts, settings, period, runtime, say) as readers:
            in_file = settings.config_file is not None
            await _read(readers, spool, runtime=runtime, say=say, in_file=in_file)
        say(f"Writing {count(len(AMOUNTS) * len(spool.series), 'counter')}, {_size_of(spool)}.")
        _write(spool, settings.backfill_label, write)


async def _read(
    readers: Mapping[str, Reader], spool: Spool, *, runtime: Runtime, say: Say, in_file: bool
) -> None:
    """Read all accounts into *spool*, first by model, then by key, and say how long it takes."""
    by_key: dict[str, ReadByModel] = {}
    for name, reader in readers.items():
        with _errors_in_words(reader.account, in_file=in_file):
            found = await reader.read_by_model()
        if found.hours:
            by_key[name] = found
        else:
            spool.add(reader.history_by_model(found))
    if not by_key:
        return
    say(_estimate(by_key.values(), spool.period))
    hours = sum(len(found.hours) for found in by_key.values())
    progress = Progress(total=hours, began=runtime.monotonic())

    def on_hour() -> None:
        line = progress.advance(runtime.monotonic())
        if line is not None:
            say(line)

    for name, found in by_key.items():
        with _errors_in_words(found.account, in_file=in_file):
            history = await readers[name].history_by_key(found, on_hour=on_hour)
        spool.add(history)


@contextlib.contextmanager
def _errors_in_words(account: Account, *, in_file: bool) -> Iterator[None]:
    """Raise what goes wrong in reading *account* as a BackfillError that says what to do."""
    try:
        yield
    except ApiError as error:
        advice = fix(error.reason, in_file=in_file)
        raise BackfillError(f"{account.name}: {error}\n  fix: {advice}") from None


def _estimate(by_key: Iterable[ReadByModel], period: Period) -> str:
    """Say how long reading by key takes, and how large the output is at the most."""
    requests = 0
    series = 0
    for found in by_key:
        requests += len(found.hours)
        series += len(AMOUNTS) * found.most_series
    seconds = requests / REQUESTS_PER_MINUTE * 60
    line_bytes = USUAL_NAME_BYTES + VALUE_AND_TIME_BYTES
    most_bytes = series * sample_count(0, period) * line_bytes
    return (
        f"Reading {count(requests, 'hour')} by key, {REQUESTS_PER_MINUTE} a minute: "
        f"about {duration(seconds)}; the output has at most {size(most_bytes)}."
    )


def _size_of(spool: Spool) -> str:
    """Say how large the output of *spool* is."""
    total = 0
    for kept in spool.series:
        name = series_name(AMOUNTS[0], kept.account, kept.labels, {})
        line_bytes = len(name.encode()) + USUAL_ADDED_BYTES + VALUE_AND_TIME_BYTES
        total += len(AMOUNTS) * sample_count(kept.first_hour, spool.period) * line_bytes
    return f"about {size(total)}"


def _write(spool: Spool, added: Mapping[str, str], write: Write) -> None:
    """Write all samples, family by family, and the end only after all of them."""
    for amount in AMOUNTS:
        write(comments(amount))
        for kept, growth in spool.growth(amount):
            name = series_name(amount, kept.account, kept.labels, added)
            lines = sample_lines(name, growth, first_hour=kept.first_hour, period=spool.period)
            write("".join(lines).encode(errors="replace"))
    write(END)


@contextlib.asynccontextmanager
async def _readers(
    accounts: Sequence[Account], settings: Settings, period: Period, runtime: Runtime, say: Say
) -> AsyncIterator[dict[str, Reader]]:
    """Open a client for each account, and return their readers by name."""
    hosts = Hosts(runtime)
    per_minute = min(REQUESTS_PER_MINUTE, settings.max_requests_per_minute)
    async with contextlib.AsyncExitStack() as clients:
        readers = {}
        for account in accounts:
            client = CometClient(
                base_url=account.base_url,
                user_id=account.user_id,
                ca_file=account.ca_file,
                proxy=account.proxy,
                auth_scheme=account.auth_scheme,
                headers_file=account.headers_file,
                timeout=max(account.timeout, LEAST_TIMEOUT_SECONDS),
                concurrency=1,
                max_keys=account.keys_max,
                rate_limit=hosts.limit(account, per_minute),
                on_request=_ignore,
            )
            clients.push_async_callback(client.aclose)
            readers[account.name] = Reader(account, client, period=period, runtime=runtime, say=say)
        yield readers


def _ignore(_path: str, _code: str) -> None:
    """Count no request."""

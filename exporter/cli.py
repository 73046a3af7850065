"""Read the command line, run, and return an exit code.

0 is success, 1 a runtime error, 2 an invalid configuration, 3 keys that break policies.

Talks to: click and the terminal. `settings` says what an option means, and `app` does what was
asked for.
"""

import contextlib
import functools
import os
import shlex
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click
import structlog

from exporter import __version__, app, audit, workers
from exporter.check import json_report, pages_text, report
from exporter.errors import BackfillError, SettingsError
from exporter.logs import set_up_logs
from exporter.model import ListingProgress
from exporter.server.listen import ListenError
from exporter.settings.load import Settings, load_settings
from exporter.settings.options import (
    MODES,
    OPTIONS,
    TOKEN_VARIABLE,
    Option,
    mode_flag,
)
from exporter.snapshot import AccountState
from exporter.workers import NoThread, Threads

Found = TypeVar("Found")

DONE, FAILED, WRONG_SETTINGS, VIOLATIONS = 0, 1, 2, 3
# With the dashes, shorter than any access token.
LONGEST_QUOTED = 20
# Longer than any line that tells the progress.
PROGRESS_WIDTH = 60
NO_TOKEN_HERE = (
    "a token never belongs on the command line, where ps shows it: set the variable "
    f"{TOKEN_VARIABLE}, or --cometapi.access-token-file to the file that has it"
)

INTRODUCTION = f"""Prometheus exporter for the API keys of CometAPI accounts and of any gateway
compatible with New API.

The access token comes from the variable {TOKEN_VARIABLE} or from a file, never from a flag,
because flags are visible in ps. All other options can be set by flag, or by the environment
variable that is shown with them; flags take precedence."""
DOCUMENTATION = "https://github.com/cometapi-exporter/cometapi-exporter/blob/main/docs/index.md"
EXAMPLES = (
    ("Try it without an account", "cometapi-exporter --demo"),
    (
        "Verify the access token and the settings",
        "cometapi-exporter --check --cometapi.access-token-file=token",
    ),
    ("Serve several accounts on port 10144", "cometapi-exporter --config.file=accounts.yml"),
)


class _Command(click.Command):
    """A command whose help shows the modes first, then flags by the first part of their names."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"modes": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_section(parameter), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("examples"):
            for purpose, example in EXAMPLES:
                formatter.write_text(f"{purpose}:")
                formatter.write_text(f"  {example}")
        formatter.write_paragraph()
        formatter.write(f"Documentation: {DOCUMENTATION}\n")


def _section(parameter: click.Parameter) -> str:
    """Return the heading under which the help shows *parameter*."""
    group, dot, _ = parameter.opts[0].removeprefix("--").partition(".")
    is_mode = parameter.name in MODES
    return group if dot and not is_mode else "modes"


def _click_option(option: Option[Any]) -> click.Option:
    shown = f"; default: {option.default}" if option.default and option.metavar else ""
    switch: dict[str, Any] = {} if option.metavar else {"is_flag": True, "flag_value": "true"}
    several: dict[str, Any] = (
        {"multiple": True, "callback": _joined} if option.is_repeatable else {}
    )
    return click.Option(
        [option.flag, option.key],
        help=f"{option.help} [{option.variable}{shown}]",
        metavar=option.metavar or None,
        type=click.STRING,
        default=None,
        **switch,
        **several,
    )


def _joined(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> str | None:
    return ",".join(texts) if texts else None


def command() -> click.Command:
    """Build the command: every option of the table, and the modes."""
    flags = _Command(
        "cometapi-exporter",
        help=INTRODUCTION,
        callback=lambda **given: given,
        params=[
            *(_click_option(option) for option in OPTIONS),
            *(
                click.Option([mode_flag(name), name], is_flag=True, help=text)
                for name, text in MODES.items()
            ),
        ],
        context_settings={"max_content_width": 100, "help_option_names": ["--help", "-h"]},
    )
    python = sys.version.split()[0]
    return click.version_option(__version__, message=f"%(prog)s %(version)s (Python {python})")(
        flags
    )


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what *arguments* say and return the exit code."""
    try:
        given = command().main(
            list(arguments), prog_name="cometapi-exporter", standalone_mode=False
        )
    except click.ClickException as error:
        error = _without_secrets(error)
        with contextlib.suppress(OSError):
            error.show()
        return WRONG_SETTINGS
    except OSError as error:
        # --help and --version do nothing but write.
        return _cannot_write(error)
    if not isinstance(given, dict):
        return DONE
    return _run(given, environ, arguments)


def _without_secrets(error: click.ClickException) -> click.ClickException:
    """Return *error*, or one that does not quote what may be a token."""
    if isinstance(error, click.NoSuchOption):
        if "token" in error.option_name:
            return click.UsageError(NO_TOKEN_HERE)
        if not error.possibilities and len(error.option_name) > LONGEST_QUOTED:
            return click.UsageError("No such option. --help lists all.")
    if "extra argument" in error.format_message():
        return click.UsageError(f"only flags are expected; {NO_TOKEN_HERE}")
    return error


def _conflict(given: Mapping[str, Any], chosen: Sequence[str]) -> str:
    """Say which flags do not go together, "" if all of them do."""
    if len(chosen) > 1:
        flags = " and ".join(mode_flag(name) for name in chosen)
        return f"{flags} are set together: choose one"
    for option in OPTIONS:
        is_given = given[option.key] is not None
        if option.group == "backfill" and is_given and chosen != ["backfill"]:
            return f"{option.flag} requires --backfill"
    return ""


def _run(given: Mapping[str, Any], environ: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Load the settings, set up the logs, and do what the modes say."""
    modes = sorted(name for name in MODES if given[name])
    chosen = [name for name in modes if name != "demo"]
    conflict = _conflict(given, chosen)
    if conflict:
        return _complain(conflict, WRONG_SETTINGS)
    texts = {key: text for key, text in given.items() if key not in MODES}
    load = functools.partial(
        load_settings,
        texts,
        environ,
        demo="demo" in modes,
        needs_every_file=chosen == ["config_check"],
        is_audit=chosen == ["audit"],
    )
    try:
        settings = Threads(1, "configuration").submit(load).result(workers.CALL_SECONDS)
    except SettingsError as error:
        return _complain("\n  ".join(["Invalid configuration:", *error.problems]), WRONG_SETTINGS)
    except NoThread as shortage:
        return _complain(str(shortage.strerror))
    except TimeoutError:
        return _complain("timed out reading a configured file: is its mount responding?")
    is_for_people = chosen in (["check"], ["audit"], ["backfill"])
    set_up_logs("error" if is_for_people else settings.log_level, settings.log_format)
    _warn(settings, in_log=not chosen)
    try:
        return _do(chosen, settings, load, arguments)
    except ListenError as error:
        structlog.get_logger().error("cannot start", error=str(error))
        return FAILED


def _warn(settings: Settings, *, in_log: bool) -> None:
    """Tell what is probably a mistake: in the log of a server, else on standard error."""
    for warning in settings.all_warnings:
        if in_log:
            log = structlog.get_logger()
            log.warning("setting is probably wrong", setting=warning.source, detail=warning.text)
        else:
            _complain(f"Warning: {warning}")


def _do(
    chosen: Sequence[str],
    settings: Settings,
    load: Callable[[], Settings],
    arguments: Sequence[str],
) -> int:
    """Do what the chosen mode says, or serve; return the exit code."""
    match chosen:
        case ["config_check"]:
            return _write(f"The configuration is valid. Accounts: {len(settings.accounts)}.")
        case ["once"]:
            return _once(settings)
        case ["check"]:
            return _check(settings, arguments)
        case ["audit"]:
            return _audit(settings)
        case ["backfill"]:
            return _backfill(settings)
        case _:
            return _serve(settings, load)


def _complain(text: str, code: int = FAILED) -> int:
    """Write *text* to standard error and return the exit code."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)
    return code


def _write(text: str) -> int:
    """Write *text* to standard output and return the exit code; UTF-8 whatever the locale is."""
    try:
        click.echo(text.encode(errors="replace"), nl=not text.endswith("\n"))
        os.fstat(1)
    except OSError as error:
        return _cannot_write(error)
    return DONE


def _cannot_write(error: OSError) -> int:
    """Say why, unless the reader has seen enough.

    Standard output is closed, so that Python does not complain about it again at its end.
    """
    if not isinstance(error, BrokenPipeError):
        _complain(f"cannot write to standard output: {error.strerror}")
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return FAILED


def _once(settings: Settings) -> int:
    exposition = _with_progress(functools.partial(app.read_once, settings))
    if exposition is None:
        return FAILED
    try:
        with open(1, "wb", closefd=False) as output:
            output.writelines(exposition)
    except OSError as error:
        return _cannot_write(error)
    return DONE


def _backfill(settings: Settings) -> int:
    try:
        with open(1, "wb", closefd=False) as output:
            workers.run(app.backfill(settings, write=output.write, say=_say))
    except SettingsError as error:
        return _complain(str(error), WRONG_SETTINGS)
    except BackfillError as error:
        return _complain(str(error))
    except OSError as error:
        return _cannot_write(error)
    return DONE


def _say(text: str) -> None:
    """Write a line for people to standard error."""
    _complain(text)


def _serve(settings: Settings, load: Callable[[], Settings]) -> int:
    workers.run(app.run(settings, load=load))
    return DONE


def _check(settings: Settings, arguments: Sequence[str]) -> int:
    states = _watched_states(settings)
    in_file = settings.config_file is not None
    has_failed = any(state.failing is not None or state.reads_no_key for state in states)
    if settings.output_format == "json":
        written = _write(json_report(states, time.time(), in_file=in_file))
        return FAILED if has_failed else written
    text = report(states, time.time(), in_file=in_file)
    if not has_failed:
        words = [word for word in arguments if word != mode_flag("check")]
        text += f"\n\nServe: {shlex.join(['cometapi-exporter', *words])}"
    written = _write(text if os.isatty(1) and "NO_COLOR" not in os.environ else click.unstyle(text))
    return FAILED if has_failed else written


def _audit(settings: Settings) -> int:
    states = _watched_states(settings)
    found = audit.violations(states, time.time())
    notes = audit.unread_notes(states, in_file=settings.config_file is not None)
    match settings.output_format:
        case "json":
            text = audit.json_report(found)
        case "sarif":
            text = audit.sarif_report(found, file=_uri(settings.config_file), notes=notes)
        case _:
            text = audit.text_report(states, found)
    written = _write(text)
    for note in notes:
        _complain(note)
    if notes or written != DONE:
        return FAILED
    return VIOLATIONS if found else DONE


def _uri(path: Path | None) -> str | None:
    """Return *path* as code hosts take it: from the current folder, the root of the repository."""
    if path is None:
        return None
    absolute = Path.cwd() / path
    if absolute.is_relative_to(Path.cwd()):
        return quote(absolute.relative_to(Path.cwd()).as_posix())
    return quote(path.name)


def _watched_states(settings: Settings) -> list[AccountState]:
    """Do one refresh of every account and return the states."""
    return _with_progress(functools.partial(app.try_accounts, settings))


def _with_progress(read: Callable[..., Coroutine[Any, Any, Found]]) -> Found:
    """Return what *read* returns; on a terminal, show the progress until then."""
    if not os.isatty(2):
        return workers.run(read(show=_ignore))
    found = workers.run(read(show=_show))
    _write_over("")
    return found


def _show(progress: ListingProgress) -> None:
    """Write the progress over the last line of a terminal."""
    if progress.pages:
        _write_over(pages_text(progress))


def _ignore(_: ListingProgress) -> None:
    """Show no progress: nobody watches."""


def _write_over(text: str) -> None:
    """Replace what stands in the current line of the terminal."""
    with contextlib.suppress(OSError):
        click.echo(f"\r{text.ljust(PROGRESS_WIDTH)}\r", err=True, nl=False)

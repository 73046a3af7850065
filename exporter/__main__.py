"""Read the command line, run, and end with an exit code: 0 done, 1 failed at work, 2 wrong settings.

Talks to: click and the terminal. What an option means is for `settings`, what is done for `app`.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from exporter import __version__, app
from exporter.check import plain, report
from exporter.errors import SettingsError, StartError
from exporter.logs import set_up_logs
from exporter.options import OPTIONS, TOKEN_VARIABLE, Option
from exporter.settings import Settings, load_settings

DONE, FAILED, WRONG_SETTINGS = 0, 1, 2

INTRODUCTION = f"""Watch every API key of a CometAPI account, or of any New API gateway, for Prometheus.

The access token comes from the variable {TOKEN_VARIABLE} or from a file, never from a flag: flags show in ps.
Every other option is a flag and a variable, named in brackets; the flag wins."""


class _Command(click.Command):
    """A command whose help is grouped as the options' table is."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        named = {option.key: option.section for option in OPTIONS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(named.get(parameter.name or "", "What to do"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def _click_option(option: Option) -> click.Option:
    hidden = option.default is None or option.is_switch
    return click.Option(
        [option.flag, option.key],
        envvar=option.variable,
        help=f"{option.help} [{option.variable}{'' if hidden else f'; default: {option.default}'}]",
        metavar=None if option.is_switch else option.metavar,
        multiple=option.repeatable,
        is_flag=option.is_switch,
        flag_value="true" if option.is_switch else None,
        type=click.STRING,
        default=None,
    )


def command() -> click.Command:
    """Build the command: every option of the table, and what to do."""
    modes = {
        "demo": "Serve a simulated account; no credentials needed.",
        "once": "List once, print the exposition, exit: for cron and the textfile collector.",
        "check": "Validate the settings, try every account, print what was found, exit.",
    }
    return _Command(
        "cometapi-exporter",
        help=INTRODUCTION,
        callback=lambda **given: given,
        params=[
            *(_click_option(option) for option in OPTIONS),
            *(click.Option([f"--{name}"], is_flag=True, help=text) for name, text in modes.items()),
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                help="Show the version and exit.",
                callback=_show_version,
            ),
        ],
        context_settings={"max_content_width": 100, "help_option_names": ["--help"]},
    )


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        click.echo(f"cometapi-exporter {__version__} (Python {sys.version.split()[0]})")
        ctx.exit()


def main() -> None:
    """Run as a program."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what *arguments* say and return the exit code."""
    try:
        given = command().main(list(arguments), prog_name="cometapi-exporter", standalone_mode=False)
    except click.ClickException as error:
        if "extra argument" in error.format_message():  # not quoted: it may be a token that somebody pasted
            error = click.UsageError("only flags are expected; a token never belongs on the command line")
        error.show()
        return WRONG_SETTINGS
    except click.Abort:
        return FAILED
    if not isinstance(given, dict):
        return DONE
    return _run(given, environ)


def _run(given: dict[str, Any], environ: Mapping[str, str]) -> int:
    demo, once, check = (given.pop(mode) for mode in ("demo", "once", "check"))
    if once and check:
        click.echo("--once is set together with --check: choose one", err=True)
        return WRONG_SETTINGS
    try:
        settings = load_settings(given, environ, demo=demo)
    except SettingsError as error:
        click.echo("These settings are wrong:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        return WRONG_SETTINGS
    set_up_logs("error" if check else settings.log_level, settings.log_format)
    do = _once if once else _check if check else _serve
    try:
        return do(settings, demo=demo)
    except StartError as error:
        click.echo(str(error), err=True)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
    return FAILED


def _once(settings: Settings, *, demo: bool) -> int:
    exposition = asyncio.run(app.read_once(settings, demo=demo))
    if exposition is None:
        return FAILED
    try:
        sys.stdout.buffer.write(exposition.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has seen enough; Python would complain of the pipe at the end
        return FAILED
    return DONE


def _check(settings: Settings, *, demo: bool) -> int:
    outcomes, skews = asyncio.run(app.try_accounts(settings, demo=demo, on_page=_page_counter()))
    has_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    click.echo(report(outcomes, time.time(), skews=skews, paint=_paint if has_colour else plain))
    return FAILED if any(outcome.failure is not None for outcome in outcomes) else DONE


def _paint(text: str, colour: str) -> str:
    return click.style(text, fg=colour)


def _page_counter() -> Callable[[], None]:
    """Return what shows on a terminal how many pages were read so far; elsewhere it shows nothing."""
    pages = itertools.count(1)
    if not sys.stderr.isatty():
        return lambda: None
    return lambda: click.echo(f"\rpages read: {next(pages)}\r", err=True, nl=False)


def _serve(settings: Settings, *, demo: bool) -> int:
    asyncio.run(app.run(settings, demo=demo))
    return DONE


if __name__ == "__main__":
    main()

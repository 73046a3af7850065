"""Write the manual page man/cometapi-exporter.1 from the table of options."""

import re
from pathlib import Path

from exporter import __version__
from exporter.cli import DOCUMENTATION, EXAMPLES, INTRODUCTION
from exporter.settings.options import MODES, OPTIONS, TOKEN_VARIABLE, Option, mode_flag

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "man/cometapi-exporter.1"

EXIT_CODES = {
    "0": "Success.",
    "1": "Runtime error: a port is in use, no account could be read with --once, or any account "
    "could not be read with --check.",
    "2": "Invalid configuration.",
    "3": "With --audit: a key breaks a policy.",
}


def escaped(text: str) -> str:
    """Return *text* so that troff prints it as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    if text.startswith((".", "'")):
        text = f"\\&{text}"
    return text


def paragraph(text: str) -> list[str]:
    """Return the lines of one paragraph."""
    return [".PP", *map(escaped, text.splitlines())]


def term(label: str, text: str) -> list[str]:
    """Return the lines of one entry in a list of definitions; *label* is troff already."""
    return [".TP", label, escaped(text)]


def option_entry(option: Option) -> list[str]:
    """Return the entry of one option."""
    label = f"\\fB{escaped(option.flag)}\\fR"
    if option.metavar:
        label += f"=\\fI{escaped(option.metavar)}\\fR"
    facts = f"Variable: {option.variable}."
    if option.default and option.metavar:
        facts += f" Default: {option.default}."
    return [*term(label, option.help), ".br", escaped(facts)]


def manual() -> str:
    """Return the manual page."""
    tagline, *paragraphs = INTRODUCTION.split("\n\n")
    summary = re.sub(r"\s+", " ", tagline).rstrip(".")
    lines = [
        '.\\" Written by scripts/manual.py: change the options, run `make docs`.',
        f'.TH COMETAPI\\-EXPORTER 1 "" "cometapi\\-exporter {__version__}" "User Commands"',
        # Neither hyphens nor wide gaps: names of options are copied from here.
        ".ad l",
        ".nh",
        ".SH NAME",
        f"cometapi\\-exporter \\- {escaped(summary)}",
        ".SH SYNOPSIS",
        "\\fBcometapi\\-exporter\\fR [\\fIOPTION\\fR]...",
        ".SH DESCRIPTION",
    ]
    for text in paragraphs:
        lines += paragraph(text)
    lines.append(".SH MODES")
    for mode, text in MODES.items():
        lines += term(f"\\fB{escaped(mode_flag(mode))}\\fR", text)
    lines += term("\\fB\\-\\-version\\fR", "Show the version and exit.")
    lines += term("\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "Show all options and exit.")
    lines.append(".SH OPTIONS")
    for option in OPTIONS:
        lines += option_entry(option)
    lines.append(".SH ENVIRONMENT")
    lines += term(f"\\fB{TOKEN_VARIABLE}\\fR", "The access token.")
    lines.append(".SH EXIT STATUS")
    for code, text in EXIT_CODES.items():
        lines += term(code, text)
    lines.append(".SH EXAMPLES")
    for purpose, example in EXAMPLES:
        lines += [*paragraph(f"{purpose}:"), ".RS 4", f".B {escaped(example)}", ".RE"]
    lines += [".SH SEE ALSO", *paragraph(DOCUMENTATION)]
    return "\n".join(lines) + "\n"


def outputs() -> dict[Path, str]:
    """Return the text of the page by its path."""
    return {PAGE: manual()}


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")

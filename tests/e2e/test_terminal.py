"""What `--check` says to a person at a terminal, and what it says to a pipe."""

import os
import pty
import select
import subprocess
import time

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway, always, answer
from processes import EXPORTER, clean_environment, run_exporter

HTML = {"Content-Type": "text/html"}


def check(gateway, *flags, token=CANARY_TOKEN):
    return run_exporter("--check", *flags, COMETAPI_ACCESS_TOKEN=token, COMETAPI_BASE_URL=gateway.url).stdout


def at_a_terminal(gateway, **variables):
    """Run --check with a pseudo-terminal as its output and return what it wrote there."""
    ours, theirs = pty.openpty()
    environment = clean_environment(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url, **variables)
    with subprocess.Popen([EXPORTER, "--check"], env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written, end = b"", time.monotonic() + 20
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    piece = os.read(ours, 4096)
                except OSError:
                    break
                written += piece
    assert process.returncode == 0
    os.close(ours)
    return written.decode()


@pytest.mark.parametrize(
    ("fault", "fix"),
    [
        (answer(401), "create a new access token"),
        (answer(401), "--cometapi.user-id (COMETAPI_USER_ID)"),
        (answer(200, b"<!doctype html>", HTML), "the URL of the API, not of a web page"),
        (answer(429), "lower --collect.max-requests-per-minute"),
        (answer(200, b'{"success": false}'), "check the access token"),
    ],
    ids=["wrong token", "missing user id", "web page", "rate limit", "older gateway refuses"],
)
def test_trouble_says_what_to_do_next(fault, fix):
    with Gateway(faults=always(fault)) as gateway:
        assert fix in check(gateway)


def test_a_clock_that_is_wrong_is_told():
    late = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT", "Content-Type": "application/json"}
    body = b'{"success": true, "data": {"page": 1, "page_size": 100, "total": 0, "items": []}}'
    with Gateway(faults=always(answer(200, body, late))) as gateway:
        said = check(gateway)

    assert "ahead of the gateway" in said
    assert "set this machine's clock" in said


def test_a_terminal_gets_colour_and_sees_the_pages_go_by():
    with Gateway(keys=wire_keys(250)) as gateway:
        written = at_a_terminal(gateway, TERM="xterm")

    assert "\x1b[32mok" in written
    assert "pages read: 3" in written


def test_no_color_is_honoured():
    with Gateway(keys=wire_keys(3)) as gateway:
        written = at_a_terminal(gateway, TERM="xterm", NO_COLOR="1")

    assert "\x1b[" not in written
    assert "ok" in written


def test_a_pipe_gets_neither_colour_nor_progress():
    with Gateway(keys=wire_keys(3)) as gateway:
        done = run_exporter("--check", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_help_is_grouped_and_fits_100_columns():
    text = run_exporter("--help", COLUMNS="200").stdout

    for group in (
        "The gateway:",
        "Several accounts:",
        "Collecting:",
        "Keys:",
        "Sharding:",
        "Serving:",
        "Logging:",
        "Modes:",
    ):
        assert f"\n{group}\n" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_the_shell_can_complete_flags():
    done = run_exporter(_COMETAPI_EXPORTER_COMPLETE="bash_source")

    assert done.returncode == 0
    assert "complete" in done.stdout

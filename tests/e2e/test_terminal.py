"""What `--check` says to a person at a terminal, and what it says to a pipe."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

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


def test_the_shell_can_complete_flags():
    done = run_exporter(_COMETAPI_EXPORTER_COMPLETE="bash_source")

    assert done.returncode == 0
    assert "complete" in done.stdout


def test_check_shows_the_gateway_and_ends_with_how_to_serve():
    with Gateway(keys=wire_keys(3)) as gateway:
        said = check(gateway, "--collect.interval=30s")

    assert gateway.url in said
    assert said.splitlines()[-1] == "Serve: cometapi-exporter --collect.interval=30s"


def test_a_failed_check_does_not_say_how_to_serve():
    with Gateway(faults=always(answer(401))) as gateway:
        assert "Serve:" not in check(gateway)


def test_advice_names_the_keys_of_the_accounts_file_where_one_is_used(tmp_path):
    with Gateway(faults=always(answer(401))) as gateway:
        (tmp_path / "token").write_text(CANARY_TOKEN)
        (tmp_path / "a.yml").write_text(f"accounts: [{{name: a, access_token_file: token, base_url: '{gateway.url}'}}]")
        said = run_exporter("--check", f"--config.file={tmp_path}/a.yml").stdout

    assert "also requires user_id" in said
    assert "--cometapi" not in said


@pytest.mark.parametrize("mode", ["--once", "--check", "--config.check", "--version", "--help"])
def test_a_full_disk_is_one_line_and_exit_code_1(mode):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [EXPORTER, "--demo", "--log.level=error", mode],
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )

    assert (done.returncode, done.stderr) == (1, "cannot write to standard output: No space left on device\n")


@pytest.mark.parametrize("mode", ["--once", "--check", "--version"])
@pytest.mark.parametrize("closed", [">&-", "| true", "2>&- >&-"])
def test_a_closed_output_leaves_no_traceback(mode, closed):
    done = subprocess.run(
        ["bash", "-c", f'"{EXPORTER}" --demo --log.level=error {mode} {closed}'],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_once_says_when_it_cannot_write_and_fails():
    done = subprocess.run(
        ["bash", "-c", f'"{EXPORTER}" --demo --log.level=error --once >&-'],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stderr) == (1, "cannot write to standard output: Bad file descriptor\n")


def test_once_with_a_refused_token_announces_no_retry():
    with Gateway(faults=always(answer(401))) as gateway:
        done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url)

    assert "refresh failed" in done.stderr
    assert "retry_in_seconds" not in done.stderr

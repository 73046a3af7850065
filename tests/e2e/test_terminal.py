"""What `--check` and `--once` say to a person at a terminal, and what they say to a pipe."""

import os
import pty
import select
import subprocess
import time

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import STATUS_PATH, USAGE_PATH, Gateway, always, answer
from processes import EXPORTER, accounts_file, clean_environment, run, run_exporter


def at_a_terminal(gateway, *flags, mode="--check", until=None, **variables):
    """Run a mode at a pseudo-terminal and return what it wrote there, to its end or *until* a text."""
    ours, theirs = pty.openpty()
    environment = clean_environment(gateway, **variables)
    with subprocess.Popen(
        [EXPORTER, mode, *flags], env=environment, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written, end = b"", time.monotonic() + 20
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    piece = os.read(ours, 4096)
                except OSError:
                    break
                written += piece
                if until is not None and until in written.decode():
                    process.terminate()
                    break
    if until is None:
        assert process.returncode == 0
    os.close(ours)
    return written.decode()


def test_a_terminal_gets_colour_and_sees_the_pages_go_by():
    with Gateway(keys=wire_keys(250)) as gateway:
        written = at_a_terminal(gateway, TERM="xterm")

    assert "\x1b[32mup" in written
    assert "pages read: 3 of 3 " in written


def test_a_terminal_sees_that_a_long_listing_waits_for_the_rate_limit():
    limit = "--collect.max-requests-per-minute=2"
    said = "pages read: 2 of 3, waiting for the rate limit"
    with Gateway(keys=wire_keys(250)) as gateway:
        written = at_a_terminal(gateway, limit, until=said)

    assert said in written


def test_once_shows_the_same_progress_at_a_terminal():
    limit = "--collect.max-requests-per-minute=2"
    said = "pages read: 2 of 3, waiting for the rate limit"
    with Gateway(keys=wire_keys(250)) as gateway:
        written = at_a_terminal(gateway, limit, mode="--once", until=said)

    assert said in written


def test_once_shows_no_progress_to_a_pipe():
    with Gateway(keys=wire_keys(3)) as gateway:
        done = run_exporter("--once", gateway=gateway)

    assert done.returncode == 0
    assert "pages read" not in done.stderr


def test_no_color_is_honoured():
    with Gateway(keys=wire_keys(3)) as gateway:
        written = at_a_terminal(gateway, TERM="xterm", NO_COLOR="1")

    assert "\x1b[" not in written
    assert "up" in written


def test_a_pipe_gets_what_was_found_and_how_to_serve_without_colour_or_progress():
    with Gateway(keys=wire_keys(3)) as gateway:
        done = run_exporter("--check", "--collect.interval=30s", gateway=gateway)

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert f"default  {gateway.url}  3 " in done.stdout
    assert "50.00 USD" in done.stdout
    assert done.stdout.splitlines()[-1] == "Serve: cometapi-exporter --collect.interval=30s"


def test_a_check_spends_no_requests_on_what_models_cost():
    with Gateway(
        keys=wire_keys(3), offers={STATUS_PATH: {"enable_data_export": True}, USAGE_PATH: []}
    ) as gateway:
        run_exporter("--check", gateway=gateway)

    asked = [request.path for request in gateway.requests]
    assert STATUS_PATH in asked
    assert USAGE_PATH not in asked


NO = b'{"success": false, "code": "AUTH_UNAUTHORIZED", "message": "no"}'


def test_a_failed_check_names_the_reason_the_fix_and_a_wrong_clock_and_not_how_to_serve():
    late = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    with Gateway(faults=always(answer(401, NO, late))) as gateway:
        done = run_exporter("--check", gateway=gateway)

    assert done.returncode == 1
    assert "unauthorized" in done.stdout
    assert "fix: check the user ID (--cometapi.user-id; " in done.stdout
    assert "ahead of the gateway" in done.stdout
    assert "Serve:" not in done.stdout


def test_advice_names_the_keys_of_the_accounts_file_where_one_is_used(tmp_path):
    with Gateway(faults=always(answer(401, NO))) as gateway:
        said = run_exporter(
            "--check", accounts_file(tmp_path, {"a": gateway}), TOKEN=CANARY_TOKEN
        ).stdout

    assert "fix: check the user ID (user_id; " in said
    assert "--cometapi" not in said


FULL, CLOSED = (">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")
FAILING = [(mode, *FULL) for mode in ("--once", "--check", "--config.check", "--version", "--help")]


@pytest.mark.parametrize(("mode", "output", "said"), [*FAILING, ("--once", *CLOSED)])
def test_an_output_that_takes_nothing_is_one_line_and_exit_code_1(mode, output, said):
    script = f'"{EXPORTER}" --demo --log.level=error {mode} {output}'
    done = run("bash", "-c", script, env=clean_environment())

    assert (done.returncode, done.stderr) == (1, f"cannot write to standard output: {said}\n")


@pytest.mark.parametrize("closed", ["| true", "2>&- >&-"])
def test_a_reader_that_leaves_gets_no_traceback(closed):
    done = run(
        "bash",
        "-c",
        f'"{EXPORTER}" --demo --log.level=error --once {closed}',
        env=clean_environment(),
    )

    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_once_with_a_refused_token_announces_no_retry():
    with Gateway(faults=always(answer(401, NO))) as gateway:
        done = run_exporter("--once", gateway=gateway)

    assert "refresh failed" in done.stderr
    assert "retry_in_seconds" not in done.stderr

"""Towards the API, 7: a bad token is a clear error that never shows it, and rotation heals without a restart."""

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, run_exporter, wait_until

UP = 'cometapi_up{account="default"}'
BAD_CONTENTS = {
    "empty": b"",
    "blank": b" \n\t\n",
    "two lines": b"hidden-one\nhidden-two\n",
    "control character": b"hidden\x07token",
    "not ASCII": "hidden-t\u00f6ken".encode(),
    "not UTF-8": b"hidden\xff\xfetoken",
    "a space inside": b"hidden token",
}


@pytest.mark.parametrize("content", BAD_CONTENTS.values(), ids=BAD_CONTENTS.keys())
def test_a_file_with_no_token_in_it_is_refused_at_the_start_without_showing_it(content, tmp_path):
    path = tmp_path / "token"
    path.write_bytes(content)

    done = run_exporter("--once", f"--cometapi.access-token-file={path}")

    assert done.returncode == 2
    assert "--cometapi.access-token-file (COMETAPI_ACCESS_TOKEN_FILE)" in done.stderr
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_a_missing_file_is_refused_at_the_start(tmp_path):
    done = run_exporter("--once", f"--cometapi.access-token-file={tmp_path / 'none'}")

    assert done.returncode == 2
    assert "No such file" in done.stderr


@pytest.mark.parametrize("token", ["hidden\ntoken", "hidden\x7f", "hidden-\u00f6"], ids=["break", "control", "umlaut"])
def test_a_variable_that_cannot_stand_in_a_header_is_refused_without_showing_it(token):
    done = run_exporter("--once", COMETAPI_ACCESS_TOKEN=token)

    assert done.returncode == 2
    assert "COMETAPI_ACCESS_TOKEN" in done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.parametrize("content", [f"\ufeff{CANARY_TOKEN}", f"{CANARY_TOKEN}\r\n", f"\n  {CANARY_TOKEN}\n\n"])
def test_what_editors_leave_around_a_token_does_not_hurt(content, tmp_path):
    path = tmp_path / "token"
    path.write_text(content, encoding="utf-8", newline="")
    with Gateway(keys=wire_keys(1)) as gateway:
        done = run_exporter("--once", f"--cometapi.access-token-file={path}", COMETAPI_BASE_URL=gateway.url)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("")], ids=["gone", "empty"])
def test_a_file_that_goes_bad_is_unauthorized_and_heals_without_a_restart(spoil, tmp_path):
    path = tmp_path / "token"
    path.write_text(CANARY_TOKEN)
    with (
        Gateway(keys=wire_keys(1)) as gateway,
        Exporter(
            "--collect.interval=200ms",
            "--collect.max-requests-per-minute=10000",
            f"--cometapi.access-token-file={path}",
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        exporter.wait_ready()
        spoil(path)
        wait_until(lambda: exporter.samples()[UP] == 0)
        assert (
            exporter.samples()['cometapi_exporter_refresh_failures_total{account="default",reason="unauthorized"}'] >= 1
        )
        path.write_text(CANARY_TOKEN)
        wait_until(lambda: exporter.samples()[UP] == 1)

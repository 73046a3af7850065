"""Towards the API, 7: a bad token is a clear error that never shows it, and rotation heals without a restart."""

import os
import ssl

import pytest
import trustme
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import QUICKLY, Exporter, run_exporter, wait_until

UP = 'cometapi_up{account="default"}'
UNAUTHORIZED = 'cometapi_exporter_refresh_failures_total{account="default",reason="unauthorized"}'


def test_a_file_with_no_token_in_it_is_refused_at_the_start_without_showing_it(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(b"hidden\xff\xfetoken")

    done = run_exporter("--once", f"--cometapi.access-token-file={path}")

    assert done.returncode == 2
    assert f"(COMETAPI_ACCESS_TOKEN_FILE): the access token in the file {path}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


SPOILED = {
    "No such file": lambda _: None,
    "not a regular file": os.mkfifo,
    "rejected the access token": lambda path: path.write_text("another-token"),
}


@pytest.mark.parametrize("said", SPOILED)
def test_a_file_that_goes_bad_is_unauthorized_and_heals_without_a_restart(said, tmp_path):
    path, good = tmp_path / "token", tmp_path / "good"
    path.write_text(CANARY_TOKEN)
    good.write_text(f"\ufeff{CANARY_TOKEN}\r\n", encoding="utf-8")
    with (
        Gateway(keys=wire_keys(1)) as gateway,
        Exporter(
            *QUICKLY, f"--cometapi.access-token-file={path}", COMETAPI_BASE_URL=gateway.url
        ) as exporter,
    ):
        exporter.wait_ready()
        path.unlink()
        SPOILED[said](path)
        wait_until(lambda: exporter.samples()[UP] == 0)
        assert exporter.samples()[UNAUTHORIZED] >= 1
        assert said in next(
            entry["detail"] for entry in exporter.log() if entry["msg"] == "refresh failed"
        )
        good.replace(path)
        wait_until(lambda: exporter.samples()[UP] == 1)


def test_an_account_whose_token_is_missing_fails_alone_until_it_is_there(tmp_path):
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.write_text(CANARY_TOKEN)
    with Gateway(keys=wire_keys(1)) as gateway:
        (tmp_path / "accounts.yml").write_text(
            "accounts:\n"
            f"  - {{name: one, base_url: '{gateway.url}', access_token_file: {there}}}\n"
            f"  - {{name: two, base_url: '{gateway.url}', access_token_file: {missing}}}\n"
        )
        with Exporter(*QUICKLY, f"--config.file={tmp_path}/accounts.yml") as exporter:
            exporter.wait_ready()
            samples = exporter.samples()
            failed = [entry for entry in exporter.log() if entry["msg"] == "refresh failed"]
            missing.write_text(CANARY_TOKEN)
            wait_until(lambda: exporter.samples()['cometapi_up{account="two"}'] == 1)

    assert samples['cometapi_up{account="one"}'] == 1
    assert samples['cometapi_up{account="two"}'] == 0
    assert [entry["account"] for entry in failed] == ["two"]
    assert f"cannot read the access token in the file {missing}" in failed[0]["detail"]


FILES = {
    "ca_file": (
        "unreachable",
        "cannot read the file of trusted certificates",
        lambda path, authority: authority.cert_pem.write_to_path(path),
    ),
    "headers_file": (
        "blocked",
        "cannot read the file of headers",
        lambda path, _: path.write_text("X-Team: web\n"),
    ),
}


@pytest.mark.parametrize("field", FILES)
def test_an_account_whose_other_file_is_missing_fails_alone_until_it_is_there(tmp_path, field):
    """The gateway of that account speaks TLS with a certificate of a private authority."""
    reason, said, write = FILES[field]
    token, missing, authority = tmp_path / "token", tmp_path / "missing", trustme.CA()
    token.write_text(CANARY_TOKEN)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    files = {"ca_file": tmp_path / "ca.pem", field: missing}
    own = ", ".join(f"{name}: {path}" for name, path in files.items())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        Gateway(keys=wire_keys(1)) as plain,
        Gateway(keys=wire_keys(1), ssl_context=context) as tls,
    ):
        (tmp_path / "accounts.yml").write_text(
            "accounts:\n"
            f"  - {{name: one, base_url: '{plain.url}', access_token_file: {token}}}\n"
            f"  - {{name: two, base_url: '{tls.url}', access_token_file: {token}, {own}}}\n"
        )
        with Exporter(*QUICKLY, f"--config.file={tmp_path}/accounts.yml") as exporter:
            exporter.wait_ready()
            samples = exporter.samples()
            failed = [entry for entry in exporter.log() if entry["msg"] == "refresh failed"]
            requests_without_it = len(tls.requests)
            write(missing, authority)
            wait_until(lambda: exporter.samples()['cometapi_up{account="two"}'] == 1)

    failures = f'cometapi_exporter_refresh_failures_total{{account="two",reason="{reason}"}}'
    assert samples['cometapi_up{account="one"}'] == 1
    assert samples['cometapi_up{account="two"}'] == 0
    assert samples[failures] >= 1
    assert [entry["account"] for entry in failed] == ["two"]
    assert f"{said} {missing}" in failed[0]["detail"]
    assert requests_without_it == 0

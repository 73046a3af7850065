"""Certificates and web config files: what is read, what is refused, what happens when they change."""

import ssl
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from exporter.server.tls import WebConfigFile
from exporter.server.web_config import WebConfig
from exporter.strict_yaml import YamlError

HASH = "$2b$04$aWw4MAaprZ.Md4XYrh60NOF63X6J7iN.pFdpo9eS5A8JfobFdRk7e"
TLS = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n"

CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
LEAVES = [CA.issue_cert("localhost", key_type=trustme.KeyType.ECDSA) for _ in range(2)]


def refreshed(file: WebConfigFile) -> WebConfig:
    """Look at the files now, as the thread does every few seconds."""
    file.refresh()
    return file.config


def lay_out(folder: Path, text: str, *, leaf: trustme.LeafCert = LEAVES[0]) -> Path:
    leaf.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    leaf.private_key_pem.write_to_path(folder / "tls.key")
    CA.cert_pem.write_to_path(folder / "client-ca.crt")
    (folder / "web.yml").write_text(text)
    return folder / "web.yml"


def replace(path: Path, content: str | bytes) -> None:
    """Put another file in the place of *path*, as careful tools do."""
    new = path.with_suffix(".new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.rename(path)


def problems(path: Path) -> list[str]:
    with pytest.raises(YamlError) as refusal:
        WebConfigFile(path)
    return list(refusal.value.problems)


def test_a_context_speaks_what_was_asked_for(tmp_path: Path) -> None:
    text = (
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: client-ca.crt, "
        "client_auth_type: RequireAndVerifyClientCert, min_version: TLS12, max_version: TLS12}"
    )
    context = WebConfigFile(lay_out(tmp_path, text)).context

    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.maximum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_all_suites_have_forward_secrecy(tmp_path: Path) -> None:
    """So a choice of suites is not missed."""
    context = WebConfigFile(lay_out(tmp_path, TLS)).context

    assert context is not None
    assert {suite["kea"] for suite in context.get_ciphers()} <= {"kx-ecdhe", "kx-dhe", "kx-any"}


def test_a_pem_file_may_have_comments_in_any_encoding(tmp_path: Path) -> None:
    path = lay_out(tmp_path, TLS)
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_bytes(b"# caf\xe9\n" + (tmp_path / name).read_bytes())

    assert WebConfigFile(path).context is not None


def test_everything_wrong_with_the_files_is_said_at_once(tmp_path: Path) -> None:
    path = lay_out(
        tmp_path,
        "tls_server_config: {cert_file: none.crt, key_file: tls.crt, client_ca_file: web.yml, "
        "client_auth_type: RequireAndVerifyClientCert}",
    )
    assert problems(path) == [
        f"tls_server_config.cert_file: cannot read {tmp_path}/none.crt: No such file or directory",
        "tls_server_config.key_file: expected PEM containing 'PRIVATE KEY-----'",
        "tls_server_config.client_ca_file: expected PEM containing '-----BEGIN CERTIFICATE-----'",
    ]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "tls.key",
            LEAVES[1].private_key_pem.bytes(),
            "tls_server_config: the key does not belong to the certificate",
        ),
        (
            "tls.key",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            (
                "tls_server_config.key_file: the key is encrypted; "
                "use one without a passphrase, in a file only the exporter can read"
            ),
        ),
        (
            "tls.crt",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "tls_server_config: OpenSSL cannot read a certificate or the key",
        ),
    ],
    ids=["foreign-key", "encrypted-key", "broken-certificate"],
)
def test_a_broken_file_is_said_with_its_place(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    path = lay_out(tmp_path, TLS)
    (tmp_path / name).write_bytes(content)

    assert problems(path) == [complaint.format(tmp_path)]


def test_a_file_that_cannot_be_read_is_an_error_that_says_why(tmp_path: Path) -> None:
    path = lay_out(tmp_path, TLS)
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(OSError, match="not UTF-8 text"):
        WebConfigFile(path)


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    file = WebConfigFile(lay_out(tmp_path, TLS))

    assert refreshed(file) is refreshed(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("web.yml", "basic_auth_users: {alice: hunter2}"),
        ("web.yml", ""),
        ("tls.crt", "nonsense"),
        ("tls.key", LEAVES[1].private_key_pem.bytes()),
        ("tls.key", None),
        ("web.yml", None),
    ],
    ids=["bad-config", "tls-switched-off", "bad-certificate", "foreign-key", "no-key", "no-config"],
)
def test_what_breaks_keeps_the_last_good_in_service_and_is_logged_once(
    tmp_path: Path, name: str, content: str | bytes | None
) -> None:
    """A typing error in the middle of the night takes no monitoring down; the fix is noticed."""
    path = lay_out(tmp_path, TLS)
    file = WebConfigFile(path)
    good = file.config
    kept = (tmp_path / name).read_bytes()
    with capture_logs() as lines:
        (tmp_path / name).unlink() if content is None else replace(tmp_path / name, content)
        assert [refreshed(file) is good for _ in range(3)] == [True] * 3
        replace(tmp_path / name, kept)
        assert refreshed(file) is not good
    assert [line["event"] for line in lines] == [
        "failed to reload web config; keeping the previous one",
        "web config reloaded",
    ]
    assert "hunter2" not in str(lines)


def test_a_certificate_named_by_a_config_that_did_not_load_is_watched(tmp_path: Path) -> None:
    """First the config names a file that is not there yet, then the file appears: no further edit is needed."""
    path = lay_out(tmp_path, TLS)
    file = WebConfigFile(path)
    good = file.config
    with capture_logs() as lines:
        replace(path, "tls_server_config: {cert_file: later.crt, key_file: tls.key}")
        assert refreshed(file) is good
        LEAVES[0].cert_chain_pems[0].write_to_path(tmp_path / "later.crt")
        assert refreshed(file) is not good
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_the_password_of_the_example_is_a_warning_of_the_reload_that_brings_it(
    tmp_path: Path,
) -> None:
    """At the start the settings warn of it."""
    example = Path(__file__).parents[3] / "deploy/web-config/basic-auth.yml"
    path = lay_out(tmp_path, "")
    file = WebConfigFile(path)
    with capture_logs() as lines:
        for content in (example.read_bytes(), example.read_bytes() + b"\n", ""):
            replace(path, content)
            file.refresh()
    assert [line["event"] for line in lines] == [
        "web config reloaded",
        "check this setting",
        "web config reloaded",
        "web config reloaded",
    ]
    assert "the password of the example" in lines[1]["detail"]

"""Whose certificates are trusted, and what happens when their files change."""

import ssl

import pytest
import trustme
from structlog.testing import capture_logs

from exporter.cometapi.trust import GivenFile, SystemStore, Trust, build_context, system_store

ROOT = trustme.CA(organization_name="Root", key_type=trustme.KeyType.ECDSA)
PEM = ROOT.cert_pem.bytes().decode()


def authority(name: str) -> str:
    """Return the certificate of an authority called *name*."""
    made = trustme.CA(organization_name=name, key_type=trustme.KeyType.ECDSA)
    return made.cert_pem.bytes().decode()


def trusted_by(context: ssl.SSLContext) -> list[str]:
    return sorted(
        dict(pair[0] for pair in found["subject"])["organizationName"]
        for found in context.get_ca_certs()
    )


def is_accepted(certificate: trustme.LeafCert, context: ssl.SSLContext) -> bool:
    """Shake hands in memory with a server that has *certificate* for gateway.example."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(serving)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="gateway.example")
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


# Anchors


def test_a_certificate_of_a_trusted_authority_is_accepted_and_of_another_is_not():
    context = build_context(PEM)

    assert is_accepted(ROOT.issue_cert("gateway.example"), context)
    assert not is_accepted(ROOT.issue_cert("other.example"), context)
    assert not is_accepted(trustme.CA().issue_cert("gateway.example"), context)


def test_an_intermediate_authority_alone_is_an_anchor():
    intermediate = ROOT.create_child_ca()
    context = build_context(intermediate.cert_pem.bytes().decode())

    assert is_accepted(intermediate.issue_cert("gateway.example"), context)
    assert not is_accepted(ROOT.issue_cert("gateway.example"), context)


def test_the_certificate_of_a_server_itself_is_an_anchor():
    leaf = ROOT.issue_cert("gateway.example")
    context = build_context(leaf.cert_chain_pems[0].bytes().decode())

    assert is_accepted(leaf, context)
    assert not is_accepted(ROOT.issue_cert("gateway.example"), context)


def test_the_form_of_an_authority_is_judged_alike_on_every_python():
    flags = build_context(PEM).verify_flags

    assert flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert not flags & ssl.VERIFY_X509_STRICT


def test_names_are_checked_and_a_certificate_is_required():
    context = build_context(PEM)

    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_without_any_certificate_nothing_is_trusted():
    assert not is_accepted(ROOT.issue_cert("gateway.example"), build_context(""))


# The system's


def test_ssl_cert_file_and_ssl_cert_dir_replace_what_the_system_has(tmp_path):
    (tmp_path / "bundle.pem").write_text(authority("A") + "broken\n" + authority("B"))
    for folder, name in (("one", "C"), ("two", "D")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ca.crt").write_text(authority(name))
    store = system_store(
        {
            "SSL_CERT_FILE": f"{tmp_path}/bundle.pem",
            "SSL_CERT_DIR": f"{tmp_path}/one:{tmp_path}/two:{tmp_path}/none",
        }
    )

    assert trusted_by(build_context(store.read())) == ["A", "B", "C", "D"]


def test_a_folder_needs_no_names_by_hash_and_what_is_no_certificate_is_ignored(tmp_path):
    (tmp_path / "ca.crt").write_text(authority("A"))
    (tmp_path / "deadbeef.0").symlink_to("ca.crt")
    (tmp_path / "README").write_text("no certificate")
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone.pem").symlink_to("/nowhere/ca.pem")

    assert trusted_by(build_context(SystemStore(None, (tmp_path,)).read())) == ["A"]


def test_a_mounted_config_map_is_read(tmp_path):
    """Its files are links through a folder that is replaced as a whole."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "ca.crt").write_text(authority("A"))
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "ca.crt").symlink_to("..data/ca.crt")

    assert trusted_by(build_context(SystemStore(None, (tmp_path,)).read())) == ["A"]


def test_a_certificate_that_openssl_cannot_read_leaves_the_others_trusted():
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    assert trusted_by(build_context(authority("A") + broken + authority("B"))) == ["A", "B"]


def test_a_machine_without_certificates_fails_the_check(tmp_path):
    with pytest.raises(OSError, match="no certificates found"):
        SystemStore(None, (tmp_path,)).check()


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("text", "no certificates in PEM format")]
)
def test_a_bundle_that_cannot_be_used_fails_the_check(tmp_path, content, said):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)

    with pytest.raises(OSError, match=said):
        SystemStore(tmp_path / "ca.pem", ()).check()


# Changes


def a_trust(tmp_path, *, clock=lambda: 0.0) -> Trust:
    (tmp_path / "ca.pem").write_text(authority("Old"))
    return Trust(GivenFile(tmp_path / "ca.pem"), clock=clock)


def test_a_renewed_file_is_read_again(tmp_path):
    trust = a_trust(tmp_path)
    with capture_logs() as lines:
        trust.look()
        (tmp_path / "ca.pem").write_text(authority("New"))
        trust.look()
        trust.look()

    assert trusted_by(trust.context) == ["New"]
    assert [line["event"] for line in lines] == ["trusted certificates read again"]


def test_a_file_that_broke_changes_nothing_and_is_told_once(tmp_path):
    trust = a_trust(tmp_path)
    before = trust.context
    (tmp_path / "ca.pem").write_text("half a certif")
    with capture_logs() as lines:
        trust.look()
        trust.look()

    assert trust.context is before
    assert [(line["log_level"], line["problem"]) for line in lines] == [
        ("warning", "no certificates in PEM format")
    ]


def test_a_file_that_is_missing_at_first_is_trusted_when_it_appears(tmp_path):
    trust = Trust(GivenFile(tmp_path / "ca.pem"), clock=lambda: 0.0)
    assert (trusted_by(trust.context), trust.unread) == ([], "No such file or directory")

    with capture_logs() as lines:
        trust.look()
        (tmp_path / "ca.pem").write_text("half a certif")
        trust.look()
        assert trust.unread == "no certificates in PEM format"
        (tmp_path / "ca.pem").write_text(authority("New"))
        trust.look()

    assert (trusted_by(trust.context), trust.unread) == (["New"], "")
    assert [line["event"] for line in lines] == ["trusted certificates read"]


def test_a_file_in_a_folder_of_the_system_that_changed_is_read_again(tmp_path):
    (tmp_path / "one.crt").write_text(authority("A"))
    trust = Trust(SystemStore(None, (tmp_path,)), clock=lambda: 0.0)
    (tmp_path / "two.crt").write_text(authority("B"))
    trust.look()

    assert trusted_by(trust.context) == ["A", "B"]


def test_the_files_are_looked_at_every_five_seconds_and_nobody_waits(tmp_path):
    now = 0.0
    trust = a_trust(tmp_path, clock=lambda: now)
    (tmp_path / "ca.pem").write_text(authority("New"))
    now = 4.9
    trust.follow()
    assert trust._looking is None

    now = 5.0
    trust.follow()
    assert trust._looking is not None
    trust._looking.result(10)
    assert trusted_by(trust.context) == ["New"]

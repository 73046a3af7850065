"""The web-config dialect: each file of testdata/ is served or refused as its name and its first lines say."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.server.web_config import ClientAuth, Pem, WebConfig, parse_web_config
from exporter.strict_yaml import YamlError

TESTDATA = Path(__file__).with_name("testdata")
HASH = "$2b$04$aWw4MAaprZ.Md4XYrh60NOF63X6J7iN.pFdpo9eS5A8JfobFdRk7e"


def read(name: str) -> WebConfig:
    return parse_web_config((TESTDATA / name).read_text(), folder=Path("/etc/exporter"))


@pytest.mark.parametrize("name", sorted(path.name for path in TESTDATA.glob("*.bad.yml")))
def test_a_bad_file_is_refused_with_every_problem_it_has(name: str) -> None:
    """All problems at once, each with its place, and none that is not there."""
    with pytest.raises(YamlError) as refusal:
        read(name)
    expected = [line[11:] for line in (TESTDATA / name).read_text().splitlines() if line.startswith("# expects: ")]
    assert sorted(refusal.value.problems) == sorted(expected)


@pytest.mark.parametrize("name", sorted(path.name for path in TESTDATA.glob("*.bad.yml")))
def test_no_complaint_repeats_a_value(name: str) -> None:
    """A clear-text password in place of its hash does not travel on into a log."""
    with pytest.raises(YamlError) as refusal:
        read(name)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["empty.good.yml", "empty-sections.good.yml", "blank-header.good.yml"])
def test_a_file_that_asks_for_nothing_changes_nothing(name: str) -> None:
    assert read(name) == WebConfig(tls=None, headers={}, users={})


def test_everything_that_is_supported_is_understood() -> None:
    """Paths are relative to the file, suites are translated from Go's names to OpenSSL's."""
    config = read("everything.good.yml")

    assert config.tls is not None
    assert config.tls.certificate == Pem(path=Path("/etc/exporter/server.pem"))
    assert config.tls.key == Pem(path=Path("/etc/keys/server.key"))
    assert config.tls.client_ca == Pem(path=Path("/etc/exporter/clients.pem"))
    assert config.tls.client_auth is ClientAuth.REQUIRED
    assert (config.tls.min_version, config.tls.max_version) == ((1, 2), (1, 3))
    assert config.tls.cipher_suites == ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305")
    assert config.tls.prefers_own_order is False
    assert dict(config.headers) == {
        "Content-Security-Policy": "default-src 'none'",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "deny",
        "X-XSS-Protection": "1; mode=block",
    }
    assert dict(config.users) == {
        "alice": HASH,
        "bob the scraper": "$2y$10$......................8QPuF36SqwZ1d9QO3taNcRXHOtLxpvS",
    }


def test_a_certificate_may_stand_in_the_file_itself() -> None:
    config = read("inline.good.yml")

    assert config.tls is not None
    assert config.tls.certificate.path is None
    assert config.tls.certificate.text.startswith("-----BEGIN CERTIFICATE-----\nAAAA\n")
    assert config.tls.paths() == ()


def test_the_defaults_are_tls_1_2_and_newer_and_no_client_certificate() -> None:
    config = parse_web_config("tls_server_config: {cert_file: a, key_file: b}", folder=Path("/x"))

    assert config.tls is not None
    assert (config.tls.min_version, config.tls.max_version) == ((1, 2), (1, 3))
    assert config.tls.client_auth is ClientAuth.NONE
    assert config.tls.prefers_own_order is True


def test_neither_hashes_nor_keys_show_when_a_config_is_printed() -> None:
    """A config in a traceback or a log tells no secret."""
    text = f"tls_server_config: {{cert: c, key: THE-KEY}}\nbasic_auth_users: {{alice: {HASH}}}"

    assert "THE-KEY" not in repr(parse_web_config(text, folder=Path("/x")))
    assert HASH not in repr(parse_web_config(text, folder=Path("/x")))


SOME_YAML = st.recursive(
    st.sampled_from(
        ["", "~", "true", "TLS13", "deny", HASH, '"\\ud800"', '"\\x00"', "*a", "&a b", "!!int x", "{", "0x"]
    )
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(
            st.sampled_from(
                ["tls_server_config", "cert_file", "cert", "key", "headers", "basic_auth_users", "<<", "? []"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        ).map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}")
    ),
    max_leaves=12,
)


@given(st.text() | SOME_YAML)
@settings(deadline=None)
@example("[" * 1200)
@example("&a [*a]")
@example("&a {b: *a}")
@example('"\\UFFFFFFFF"')
@example("%YAML 1." + "9" * 5000 + "\n--- a")
@example("? {a: b}\n: c")
@example("a: !!timestamp 2001-99-99")
@example("basic_auth_users: {'\\ud800': x}")
@example("--- a\n--- b")
@example("\x00")
def test_any_text_is_a_web_config_or_a_web_config_error(text: str) -> None:
    """Nothing else escapes, whatever a file holds."""
    with contextlib.suppress(YamlError):
        assert isinstance(parse_web_config(text, folder=Path("/x")), WebConfig)

"""The web config format: each file of testdata/ is served or refused as its name and its first lines say."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.server.web_config import TlsSettings, WebConfig, parse_web_config
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
    expected = [
        line[11:]
        for line in (TESTDATA / name).read_text().splitlines()
        if line.startswith("# expects: ")
    ]
    assert sorted(refusal.value.problems) == sorted(expected)


@pytest.mark.parametrize("name", sorted(path.name for path in TESTDATA.glob("*.bad.yml")))
def test_no_complaint_repeats_a_value(name: str) -> None:
    """A clear-text password in place of its hash does not travel on into a log."""
    with pytest.raises(YamlError) as refusal:
        read(name)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["empty.good.yml", "empty-sections.good.yml", "blank-header.good.yml"]
)
def test_a_file_that_asks_for_nothing_changes_nothing(name: str) -> None:
    assert read(name) == WebConfig(tls=None, headers={}, users={})


def test_everything_that_is_supported_is_understood() -> None:
    """Paths are relative to the file."""
    config = read("everything.good.yml")

    assert config.tls is not None
    assert config.tls == TlsSettings(
        cert_file=Path("/etc/exporter/server.pem"),
        key_file=Path("/etc/keys/server.key"),
        client_ca_file=Path("/etc/exporter/clients.pem"),
        client_auth="CERT_REQUIRED",
        min_version="TLSv1_2",
        max_version="TLSv1_3",
    )
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


def test_the_defaults_are_tls_1_2_and_newer_and_no_client_certificate() -> None:
    config = parse_web_config("tls_server_config: {cert_file: a, key_file: b}", folder=Path("/x"))

    assert config.tls is not None
    assert (config.tls.min_version, config.tls.max_version) == ("TLSv1_2", "TLSv1_3")
    assert config.tls.client_auth == "CERT_NONE"


def test_no_hash_shows_when_a_config_is_printed() -> None:
    """A config in a traceback or a log reveals no secret."""
    assert HASH not in repr(
        parse_web_config(f"basic_auth_users: {{alice: {HASH}}}", folder=Path("/x"))
    )


YAML_BITS = st.sampled_from(
    ["{", "}", "[", "]", ", ", ": ", "\n", "  ", "? ", "<<", "*a", "&a ", "!!int "]
)
WORDS = st.sampled_from(
    ["tls_server_config", "cert_file", "headers", "basic_auth_users", "~", HASH, '"\\ud800"']
)


@given(st.text() | st.lists(YAML_BITS | WORDS, max_size=20).map("".join))
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

"""Read a web config in the dialect of Prometheus's exporter-toolkit; docs/web-config.md says what of it.

Pure: text in, a WebConfig or a YamlError with every problem out. May not know: files, certificates, sockets.
Messages quote no value that could be a secret: a password pasted where its hash belongs stays unsaid.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from exporter.strict_yaml import Section, YamlError, is_null, load_yaml

Version = tuple[int, int]

FLAGS = MappingProxyType({"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False})
VERSIONS = MappingProxyType({"TLS12": (1, 2), "TLS13": (1, 3)})
OLD_VERSIONS = MappingProxyType(dict.fromkeys(("TLS10", "TLS11"), "not offered: it is broken; write TLS12 or TLS13"))


class ClientAuth(enum.Enum):
    """Whether clients show a certificate, in Go's words."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


CLIENT_AUTH = MappingProxyType({member.value: member for member in ClientAuth})
UNVERIFIED = MappingProxyType(
    {
        name: f"not offered: Python takes no certificate unverified; write {mend}"
        for name, mend in (
            ("RequestClientCert", "VerifyClientCertIfGiven"),
            ("RequireAnyClientCert", "RequireAndVerifyClientCert"),
        )
    }
)
TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
# Go's name to OpenSSL's: the suites that Go calls secure. Source: https://pkg.go.dev/crypto/tls#CipherSuites
TLS12_SUITES = MappingProxyType(
    {
        f"TLS_ECDHE_{kind}_WITH_{suite}": f"ECDHE-{kind}-{name}"
        for kind in ("ECDSA", "RSA")
        for suite, name in (
            ("AES_128_CBC_SHA", "AES128-SHA"),
            ("AES_256_CBC_SHA", "AES256-SHA"),
            ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
            ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
            ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        )
    }
)
HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Content-Security-Policy": (),
        "Strict-Transport-Security": (),
        "X-Content-Type-Options": ("nosniff",),
        "X-Frame-Options": ("deny", "sameorigin"),
        "X-XSS-Protection": (),
    }
)
TOP_KEYS = ("tls_server_config", "http_server_config", "basic_auth_users")
PEM_KEYS = ("cert", "key", "client_ca")
TLS_KEYS = frozenset(
    (*PEM_KEYS, *(f"{key}_file" for key in PEM_KEYS), "client_auth_type", "min_version", "max_version")
).union(("cipher_suites", "prefer_server_cipher_suites"))
REFUSED = MappingProxyType(
    {"rate_limit": "not supported: leave it out; a scrape costs little here and logins are paced by themselves"}
)
TLS_REFUSED = MappingProxyType(
    {
        "curve_preferences": "not supported: leave it out; OpenSSL chooses the curve",
        "client_allowed_sans": "not supported: use a client CA that signs only your scrapers",
    }
)
# Cost 4 to 16: more would keep one processor busy for seconds at each login.
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pem:
    """A certificate or key: the file that holds it, or (then *path* is None) its own text."""

    path: Path | None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How to speak TLS; *cipher_suites* are OpenSSL's names for TLS 1.2, empty for OpenSSL's own choice."""

    certificate: Pem
    key: Pem
    client_ca: Pem | None
    client_auth: ClientAuth
    min_version: Version
    max_version: Version
    cipher_suites: tuple[str, ...]
    prefers_own_order: bool

    def paths(self) -> tuple[Path, ...]:
        """List the files that the settings name."""
        pems = (self.certificate, self.key, self.client_ca)
        return tuple(pem.path for pem in pems if pem is not None and pem.path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """What a web config asks for; *users* maps a name to a bcrypt hash, and none of them means no login."""

    tls: TlsSettings | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_web_config(text: str, *, folder: Path) -> WebConfig:
    """Read *text*; paths in it are relative to *folder*. Raises YamlError."""
    problems: list[str] = []
    top = Section.of(load_yaml(text), "", problems).only(TOP_KEYS, REFUSED)
    config = WebConfig(tls=_tls(top, folder), headers=_headers(top), users=_users(top))
    if problems:
        raise YamlError(problems)
    return config


def _tls(top: Section, folder: Path) -> TlsSettings | None:
    section = top.section("tls_server_config").only(TLS_KEYS, TLS_REFUSED)
    if not section.values:
        return None
    certificate, key, client_ca = (_pem(section, name, folder) for name in PEM_KEYS)
    for name, pem in (("cert_file", certificate), ("key_file", key)):
        if pem is None:
            section.complain(name, "missing: TLS needs a certificate and its key")
    settings = TlsSettings(
        certificate=certificate or Pem(path=None),
        key=key or Pem(path=None),
        client_ca=client_ca,
        client_auth=section.choice("client_auth_type", CLIENT_AUTH, ClientAuth.NONE, UNVERIFIED),
        min_version=section.choice("min_version", VERSIONS, VERSIONS["TLS12"], OLD_VERSIONS),
        max_version=section.choice("max_version", VERSIONS, VERSIONS["TLS13"], OLD_VERSIONS),
        cipher_suites=_cipher_suites(section),
        prefers_own_order=section.choice("prefer_server_cipher_suites", FLAGS, default=True),
    )
    _check_together(section, settings)
    return settings


def _check_together(section: Section, settings: TlsSettings) -> None:
    if settings.min_version > settings.max_version:
        section.complain("max_version", "is below min_version")
    if settings.client_ca is not None and settings.client_auth is ClientAuth.NONE:
        section.complain("client_auth_type", "a client CA without it asks nobody; write RequireAndVerifyClientCert")
    if settings.client_ca is None and settings.client_auth is not ClientAuth.NONE:
        section.complain("client_ca_file", "missing: client certificates are verified against it")


def _pem(section: Section, key: str, folder: Path) -> Pem | None:
    text, path = section.text(key), section.text(f"{key}_file")
    if text and path:
        section.complain(key, f"given twice: write either {key} or {key}_file")
    if path:
        return Pem(path=folder / path)
    return Pem(path=None, text=text) if text else None


def _cipher_suites(section: Section) -> tuple[str, ...]:
    names = section.values.get("cipher_suites")
    if is_null(names):
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        section.complain("cipher_suites", "expected a list of names")
        return ()
    if not set(names) <= TLS13_SUITES | TLS12_SUITES.keys():
        section.complain(
            "cipher_suites", f"expected names among {', '.join(TLS12_SUITES)} (those of TLS 1.3 are always on)"
        )
    if names and not set(names) & TLS12_SUITES.keys() and section.text("min_version") != "TLS13":
        section.complain("cipher_suites", "names no suite of TLS 1.2; write min_version: TLS13 too")
    return tuple(TLS12_SUITES[name] for name in names if name in TLS12_SUITES)


def _headers(top: Section) -> Mapping[str, str]:
    http = top.section("http_server_config").only(("http2", "headers"))
    http.choice("http2", FLAGS, default=False)  # without effect: HTTP/1.1 is spoken, which every client can
    section = http.section("headers").only(HEADERS)
    headers = {name: value for name in HEADERS if (value := section.text(name))}
    for name, value in headers.items():
        if HEADERS[name] and value not in HEADERS[name]:
            section.complain(name, f"expected {' or '.join(HEADERS[name])}")
        elif not value.isascii() or not value.isprintable():
            section.complain(name, "expected one line of ASCII text")
    return MappingProxyType(headers)


def _users(top: Section) -> Mapping[str, str]:
    section = top.section("basic_auth_users")
    for name in section.values:
        if not name or ":" in name or not name.isprintable():
            section.complain(name, "expected a user name without colon and control characters")
        if not BCRYPT.fullmatch(section.text(name)):
            section.complain(
                name, "expected a bcrypt hash of cost 4 to 16, as `htpasswd -nB NAME` prints behind the colon"
            )
    return MappingProxyType({name: section.text(name) for name in section.values})

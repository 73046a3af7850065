"""Parse a web config in the format of the Prometheus exporter-toolkit.

docs/web-config.md says which parts of the format are supported.

Pure: text in, a WebConfig or a YamlError with every problem out. Knows no files, certificates or
sockets. Messages quote no value that could be a secret: a password pasted where its hash belongs
stays unsaid.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from exporter.strict_yaml import Section, YamlError, load_yaml

# Go's words to the names of Python's ssl module.
VERSIONS = MappingProxyType({"TLS12": "TLSv1_2", "TLS13": "TLSv1_3"})
OLD_VERSIONS = MappingProxyType(
    dict.fromkeys(("TLS10", "TLS11"), "not supported (insecure): use TLS12 or TLS13")
)
CLIENT_AUTH = MappingProxyType(
    {
        "NoClientCert": "CERT_NONE",
        "VerifyClientCertIfGiven": "CERT_OPTIONAL",
        "RequireAndVerifyClientCert": "CERT_REQUIRED",
    }
)
ALWAYS_VERIFIED = "not supported: a certificate is always verified"
UNVERIFIED = MappingProxyType(
    {
        "RequestClientCert": f"{ALWAYS_VERIFIED}; write VerifyClientCertIfGiven",
        "RequireAnyClientCert": f"{ALWAYS_VERIFIED}; write RequireAndVerifyClientCert",
    }
)
HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"X-Content-Type-Options": ("nosniff",), "X-Frame-Options": ("deny", "sameorigin")}
    | dict.fromkeys(
        ("Content-Security-Policy", "Strict-Transport-Security", "X-XSS-Protection"), ()
    )
)
TOP_KEYS = ("tls_server_config", "http_server_config", "basic_auth_users")
TLS_KEYS = (
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "min_version",
    "max_version",
)
RATE_LIMIT = "not supported: leave it out; clients are limited in any case"
OPENSSLS_CHOICE = (
    "not supported: leave it out; OpenSSL chooses, and everything it offers has forward secrecy"
)
TLS_REFUSED = MappingProxyType(
    {key: f"not supported: write {key}_file" for key in ("cert", "key", "client_ca")}
    | dict.fromkeys(
        ("cipher_suites", "prefer_server_cipher_suites", "curve_preferences"), OPENSSLS_CHOICE
    )
    | {"client_allowed_sans": "not supported: use a client CA that signs only your scrapers"}
)
# In deploy/web-config/basic-auth.yml, together with its password.
EXAMPLE_HASH = "$2b$10$DP5KNq6hPGQDuGH09dEHb.Evv97soRy1D.Ic1CkgxVxTbSDk5uVsG"
REPLACE_EXAMPLE = (
    "a user has the password of the example, which everybody can read: replace its hash by "
    "what `htpasswd -nBC 10 NAME` prints after the colon"
)
# Cost 4 to 16: more would keep one processor busy for seconds at each login.
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How to speak TLS, in the names of Python's ssl module."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None
    client_auth: str
    min_version: str
    max_version: str

    def paths(self) -> tuple[Path, ...]:
        """List the files that the settings name."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """A parsed web config; *users* maps names to bcrypt hashes, none means no login."""

    tls: TlsSettings | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def has_example_password(self) -> bool:
        """Whether a user has the password of the bundled example, which everybody can read."""
        return EXAMPLE_HASH in self.users.values()


def parse_web_config(text: str, *, folder: Path) -> WebConfig:
    """Read *text*; paths in it are relative to *folder*. Raises YamlError."""
    top = Section(load_yaml(text), "", []).only(TOP_KEYS, {"rate_limit": RATE_LIMIT})
    config = WebConfig(tls=_tls(top, folder), headers=_headers(top), users=_users(top))
    if top.problems:
        raise YamlError([str(problem) for problem in top.problems])
    return config


def _tls(top: Section, folder: Path) -> TlsSettings | None:
    section = top.section("tls_server_config").only(TLS_KEYS, TLS_REFUSED)
    if not section.values:
        return None
    cert, key, client_ca = (section.text(name) for name in TLS_KEYS[:3])
    for name, path in (("cert_file", cert), ("key_file", key)):
        if not path:
            section.complain(name, "missing: TLS needs a certificate and its key")
    settings = TlsSettings(
        cert_file=folder / cert,
        key_file=folder / key,
        client_ca_file=folder / client_ca if client_ca else None,
        client_auth=section.choice("client_auth_type", CLIENT_AUTH, "CERT_NONE", UNVERIFIED),
        min_version=section.choice("min_version", VERSIONS, VERSIONS["TLS12"], OLD_VERSIONS),
        max_version=section.choice("max_version", VERSIONS, VERSIONS["TLS13"], OLD_VERSIONS),
    )
    if settings.min_version > settings.max_version:
        section.complain("max_version", "is below min_version")
    if client_ca and settings.client_auth == "CERT_NONE":
        section.complain(
            "client_auth_type", "missing: without it, no client certificate is required"
        )
    if not client_ca and settings.client_auth != "CERT_NONE":
        section.complain("client_ca_file", "missing: client certificates are verified against it")
    return settings


def _headers(top: Section) -> Mapping[str, str]:
    http = top.section("http_server_config").only(("http2", "headers"))  # http2 has no effect
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
                name,
                "expected a bcrypt hash of cost 4 to 16, "
                "as `htpasswd -nB NAME` prints after the colon",
            )
    return MappingProxyType({name: section.text(name) for name in section.values})

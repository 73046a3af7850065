"""Follow a web config: build its TLS context, reload changed files, keep the last valid version.

Talks to: the web config file and the certificates that it names. Knows no sockets, no HTTP.
"""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import structlog

from exporter.files import Identity, identity, read_pem, read_text, shown_path
from exporter.server.web_config import REPLACE_EXAMPLE, TlsSettings, WebConfig, parse_web_config
from exporter.strict_yaml import YamlError

CERTIFICATE, KEY = "-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----"
PLACE = "tls_server_config"

log = structlog.get_logger(__name__)


def build_context(tls: TlsSettings, folder: Path) -> ssl.SSLContext:
    """Make a server's TLS context; raises YamlError with every problem of the files.

    Relative paths start from *folder*.
    """
    problems = [
        *_problems(tls.cert_file, folder, "cert_file", CERTIFICATE),
        *_problems(tls.key_file, folder, "key_file", KEY),
    ]
    if tls.client_ca_file is not None:
        problems += _problems(tls.client_ca_file, folder, "client_ca_file", CERTIFICATE)
    if problems:
        raise YamlError(problems)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion[tls.min_version]
    context.maximum_version = ssl.TLSVersion[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # With an empty password, OpenSSL never asks for one at the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        if tls.client_ca_file is not None:
            context.load_verify_locations(tls.client_ca_file)
            # As for the exporters in Go, any certificate of the file is an anchor: without this,
            # OpenSSL takes an intermediate authority only together with its root.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    except (OSError, ValueError) as exc:
        raise YamlError([f"{PLACE}: {_openssl_reason(exc)}"]) from exc
    context.verify_mode = ssl.VerifyMode[tls.client_auth]
    return context


def _problems(path: Path, folder: Path, key: str, mark: str) -> Iterator[str]:
    try:
        text = read_pem(path)
    except OSError as exc:
        shown = shown_path(path, os.path.relpath(path, folder))
        yield f"{PLACE}.{key}: cannot read {shown}: {exc.strerror}"
        return
    if mark not in text:
        yield f"{PLACE}.{key}: expected PEM containing {mark!r}"
    elif "ENCRYPTED" in text and key == "key_file":
        yield (
            f"{PLACE}.{key}: the key is encrypted; use one without a passphrase, "
            "in a file only the exporter can read"
        )


def _openssl_reason(error: Exception) -> str:
    reason = getattr(error, "reason", "")
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"}:
        return (
            "the certificate is too weak for OpenSSL; "
            "create one with a larger key and a newer digest"
        )
    return "OpenSSL cannot read a certificate or the key"


class WebConfigFile:
    """A web config file: *config* and *context* follow the file and its certificates.

    *context* is None for plain HTTP; TLS is switched on and off only by a restart. A reload that
    fails is logged once and changes nothing. The constructor raises YamlError if the file is
    invalid, and OSError if it cannot be read. Its maker warns of the example's
    password; a reload warns of it where the file before had none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._watched: dict[Path, Identity] = {path: None}
        self.config, self.context = self._load()

    def refresh(self) -> None:
        """Re-read the files if they changed; blocks while a mount hangs."""
        if all(identity(path) == seen for path, seen in self._watched.items()):
            return
        had_example_password = self.config.has_example_password
        try:
            self.config, self.context = self._load(with_tls=self.context is not None)
        except (OSError, YamlError) as exc:
            message = "failed to reload web config; keeping the previous one"
            log.warning(message, file=str(self._path), problems=str(exc))
        else:
            log.info("web config reloaded", file=str(self._path))
            if self.config.has_example_password and not had_example_password:
                log.warning("check this setting", setting=str(self._path), detail=REPLACE_EXAMPLE)

    def _load(self, *, with_tls: bool | None = None) -> tuple[WebConfig, ssl.SSLContext | None]:
        # Before reading, so that a change in between is noticed by the next refresh.
        self._watched = {path: identity(path) for path in self._watched}
        folder = self._path.parent
        config = parse_web_config(read_text(self._path), folder=folder)
        pems = config.tls.paths() if config.tls else ()
        self._watched = {self._path: self._watched[self._path]} | {
            path: identity(path) for path in pems
        }
        if with_tls not in {None, config.tls is not None}:
            raise YamlError([f"{PLACE}: TLS is switched on and off by a restart only"])
        return config, build_context(config.tls, folder) if config.tls else None

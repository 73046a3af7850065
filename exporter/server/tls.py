"""Keep a web config in service: build its TLS context, follow its files as they change, survive broken ones.

Talks to: the web config file and the certificates that it names. May not know: sockets, HTTP.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from exporter.files import read_file
from exporter.server.web_config import TlsSettings, WebConfig, parse_web_config
from exporter.strict_yaml import YamlError

LARGEST_FILE_BYTES = 1024 * 1024
CERTIFICATE, KEY = "-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----"
PLACE = "tls_server_config"

log = structlog.get_logger(__name__)

Signature = tuple[tuple[int, ...] | None, ...]


def build_context(tls: TlsSettings) -> ssl.SSLContext:
    """Make a server's TLS context. Raises YamlError with everything that is wrong with the files."""
    problems = [*_problems(tls.cert_file, "cert_file", CERTIFICATE), *_problems(tls.key_file, "key_file", KEY)]
    if tls.client_ca_file is not None:
        problems += _problems(tls.client_ca_file, "client_ca_file", CERTIFICATE)
    if problems:
        raise YamlError(problems)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion[tls.min_version]
    context.maximum_version = ssl.TLSVersion[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")  # "": OpenSSL never asks the terminal
    except (OSError, ValueError) as exc:
        raise YamlError([f"{PLACE}: {_openssl_reason(exc)}"]) from exc
    try:
        if tls.client_ca_file is not None:
            context.load_verify_locations(tls.client_ca_file)
    except (OSError, ValueError) as exc:
        raise YamlError([f"{PLACE}.client_ca_file: no certificate authority can be read from it"]) from exc
    context.verify_mode = ssl.VerifyMode[tls.client_auth]
    return context


def _problems(path: Path, key: str, mark: str) -> Iterator[str]:
    try:
        text = _read(path)
    except (OSError, ValueError) as exc:
        yield f"{PLACE}.{key}: cannot read {path}: {_reason(exc)}"
        return
    if mark not in text:
        yield f"{PLACE}.{key}: expected PEM with a line that holds {mark!r}"
    elif "ENCRYPTED" in text and key == "key_file":
        yield f"{PLACE}.{key}: the key is encrypted; use one without a passphrase, in a file only the exporter can read"


def _read(path: Path) -> str:
    content = read_file(path, LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise ValueError(f"it is larger than {LARGEST_FILE_BYTES} bytes")
    return content.decode("utf-8-sig")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror or "it is not readable") if isinstance(error, OSError) else str(error)


def _openssl_reason(error: Exception) -> str:
    known = dict.fromkeys(
        ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"),
        "the certificate is too weak for OpenSSL; create one with a larger key and a newer digest",
    ) | {"KEY_VALUES_MISMATCH": "the key does not belong to the certificate"}
    return known.get(getattr(error, "reason", ""), "OpenSSL cannot read the certificate or its key")


@dataclass(frozen=True, slots=True, kw_only=True)
class InService:
    """A web config that works; *context* is None for plain HTTP."""

    config: WebConfig
    context: ssl.SSLContext | None


class WebConfigFile:
    """A web config file that stays in service: *current* follows the file and its certificates as they change.

    What breaks is logged once and changes nothing. Raises YamlError if the file cannot be served at first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._watched: tuple[Path, ...] = (path,)
        self._seen: Signature = ()
        self.current = self._load()

    @property
    def has_tls(self) -> bool:
        """Whether connections are TLS; that never changes while the program runs."""
        return self.current.context is not None

    def refresh(self) -> None:
        """Re-read the files if they changed; blocks while a mount hangs."""
        if self._signature() == self._seen:
            return
        try:
            loaded = self._load()
            if (loaded.context is not None) != self.has_tls:
                raise YamlError([f"{PLACE}: TLS is switched on and off by a restart only"])  # noqa: TRY301 - told as the others
        except YamlError as exc:
            message = "failed to reload web config; keeping the previous one"
            log.warning(message, file=str(self._path), problems=str(exc))
        else:
            self.current = loaded
            log.info("web config reloaded", file=str(self._path))

    def _load(self) -> InService:
        self._seen = self._signature()  # taken before reading, so that no change in between is missed
        try:
            config = parse_web_config(_read(self._path), folder=self._path.parent)
        except (OSError, ValueError) as exc:
            raise YamlError([f"cannot read {self._path}: {_reason(exc)}"]) from exc
        self._watched = (self._path, *(config.tls.paths() if config.tls else ()))
        self._seen = (self._seen[0], *self._signature()[1:])
        return InService(config=config, context=build_context(config.tls) if config.tls else None)

    def _signature(self) -> Signature:
        return tuple(_identity(path) for path in self._watched)


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino

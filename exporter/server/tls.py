"""Keep a web config in service: build its TLS context, follow its files as they change, survive broken ones.

Talks to: the web config file and the certificates that it names. May not know: sockets, HTTP.
"""

import contextlib
import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import structlog

from exporter.files import read_file
from exporter.server.web_config import ClientAuth, Pem, TlsSettings, WebConfig, parse_web_config
from exporter.strict_yaml import YamlError

LARGEST_FILE_BYTES = 1024 * 1024
RELOAD_SECONDS = 5.0
PLACE = "tls_server_config"
VERSIONS = MappingProxyType({(1, 2): ssl.TLSVersion.TLSv1_2, (1, 3): ssl.TLSVersion.TLSv1_3})
VERIFY_MODES = MappingProxyType(
    {
        ClientAuth.NONE: ssl.CERT_NONE,
        ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
        ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
    }
)

log = structlog.get_logger(__name__)

Signature = tuple[tuple[int, ...] | None, ...]


def build_context(tls: TlsSettings) -> ssl.SSLContext:
    """Make a server's TLS context. Raises YamlError with everything that is wrong with the files."""
    problems = [
        *_pem_problems(tls.certificate, "cert", "-----BEGIN CERTIFICATE-----"),
        *_pem_problems(tls.key, "key", "PRIVATE KEY-----"),
        *(_pem_problems(tls.client_ca, "client_ca", "-----BEGIN CERTIFICATE-----") if tls.client_ca else ()),
    ]
    if problems:
        raise YamlError(problems)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = VERSIONS[tls.min_version], VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not tls.prefers_own_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    if tls.cipher_suites:
        context.set_ciphers(":".join(tls.cipher_suites))
    _load_pems(context, tls)
    context.verify_mode = VERIFY_MODES[tls.client_auth]
    return context


def _pem_problems(pem: Pem, key: str, mark: str) -> Iterator[str]:
    place = f"{PLACE}.{key}" if pem.path is None else f"{PLACE}.{key}_file"
    try:
        text = pem.text if pem.path is None else _read(pem.path)
    except (OSError, ValueError) as exc:
        yield f"{place}: cannot read {pem.path}: {_reason(exc)}"
        return
    if mark not in text:
        yield f"{place}: expected PEM with a line that holds {mark!r}"
    elif "ENCRYPTED" in text and key == "key":
        yield f"{place}: the key is encrypted; give one without a passphrase, in a file that only the exporter may read"


def _read(path: Path) -> str:
    content = read_file(path, LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise ValueError(f"it is larger than {LARGEST_FILE_BYTES} bytes")
    return content.decode("utf-8-sig")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror or "it is not readable") if isinstance(error, OSError) else str(error)


def _load_pems(context: ssl.SSLContext, tls: TlsSettings) -> None:
    with contextlib.ExitStack() as files:
        try:
            certificate, key = (files.enter_context(_as_file(pem)) for pem in (tls.certificate, tls.key))
            context.load_cert_chain(certificate, key, password="")  # "" so that OpenSSL never asks the terminal
        except (OSError, ValueError) as exc:
            raise YamlError([f"{PLACE}: {_openssl_reason(exc)}"]) from exc
        try:
            if tls.client_ca is not None:
                context.load_verify_locations(files.enter_context(_as_file(tls.client_ca)))
        except (OSError, ValueError) as exc:
            raise YamlError([f"{PLACE}.client_ca_file: no certificate authority can be read from it"]) from exc


def _openssl_reason(error: Exception) -> str:
    match getattr(error, "reason", None):
        case "KEY_VALUES_MISMATCH":
            return "the key does not belong to the certificate"
        case "EE_KEY_TOO_SMALL" | "CA_MD_TOO_WEAK" | "CA_KEY_TOO_SMALL":
            return "the certificate is too weak for OpenSSL; make one with a larger key and a newer digest"
        case _:
            return "OpenSSL cannot read the certificate or its key"


@contextlib.contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """Name a file that holds *pem*; for inline text one in memory, as OpenSSL reads nothing but files."""
    if pem.path is not None:
        yield str(pem.path)
        return
    with contextlib.ExitStack() as opened:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("pem")
            name = f"/proc/self/fd/{descriptor}"
        else:
            descriptor, name = tempfile.mkstemp()
            opened.callback(os.unlink, name)
        with os.fdopen(descriptor, "w") as file:
            file.write(pem.text)
            file.flush()
            yield name


@dataclass(frozen=True, slots=True, kw_only=True)
class InService:
    """A web config that works; *context* is None for plain HTTP."""

    config: WebConfig
    context: ssl.SSLContext | None


class WebConfigFile:
    """A web config file that stays in service: *current* follows the file and its certificates as they change.

    What breaks is logged once and changes nothing. Raises YamlError if the file cannot be served at first.
    """

    def __init__(self, path: Path, *, reload_seconds: float = RELOAD_SECONDS) -> None:
        self._path = path
        self._reload_seconds = reload_seconds
        self._watched: tuple[Path, ...] = (path,)
        self._seen: Signature = ()
        self.current = self._load()

    @property
    def has_tls(self) -> bool:
        """Whether connections are TLS; that never changes while the program runs."""
        return self.current.context is not None

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Look at the files every few seconds, in a thread that nothing waits for: a mount may hang."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(self._reload_seconds):
                self.refresh()

        threading.Thread(target=follow, name="web config", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def refresh(self) -> None:
        """Re-read the files if they changed."""
        signature = tuple(_identity(path) for path in self._watched)
        if signature != self._seen:
            self._seen = signature
            self._reload()

    def _reload(self) -> None:
        try:
            self.current = self._load_alike()
        except YamlError as exc:
            log.warning(
                "failed to reload web config; keeping the previous one",
                file=str(self._path),
                problems="; ".join(exc.problems),
            )
        else:
            log.info("web config reloaded", file=str(self._path))

    def _load_alike(self) -> InService:
        loaded = self._load()
        if (loaded.context is not None) != self.has_tls:
            raise YamlError([f"{PLACE}: TLS is switched on and off by a restart only"])
        return loaded

    def _load(self) -> InService:
        identity = _identity(self._path)  # taken before reading, so that no change in between is missed
        try:
            text = _read(self._path)
        except (OSError, ValueError) as exc:
            raise YamlError([f"cannot read {self._path}: {_reason(exc)}"]) from exc
        config = parse_web_config(text, folder=self._path.parent)
        pems = config.tls.paths() if config.tls else ()
        self._watched, self._seen = (self._path, *pems), (identity, *(_identity(path) for path in pems))
        return InService(config=config, context=build_context(config.tls) if config.tls else None)


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino

"""Trust certificates: those of one file, or those of the machine; follow both as they change.

Talks to: the file system, in threads of its own, since a mount may hang. Knows no sockets, no
proxies and no accounts. Every certificate that is found is an anchor, as for Go and curl: an
intermediate authority alone is enough, and so is the certificate of a server itself.
"""

import contextlib
import errno
import functools
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from exporter.files import Identity, describe_failure, identity, read_certificates, read_pem
from exporter.workers import NoThread, Threads

if TYPE_CHECKING:
    from concurrent.futures import Future

# Where Linux distributions keep all authorities in one file. The first that exists counts, as for
# Go: https://go.dev/src/crypto/x509/root_linux.go
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
# As often as the web config's files are looked at.
LOOK_SECONDS = 5.0
# A file on a mount that hangs occupies one; the other looks at the files of other accounts.
_LOOKING = Threads(2, "certificates")

_CERTIFICATE = re.compile(
    "-----BEGIN (?:X509 )?CERTIFICATE-----.+?-----END (?:X509 )?CERTIFICATE-----", re.DOTALL
)

log = structlog.get_logger(__name__)

Contents = tuple[tuple[str, Identity], ...]
"""Files, and what changes when they do."""


class Anchors(Protocol):
    """Where trusted certificates are."""

    def contents(self) -> Contents:
        """Return the files as they are now."""

    def read(self) -> str:
        """Return the certificates in PEM, "" for none; raises OSError where they cannot be read."""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """The certificates of one file, and no others.

    *shown* is how messages name the file, "" for its path.
    """

    path: Path
    shown: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.shown or str(self.path)

    def contents(self) -> Contents:
        """Return the file as it is now."""
        return ((str(self.path), identity(self.path)),)

    def read(self) -> str:
        """Return what the file has; raises OSError, also for a file without certificates."""
        return read_certificates(self.path)


@dataclass(frozen=True, slots=True)
class SystemStore:
    """The certificates of the machine.

    Those of *bundle*, None for no such file, and of *folders*.
    """

    bundle: Path | None
    folders: tuple[Path, ...]

    def __str__(self) -> str:
        return "the system's certificates"

    def contents(self) -> Contents:
        """Return the files as they are now."""
        return tuple((str(path), identity(path)) for path in self._files())

    def read(self) -> str:
        """Return all certificates that can be read, each once."""
        found: dict[str, None] = {}
        for path in self._files():
            with contextlib.suppress(OSError):
                found |= dict.fromkeys(_CERTIFICATE.findall(read_pem(path)))
        return "\n".join(found)

    def check(self) -> None:
        """Raise OSError where the bundle cannot be read, or where there are no certificates."""
        if self.bundle is not None:
            if not _CERTIFICATE.search(read_pem(self.bundle)):
                raise OSError(errno.EINVAL, "no certificates in PEM format", str(self.bundle))
        elif not self.read():
            folders = ", ".join(str(folder) for folder in self.folders)
            raise OSError(errno.ENOENT, "no certificates found", folders)

    def _files(self) -> list[Path]:
        files = [] if self.bundle is None else [self.bundle]
        for folder in self.folders:
            with contextlib.suppress(OSError):
                names = [entry.name for entry in os.scandir(folder) if not _is_second_name(entry)]
                files += [folder / name for name in sorted(names)]
        return files


def _is_second_name(entry: os.DirEntry[str]) -> bool:
    """Whether this is a link to a file beside it, as the names by hash are that OpenSSL reads."""
    return entry.is_symlink() and len(Path(entry.path).readlink().parts) == 1


def system_store(environ: Mapping[str, str]) -> SystemStore:
    """Return where this machine keeps its certificates.

    SSL_CERT_FILE replaces the bundle, and SSL_CERT_DIR, folders separated by colons, the folders.
    """
    default = ssl.get_default_verify_paths()
    bundle = _first_file((*BUNDLES, default.openssl_cafile))
    if environ.get("SSL_CERT_FILE"):
        bundle = Path(environ["SSL_CERT_FILE"])
    folders: tuple[str, ...] = (*FOLDERS, default.openssl_capath)
    if environ.get("SSL_CERT_DIR"):
        folders = tuple(environ["SSL_CERT_DIR"].split(":"))
    # Some of the names are links to the same folder.
    unique = dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders if folder)
    return SystemStore(bundle, tuple(unique))


def _first_file(names: tuple[str, ...]) -> Path | None:
    for name in names:
        path = Path(name)
        if path.is_file():
            return path
    return None


def build_context(pem: str) -> ssl.SSLContext:
    """Make a context for clients that trusts the certificates in *pem*, none if it has none.

    It verifies names, dates and signatures in the same way on every Python version.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Python sets this from 3.13 on. Without it OpenSSL takes only self-signed certificates as
    # anchors.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Python sets this from 3.13 on in its default context. It rejects authorities that old tools
    # made for companies, without a key identifier or with constraints that are not critical, which
    # Go, curl and Python 3.12 accept. What it adds is form, not safety: signatures, dates and names
    # are verified without it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for certificate in _CERTIFICATE.findall(pem):
        # A certificate of the system's that OpenSSL cannot read leaves the others trusted.
        with contextlib.suppress(ssl.SSLError):
            context.load_verify_locations(cadata=certificate)
    return context


class Trust:
    """The TLS context that trusts *anchors* as they were at the last look.

    Anchors that cannot be read at first are tried again at every look; until then *context* trusts
    nothing and *unread* says why, "" afterwards. Mutable are these two, the contents that the
    context was made from, and what the last look found wrong.
    """

    def __init__(self, anchors: Anchors, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._anchors = anchors
        self._clock = clock
        self._next_look = clock() + LOOK_SECONDS
        self._looking: Future[None] | None = None
        self._problem = ""
        self.unread = ""
        # Before reading, so that no change is missed.
        self._seen = anchors.contents()
        try:
            self.context = build_context(anchors.read())
        except OSError as error:
            self.context = build_context("")
            self.unread = describe_failure(error)

    def __str__(self) -> str:
        return str(self._anchors)

    def follow(self) -> None:
        """Look at the files in a thread if the last look was a while ago; wait for nothing.

        A renewed certificate counts from the first request after the look on.
        """
        now = self._clock()
        is_looking = self._looking is not None and not self._looking.done()
        if is_looking or now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        # Where no thread can be started, the next look tries again.
        with contextlib.suppress(NoThread):
            self._looking = _LOOKING.submit(self.look)

    def look(self) -> None:
        """Make a new context if the files have changed; one that cannot be used changes nothing."""
        contents = self._anchors.contents()
        if contents == self._seen and not self.unread:
            return
        try:
            self.context = build_context(self._anchors.read())
        except OSError as error:
            self._keep(describe_failure(error))
            return
        is_first = bool(self.unread)
        self._seen = contents
        self._problem = ""
        self.unread = ""
        event = "trusted certificates read" if is_first else "trusted certificates read again"
        log.info(event, file=str(self._anchors))

    def _keep(self, problem: str) -> None:
        """Keep what is trusted, since the anchors cannot be read because of *problem*."""
        if self.unread:
            # The refreshes that fail log it.
            self.unread = problem
            return
        if problem != self._problem:
            message = "failed to read the trusted certificates again; keeping the previous ones"
            log.warning(message, file=str(self._anchors), problem=problem)
        self._problem = problem


@functools.lru_cache
def trust_in(anchors: Anchors) -> Trust:
    """Return the one Trust of all accounts that share *anchors*: a context takes megabytes."""
    return Trust(anchors)

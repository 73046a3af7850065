"""Read files that users name, without blocking on what is not a regular file.

Talks to: the file system. A FIFO, a device or a folder is an error. A mount that hangs still
blocks: callers limit the time themselves (`workers.SingleFlight`).
"""

import errno
import os
import ssl
import stat
from pathlib import Path

# Settings have kilobytes; more than a megabyte is the wrong file.
LARGEST_TEXT = 1024 * 1024
# A bundle of all public certificate authorities has about a quarter of a megabyte.
LARGEST_CERTIFICATES = 16 * 1024 * 1024

# Shorter than any access token of a gateway, longer than most names of files.
LONGEST_SHOWN_NAME = 20

Identity = tuple[int, ...] | None


def shown_path(path: Path, written: str) -> str:
    """Return *path* for a message, or only its length where *written* may be a token.

    *written* is what the user wrote for it. A path whose file or folder exists is shown, so that a
    typing error can be seen.
    """
    names_a_folder = str(Path(written).parent) != "." and path.parent != Path("/")
    is_near = names_a_folder and os.path.isdir(path.parent)  # noqa: PTH112 - Path raises for long names
    if len(written) < LONGEST_SHOWN_NAME or is_near or os.path.lexists(path):
        return str(path)
    return f"(a path of {len(written)} characters, not shown because it may be a token)"


def read_file(path: Path, limit: int) -> bytes:
    """Return the first *limit* bytes of the regular file at *path*.

    Raises OSError, with `strerror` for people.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def is_accessible(path: Path) -> bool:
    """Return whether the file at *path* is there and may be read, whatever is in it."""
    try:
        read_file(path, 1)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    except OSError:
        return True
    return True


def describe_failure(error: OSError) -> str:
    """Return why a file cannot be read, and who may not: often it belongs to another user."""
    reason = error.strerror or str(error)
    if error.errno == errno.EACCES:
        return f"{reason} (user {os.geteuid()})"
    return reason


def read_text(path: Path) -> str:
    """Return the text of the file at *path*, at most a megabyte.

    Raises OSError, with `strerror` for people.
    """
    content = read_file(path, LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise OSError(errno.EFBIG, "larger than a megabyte", str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "not UTF-8 text", str(path)) from None


def identity(path: Path) -> Identity:
    """Return a value that changes with the file at *path*; None if the file cannot be examined."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def read_pem(path: Path) -> str:
    """Return the ASCII text of a PEM file, ignoring other characters; raises OSError."""
    return read_file(path, LARGEST_CERTIFICATES).decode("ascii", "ignore")


def read_certificates(path: Path) -> str:
    """Return the certificate authorities in the PEM file at *path*; raises OSError without any."""
    text = read_pem(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise OSError(errno.EINVAL, "no certificates in PEM format", str(path)) from None
    return text

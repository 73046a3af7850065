"""Run programs as other users of this machine, from folders that these users may enter."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from binaries import skip_or_fail
from processes import clean_environment, output_of

PERSON = 1000
CONTAINER = 65532
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
INSTALL_SECONDS = 200


def require_root() -> None:
    """Skip loudly where this process may not become another user."""
    if os.geteuid() != 0:
        skip_or_fail("root, to run programs as other users")


def require_system_python() -> str:
    """Return a Python 3.11 or newer that every user can run, or skip loudly."""
    path = shutil.which("python3", path=SYSTEM_PATH)
    question = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    if path is None or subprocess.run([path, "-c", question], check=False).returncode:
        skip_or_fail("python3 of the system, 3.11 or newer with venv")
    return path


@contextmanager
def folder_of(user: int) -> Iterator[Path]:
    """Give a folder that belongs to *user*, and that others can enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="exporter-user-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        os.chown(folder, user, user)
        yield folder


def shell_as(
    user: int, command: str, *, home: Path, folder: Path, text: str | None = None, **variables: str
) -> str:
    """Run *command* in *folder* as *user* logged in at *home*, and return what it prints.

    *text* is what the user types.
    """
    if text is not None:
        # The user's own pipe: /dev/stdin cannot be opened where it is a pipe of another user.
        command = f"cat | {{ {command}; }}"
    environment = clean_environment(**variables)
    environment["HOME"] = str(home)
    environment["PATH"] = f"{home}/.local/bin:{SYSTEM_PATH}"
    return output_of(
        "bash",
        "-c",
        command,
        cwd=folder,
        env=environment,
        input=text,
        seconds=INSTALL_SECONDS,
        user=user,
        group=user,
        extra_groups=[],
    )

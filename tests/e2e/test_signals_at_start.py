"""Signals that arrive while the program is still importing its modules."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from binaries import require
from processes import clean_environment

PROGRAM = """
import sys, time

class SlowDisk:
    def find_spec(self, name, path=None, target=None):
        if name == "exporter.cli":
            print("importing", flush=True)
            time.sleep(float(sys.argv.pop()))

sys.meta_path.insert(0, SlowDisk())
from exporter.__main__ import main
main()
"""


class Importing:
    """The program, held for *seconds* where it imports its modules; *before* are the first arguments."""

    def __init__(self, *before, seconds="20"):
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", PROGRAM, "--version", seconds],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "importing\n"
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_imports_ends_the_program_without_a_traceback(number):
    with Importing() as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=5)

    assert (process.returncode, said) == (-number, "")


def test_the_first_process_of_a_container_ends_on_sigterm_during_the_imports():
    own_ids = ["--user", "--map-root-user", "--pid", "--fork"]
    with Importing(require("unshare"), *own_ids) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        subprocess.run(["kill", "-TERM", *children], check=True)
        _, said = process.communicate(timeout=5)

    assert (process.returncode, said) == (128 + signal.SIGTERM, "")


def test_a_reload_during_the_imports_is_ignored():
    with Importing(seconds="0.5") as process:
        process.send_signal(signal.SIGHUP)
        written, said = process.communicate(timeout=20)

    assert (process.returncode, said) == (0, "")
    assert written.startswith("cometapi-exporter ")

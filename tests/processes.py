"""Start the installed exporter and a real Prometheus on loopback, and end what was started, by its id.

Talks to: processes of this machine. Every wait is bounded in time.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import yaml
from binaries import require
from builders import CANARY_TOKEN
from gateway import Gateway

EXPORTER = Path(sys.executable).with_name("cometapi-exporter")
PATIENCE_SECONDS = 20.0
QUICKLY = ("--collect.interval=200ms", "--collect.max-requests-per-minute=10000")

T = TypeVar("T")


def wait_until(question: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Ask *question* ten times a second until its answer is true, and return that; fail after *seconds*."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = question()
            if answer:
                return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {question}")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def clean_environment(gateway: Gateway | None = None, **variables: str) -> dict[str, str]:
    """Return this process's environment with nothing for the exporter but the account of *gateway* and *variables*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMETAPI_")}
    account = (
        {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN, "COMETAPI_BASE_URL": gateway.url} if gateway else {}
    )
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", **account, **variables}


def accounts_file(folder: Path, gateways: Mapping[str, Gateway], **options: Any) -> str:
    """Write a file with an account for each gateway and *options* for all; return the flag that names it.

    Their access token is the variable TOKEN.
    """
    accounts = [
        {"name": name, "base_url": each.url, "access_token_env": "TOKEN"}
        for name, each in gateways.items()
    ]
    path = folder / "accounts.yml"
    path.write_text(yaml.safe_dump({"accounts": accounts, **options}), encoding="utf-8")
    return f"--config.file={path}"


def run(
    *command: object, seconds: float = 60.0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code; what it prints is text."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **options,
    )


def output_of(*command: object, **options: Any) -> str:
    """Run a program and return its output; if it fails, fail the test with all that it printed."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_exporter(*flags: str, **environment: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed console script to its end, in a clean *environment*."""
    return run(EXPORTER, *flags, env=clean_environment(**environment))


def samples_of(exposition: str) -> dict[str, float]:
    """Return every series of the text exposition, as it is written, with its value."""
    lines = [line for line in exposition.split("\n") if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


class Process:
    """A program under way; its lines on standard error are kept."""

    def __init__(self, arguments: list[Any], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            env=dict(environment or os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.output: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kept), daemon=True)
            for stream, kept in (
                (self.process.stderr, self.lines),
                (self.process.stdout, self.output),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, kept: list[str]) -> None:
        kept.extend(line.rstrip("\n") for line in stream)
        stream.close()

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 10.0) -> int:
        """Send *number*, wait for the end, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(seconds)
            raise
        for reader in self._readers:
            reader.join(seconds)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Exporter(Process):
    """The installed exporter, serving on a free loopback port; *url* is where. *before* are the words that start it."""

    def __init__(self, *flags: str, before: Sequence[str] = (), **environment: Any) -> None:
        serving = (
            ()
            if any("listen-address" in flag for flag in flags)
            else ("--web.listen-address=127.0.0.1:0",)
        )
        super().__init__(
            [*before, EXPORTER, "--log.format=json", *serving, *flags],
            clean_environment(**environment),
        )
        self.urls: list[str] = wait_until(self._addresses)
        self.url = self.urls[0]

    def _addresses(self) -> list[str]:
        if self.process.poll() is not None:
            raise AssertionError(f"the exporter ended with {self.process.returncode}: {self.lines}")
        return next(
            (entry["addresses"].split() for entry in self.log() if entry["msg"] == "listening"), []
        )

    def log(self) -> list[dict[str, Any]]:
        """Return the log so far, decoded."""
        return [json.loads(line) for line in list(self.lines)]

    def get(self, path: str = "/metrics", **headers: str) -> httpx.Response:
        """GET *path*."""
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False, timeout=10)

    def wait_ready(self) -> Self:
        """Wait for every account's first refresh to end."""
        wait_until(lambda: self.get("/-/ready").status_code == httpx.codes.OK)
        return self

    def samples(self) -> dict[str, float]:
        """Return every series that it serves, as it is written, with its value."""
        return samples_of(self.get().text)


class Server(Process):
    """A *program* of Prometheus' family on a free loopback port with *config* and *flags*; it keeps all in *folder*."""

    def __init__(self, program: str, folder: Path, config: Mapping[str, Any], *flags: str) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        path = folder / f"{program}.yml"
        path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        options = [f"--config.file={path}", f"--web.listen-address={address}", "--log.level=warn"]
        super().__init__([require(program), *options, *flags])
        wait_until(
            lambda: httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == httpx.codes.OK
        )

    def ask(self, path: str, **parameters: str) -> Any:
        """GET JSON from *path* of its API."""
        response = httpx.get(
            f"{self.url}/api/{path}", params=parameters, trust_env=False, timeout=10
        )
        return response.raise_for_status().json()


class Prometheus(Server):
    """Debian's Prometheus."""

    def __init__(self, folder: Path, config: Mapping[str, Any], *flags: str) -> None:
        super().__init__(
            "prometheus", folder, config, f"--storage.tsdb.path={folder / 'data'}", *flags
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        return list(self.ask("v1/query", query=expression)["data"]["result"])

    def value(self, expression: str) -> float | None:
        """Return the value of the one series that *expression* gives; None where it gives none."""
        result = self.query(expression)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None


def fill(folder: Path, lines: Iterable[str], *, block: str = "48h") -> None:
    """Write *lines*, an OpenMetrics text with timestamps, to the storage of a Prometheus with its data in *folder*.

    promtool reads the text once for each *block*, so a long history wants long ones.
    """
    text = folder / "history.om"
    with text.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    command = (
        "tsdb",
        "create-blocks-from",
        f"--max-block-duration={block}",
        "openmetrics",
        "--quiet",
    )
    # A million samples take a quarter of a minute, and several of them on a busy machine.
    output_of(require("promtool"), *command, text, folder / "data", seconds=240)


def scrape_config(url: str, **job: Any) -> dict[str, Any]:
    """Return a configuration that scrapes *url* every second."""
    target = url.removeprefix("http://").removeprefix("https://")
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "cometapi-exporter", "static_configs": [{"targets": [target]}], **job}
        ],
    }

"""Run the exporter, Prometheus and Alertmanager from local programs with the shipped files, all on loopback.

`python scripts/stack.py` serves the demo; with `--real` the exporter takes its settings from the environment. Data and
logs are kept in .stack/. Ctrl-C or SIGTERM ends everything that was started, and nothing else.
"""

import argparse
import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx
import yaml

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 30.0
FAREWELL_SECONDS = 10.0
LONGEST_NOTIFICATION = 1 << 20
PORTS = ("exporter", "prometheus", "alertmanager", "webhook")
WEBHOOK_HELP = "print what Alertmanager posts to this port, 0 for not; default: %(default)s, as in alertmanager.yml"
ACCOUNT_VARIABLES = ("COMETAPI_ACCESS_TOKEN", "COMETAPI_ACCESS_TOKEN_FILE", "COMETAPI_EXPORTER_CONFIG_FILE")
DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}


class StackError(Exception):
    """Something that the user has to mend before the stack can run; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One program of the stack: its command, where it serves, and where its lines go."""

    name: str
    command: tuple[str, ...]
    port: int
    log: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    variables = " or ".join(ACCOUNT_VARIABLES)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    option = parser.add_argument
    option("--real", action="store_true", help=f"watch a real account: needs {variables}")
    option("--exporter-port", type=int, default=10144, metavar="PORT", help="default: %(default)s")
    option("--prometheus-port", type=int, default=9090, metavar="PORT", help="default: %(default)s")
    option("--alertmanager-port", type=int, default=9093, metavar="PORT", help="default: %(default)s")
    option("--webhook-port", type=int, default=9095, metavar="PORT", help=WEBHOOK_HELP)
    option("--interval", metavar="DURATION", help="scrape and evaluate this often, like 5s; default: as shipped")
    option("--deploy", type=Path, default=ROOT / "deploy", metavar="DIR", help="the files; default: deploy/")
    option("--data", type=Path, default=ROOT / ".stack", metavar="DIR", help="data and logs; default: .stack/")
    return parser.parse_args(arguments)


def find_programs() -> dict[str, str]:
    """Return the path of each program; all that are missing are named together."""
    found = {
        "cometapi-exporter": shutil.which(Path(sys.executable).with_name("cometapi-exporter")),
        "prometheus": shutil.which("prometheus"),
        "alertmanager": shutil.which("alertmanager") or shutil.which(DEBIAN_NAMES["alertmanager"]),
    }
    missing = [name for name, path in found.items() if path is None]
    if missing:
        mend = "`make test` or `make stack` installs the exporter, scripts/install-test-tools the other two"
        raise StackError(f"not installed: {', '.join(missing)} ({mend})")
    return {name: str(path) for name, path in found.items()}


def refuse_busy_ports(options: argparse.Namespace) -> None:
    """Raise where a port is in use, or wanted twice."""
    wanted = {name: port for name in PORTS if (port := getattr(options, f"{name}_port"))}
    if len(set(wanted.values())) < len(wanted):
        raise StackError(f"different ports are needed, not {', '.join(map(str, wanted.values()))}")
    for name, port in wanted.items():
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise StackError(f"127.0.0.1:{port} cannot be used: {reason}; --{name}-port gives another") from error
        except OverflowError as error:
            raise StackError(f"--{name}-port: {port} is no port, they end at 65535") from error


def account_environment(*, real: bool) -> dict[str, str]:
    """Return the exporter's environment: as it is for a real account, for the demo without any of its settings."""
    if not real:
        return {name: value for name, value in os.environ.items() if not name.startswith("COMETAPI_")}
    if not any(os.environ.get(name) for name in ACCOUNT_VARIABLES):
        raise StackError(f"--real needs one of {', '.join(ACCOUNT_VARIABLES)} to be set")
    return dict(os.environ)


def write_prometheus_config(options: argparse.Namespace, folder: Path) -> Path:
    """Write the shipped prometheus.yml with the addresses of this stack; the rules are read where they are."""
    source = options.deploy.resolve() / "prometheus"
    config = yaml.safe_load((source / "prometheus.yml").read_text(encoding="utf-8"))
    config["rule_files"] = [str(source / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{options.exporter_port}"]}]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{options.alertmanager_port}"]}]
    if options.interval is not None:
        config["global"] = dict.fromkeys(config["global"], options.interval)
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def plan(options: argparse.Namespace) -> list[Part]:
    """Return the three programs, in the order in which they start."""
    programs = find_programs()
    exporter_environment = account_environment(real=options.real)
    refuse_busy_ports(options)
    folder = options.data.resolve() / ("real" if options.real else "demo")
    folder.mkdir(parents=True, exist_ok=True)

    def part(name: str, port: int, *flags: str, environment: dict[str, str] | None = None) -> Part:
        command = (programs[name], *flags)
        log = folder / f"{name}.log"
        return Part(name=name, command=command, port=port, log=log, environment=environment or dict(os.environ))

    return [
        part(
            "cometapi-exporter",
            options.exporter_port,
            *(() if options.real else ("--demo",)),
            f"--web.listen-address=127.0.0.1:{options.exporter_port}",
            environment=exporter_environment,
        ),
        part(
            "alertmanager",
            options.alertmanager_port,
            f"--config.file={options.deploy.resolve() / 'alertmanager/alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{options.alertmanager_port}",
            f"--web.external-url=http://127.0.0.1:{options.alertmanager_port}/",
            "--cluster.listen-address=",
        ),
        part(
            "prometheus",
            options.prometheus_port,
            f"--config.file={write_prometheus_config(options, folder)}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{options.prometheus_port}",
            f"--web.external-url=http://127.0.0.1:{options.prometheus_port}/",
            "--web.enable-lifecycle",
        ),
    ]


@contextlib.contextmanager
def started(part: Part) -> Iterator[subprocess.Popen[bytes]]:
    """Run *part* away from the terminal's signals; it ends with the block."""
    with part.log.open("wb") as log:
        process = subprocess.Popen(
            part.command,
            env=part.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(part: Part, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Wait until *part* says that it is ready; raise where it ends before, or never is."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        complain_of_end(part, process)
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{part.url}/-/ready", trust_env=False, timeout=2).status_code == httpx.codes.OK:
                return
        pause(stop, 0.1)
    raise StackError(f"{part.name} was not ready within {PATIENCE_SECONDS:g} s; its log: {part.log}")


def pause(stop: threading.Event, seconds: float) -> None:
    """Wait; leave all blocks in order where a signal has come."""
    if stop.wait(seconds):
        print("\nending", flush=True)
        raise SystemExit(0)


def complain_of_end(part: Part, process: subprocess.Popen[bytes]) -> None:
    """Raise where *part* has ended, with its last lines."""
    code = process.poll()
    if code is not None:
        last = "\n".join(part.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        raise StackError(f"{part.name} ended with code {code}; the end of {part.log}:\n{last}")


def introduce(parts: list[Part]) -> None:
    """Tell where everything is and what to look at."""
    exporter, alertmanager, prometheus = (part.url for part in parts)
    config = parts[1].command[1].partition("=")[2]
    print(
        f"""
  Exporter      {exporter}          the keys now; {exporter}/metrics
  Prometheus    {prometheus}/alerts    what fires: the first after about four minutes
                {prometheus}/graph     try: sort(key:cometapi_key_remaining_quota:ratio)
  Alertmanager  {alertmanager}           what was notified, what inhibits what, silences

  Critical alerts are printed here as they are notified; e-mail and Slack need their addresses and secrets:
    edit {config}
    curl -X POST {alertmanager}/-/reload
  After a change to the rules:
    curl -X POST {prometheus}/-/reload
  Data and logs: {parts[0].log.parent}
  Ctrl-C ends everything.
""",
        flush=True,
    )


class Notification(http.server.BaseHTTPRequestHandler):
    """Print what Alertmanager posts: one line for each alert."""

    timeout = 10

    def do_POST(self) -> None:
        """Take one notification."""
        try:
            sent = json.loads(self.rfile.read(min(int(self.headers.get("Content-Length", "0")), LONGEST_NOTIFICATION)))
            lines = [f"{alert['status']}: {alert['annotations'].get('summary', '')}" for alert in sent["alerts"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.send_error(400)
            return
        for line in lines:
            print(f"{time.strftime('%H:%M:%S')} notified, {''.join(filter(str.isprintable, line))}", flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


@contextlib.contextmanager
def receiving(port: int) -> Iterator[None]:
    """Listen for notifications while the block runs; not at all where *port* is 0."""
    if not port:
        yield
        return
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Notification) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def watch(running: list[tuple[Part, subprocess.Popen[bytes]]], stop: threading.Event) -> NoReturn:
    """Wait for a signal; raise where a part ends."""
    while True:
        for part, process in running:
            complain_of_end(part, process)
        pause(stop, 0.5)


def run(options: argparse.Namespace, stop: threading.Event) -> None:
    """Start everything, say so, and end it after a signal."""
    with contextlib.ExitStack() as stack:
        parts = plan(options)
        stack.enter_context(receiving(options.webhook_port))
        running = []
        for part in parts:
            process = stack.enter_context(started(part))
            wait_ready(part, process, stop)
            running.append((part, process))
        introduce(parts)
        watch(running, stop)


def main() -> None:
    """Run the stack until a signal comes; exit 1 with a message where it cannot run."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(parse_arguments(), stop)
    except (StackError, OSError) as error:
        print(f"stack: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

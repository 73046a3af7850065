"""Run the exporter, Prometheus and Alertmanager from local programs, all on loopback.

`python scripts/stack.py` serves the demo; with `--real` the exporter takes its settings from the
environment. A new Prometheus begins with the demo's last 30 days. Data and logs are kept in
.stack/. Ctrl-C or SIGTERM stops everything that was started, and nothing else.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, NoReturn

import yaml
from notifications import receiving
from programs import Part, StackError, complain_of_end, pause, started, wait_ready

ROOT = Path(__file__).resolve().parent.parent
PORTS = ("exporter", "prometheus", "alertmanager", "webhook")
WEBHOOK_HELP = (
    "print what Alertmanager posts to this port, 0 for not; "
    "default: %(default)s. For another one, change the URL in alertmanager.yml too"
)
ACCOUNT_VARIABLES = (
    "COMETAPI_ACCESS_TOKEN",
    "COMETAPI_ACCESS_TOKEN_FILE",
    "COMETAPI_EXPORTER_CONFIG_FILE",
)
# Two full months and what is in progress: the dashboards compare a month with the one before.
RETENTION = "70d"
# Ten times what it takes on a slow machine.
BACKFILL_SECONDS = 120
DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    variables = " or ".join(ACCOUNT_VARIABLES)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    option = parser.add_argument
    option("--real", action="store_true", help=f"monitor a real account: requires {variables}")
    option("--exporter-port", type=int, default=10144, metavar="PORT", help="default: %(default)s")
    option("--prometheus-port", type=int, default=9090, metavar="PORT", help="default: %(default)s")
    option(
        "--alertmanager-port", type=int, default=9093, metavar="PORT", help="default: %(default)s"
    )
    option("--webhook-port", type=int, default=9095, metavar="PORT", help=WEBHOOK_HELP)
    option(
        "--interval",
        metavar="DURATION",
        help="scrape and evaluate this often, like 5s; default: as in deploy/",
    )
    option(
        "--deploy",
        type=Path,
        default=ROOT / "deploy",
        metavar="DIR",
        help="the files; default: deploy/",
    )
    option(
        "--data",
        type=Path,
        default=ROOT / ".stack",
        metavar="DIR",
        help="data and logs; default: .stack/",
    )
    return parser.parse_args(arguments)


def find_programs() -> dict[str, str]:
    """Return the path of each program; all that are missing are named together."""
    found = {
        "cometapi-exporter": shutil.which(Path(sys.executable).with_name("cometapi-exporter")),
        "prometheus": shutil.which("prometheus"),
        "promtool": shutil.which("promtool"),
        "alertmanager": shutil.which("alertmanager") or shutil.which(DEBIAN_NAMES["alertmanager"]),
    }
    missing = [name for name, path in found.items() if path is None]
    if missing:
        fix = (
            "`make test` or `make stack` installs the exporter, "
            "scripts/install-test-tools the others"
        )
        raise StackError(f"not installed: {', '.join(missing)} ({fix})")
    return {name: str(path) for name, path in found.items()}


def refuse_busy_ports(options: argparse.Namespace) -> None:
    """Raise where a port is in use, or wanted twice."""
    wanted = {name: port for name in PORTS if (port := getattr(options, f"{name}_port"))}
    if len(set(wanted.values())) < len(wanted):
        raise StackError(f"expected different ports, got {', '.join(map(str, wanted.values()))}")
    for name, port in wanted.items():
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            flag = f"--{name}-port"
            raise StackError(
                f"127.0.0.1:{port} cannot be used: {reason}; choose another with {flag}: "
                f"make stack ARGS={flag}=PORT"
            ) from error
        except OverflowError as error:
            raise StackError(
                f"--{name}-port: {port} is not a port: the highest is 65535"
            ) from error


def account_environment(*, real: bool) -> dict[str, str]:
    """Return the exporter's environment.

    As it is for a real account, for the demo without any of its settings.
    """
    if not real:
        return {
            name: value for name, value in os.environ.items() if not name.startswith("COMETAPI_")
        }
    if not any(os.environ.get(name) for name in ACCOUNT_VARIABLES):
        raise StackError(f"--real needs one of {', '.join(ACCOUNT_VARIABLES)} to be set")
    return dict(os.environ)


def write_prometheus_config(options: argparse.Namespace, folder: Path) -> Path:
    """Write the bundled prometheus.yml with the addresses of this stack.

    The rules are read where they are.
    """
    source = options.deploy.resolve() / "prometheus"
    config = yaml.safe_load((source / "prometheus.yml").read_text(encoding="utf-8"))
    config["rule_files"] = [str(source / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{options.exporter_port}"]}
    ]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{options.alertmanager_port}"]}
    ]
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
        return Part(
            name=name,
            command=command,
            port=port,
            log=log,
            environment=environment or dict(os.environ),
        )

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
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address=127.0.0.1:{options.prometheus_port}",
            f"--web.external-url=http://127.0.0.1:{options.prometheus_port}/",
            "--web.enable-lifecycle",
        ),
    ]


def backfill(exporter: Part, folder: Path, stop: threading.Event) -> None:
    """Fill a new Prometheus with the 30 days before the demo begins.

    One with data keeps what it has.
    """
    data = folder / "prometheus"
    if data.exists():
        return
    promtool = find_programs()["promtool"]
    history = folder / "history.om"
    blocks = folder / "prometheus.new"
    shutil.rmtree(blocks, ignore_errors=True)
    read = (
        *exporter.command,
        "--backfill",
        f"--backfill.end={int(time.time())}",
        f"--backfill.label=instance=127.0.0.1:{exporter.port}",
    )
    # Blocks longer than the usual two hours are written in a tenth of the time.
    write = (promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=48h")
    with history.open("wb") as output:
        run_to_the_end(read, exporter.environment, output, stop)
    run_to_the_end((*write, str(history), str(blocks)), dict(os.environ), None, stop)
    history.unlink()
    blocks.rename(data)


def run_to_the_end(
    command: tuple[str, ...],
    environment: dict[str, str],
    output: IO[bytes] | None,
    stop: threading.Event,
) -> None:
    """Run *command*; raise where it fails or a signal comes. *output* None drops what it prints."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + BACKFILL_SECONDS
    try:
        while process.poll() is None and time.monotonic() < end:
            pause(stop, 0.05)
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise StackError(f"cannot fill Prometheus with the past: {shlex.join(command)} failed")


def introduce(parts: list[Part]) -> None:
    """Print where everything is and what to look at."""
    exporter, alertmanager, prometheus = (part.url for part in parts)
    config = parts[1].command[1].partition("=")[2]
    print(
        f"""
  Exporter      {exporter}          all keys; {exporter}/metrics
  Prometheus    {prometheus}/alerts    firing alerts: the first after about four minutes
                {prometheus}/graph     try: sort(key:cometapi_key_remaining_quota:ratio)
  Alertmanager  {alertmanager}           notifications, inhibitions, silences

  Critical alerts are printed here when Alertmanager sends them.
  For email and Slack, set addresses and secrets:
    edit {config}
    curl -X POST {alertmanager}/-/reload
  After a change to the rules:
    curl -X POST {prometheus}/-/reload
  Data and logs: {parts[0].log.parent}
  Press Ctrl-C to stop everything.
""",
        flush=True,
    )


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
        if not options.real:
            backfill(parts[0], parts[0].log.parent, stop)
        if options.webhook_port:
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

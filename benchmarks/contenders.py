"""Start the servers that are compared, all with the same keys; say loudly which one cannot be had here.

Talks to: processes and files of a temporary folder.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from client import OPENMETRICS, REQUESTS, Client, Request
from keyset import pages
from machine import Failed, Program, free_port, is_open, wait_until

HERE = Path(__file__).resolve().parent
EXPORTER = Path(sys.executable).with_name("cometapi-exporter")
OURS, NGINX, GO, COLLECTOR, GAUGES = "ours", "nginx", "go", "collector", "gauges"
TITLES = {
    NGINX: "nginx, static file, gzip_static (the limit)",
    OURS: "this exporter",
    GO: "Go client_golang, const metrics",
    COLLECTOR: "Python, custom collector, start_http_server",
    GAUGES: "Python, labelled Gauges, start_http_server (the usual exporter)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server; the path may depend on what is asked for, since a static file cannot negotiate."""

    name: str
    program: Program
    port: int
    is_static: bool = False

    def path(self, request: Request) -> str:
        if not self.is_static:
            return "/metrics"
        return "/openmetrics" if request.accept == OPENMETRICS else "/text"


def start_gateway(
    stack: ExitStack,
    folder: Path,
    count: int,
    now: int,
    *,
    delay: float = 0.0,
    share: float = 0.0,
    expiries: float = 0,
) -> str:
    """Start the simulated gateway and return its URL."""
    log = folder / f"gateway-{free_port()}.log"
    program = Program(
        [sys.executable, HERE / "gateway.py", count, now, delay, share, expiries], log
    )
    stack.enter_context(program)
    wait_until(
        lambda: program.check_alive() and program.output().endswith("\n"), what="the gateway"
    )
    return f"http://127.0.0.1:{program.output().strip()}"


def start_ours(
    stack: ExitStack, folder: Path, url: str, *, interval: str = "60s", accounts: int = 1
) -> Server:
    """Start the installed exporter with some *accounts* of one gateway, and wait until their first refreshes ended."""
    port = free_port()
    flags = [
        f"--collect.interval={interval}",
        "--collect.max-requests-per-minute=1000000",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    environ = {"NO_PROXY": "127.0.0.1"}
    if accounts == 1:
        environ |= {"COMETAPI_ACCESS_TOKEN": "benchmark", "COMETAPI_BASE_URL": url}
    else:
        environ |= {f"TOKEN_{number}": f"benchmark{number}" for number in range(accounts)}
        file = folder / f"accounts-{port}.yml"
        file.write_text(
            "accounts:\n"
            + "".join(
                f"  - {{name: account{number}, base_url: {url}, access_token_env: TOKEN_{number}}}\n"
                for number in range(accounts)
            )
        )
        flags.append(f"--config.file={file}")
    program = stack.enter_context(Program([EXPORTER, *flags], folder / f"ours-{port}.log", environ))
    server = Server(name=OURS, program=program, port=port)
    wait_until(
        lambda: program.check_alive() and is_ready(port), what="the exporter's first refresh"
    )
    return server


def is_ready(port: int) -> bool:
    try:
        with Client(port) as client:
            return client.get("/-/ready").body == b"ready\n"
    except Failed:
        return False


def start_python(stack: ExitStack, folder: Path, kind: str, count: int, now: int) -> Server:
    port = free_port()
    arguments = [sys.executable, HERE / "python_servers.py", kind, count, now, port]
    program = stack.enter_context(Program(arguments, folder / f"{kind}-{port}.log"))
    wait_until(lambda: program.check_alive() and "serving" in program.output(), what=kind)
    return Server(name=kind, program=program, port=port)


def build_go(folder: Path) -> Path | None:
    """Build the Go server with its pinned modules; None, and loudly so, where that is impossible."""
    if shutil.which("go") is None:
        print("SKIPPED: no Go toolchain here, so Go's client library is NOT compared", flush=True)
        return None
    binary = folder / "go-server"
    built = subprocess.run(
        ["go", "build", "-mod=readonly", "-o", str(binary), "."],
        cwd=HERE / "go",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if built.returncode:
        print(
            f"SKIPPED: the Go server does not build, so it is NOT compared\n{built.stderr[-1000:]}",
            flush=True,
        )
        return None
    return binary


def start_go(stack: ExitStack, folder: Path, binary: Path, count: int, now: int) -> Server:
    listing = folder / f"pages-{count}"
    listing.write_bytes(b"\n".join(pages(count, now)))
    port = free_port()
    program = stack.enter_context(
        Program([binary, listing, f"127.0.0.1:{port}"], folder / f"go-{port}.log")
    )
    wait_until(lambda: program.check_alive() and is_open(port), what="the Go server")
    return Server(name=GO, program=program, port=port)


def start_nginx(stack: ExitStack, folder: Path, model: Server | None) -> Server | None:
    """Serve what *model* answers now as static files, and a word; None, and loudly so, without nginx."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        print(
            "SKIPPED: no nginx here (scripts/install-bench-tools installs it): the limit is NOT measured",
            flush=True,
        )
        return None
    port = free_port()
    root = folder / f"nginx-{port}"
    root.mkdir()
    (root / "word").write_bytes(b"healthy\n")
    if model is not None:
        copy_answers(model, root)
    config = root / "nginx.conf"
    config.write_text(nginx_config(root, port), encoding="utf-8")
    arguments = [nginx, "-p", root, "-e", root / "error.log", "-c", config]
    program = stack.enter_context(Program(arguments, folder / f"nginx-{port}.log"))
    wait_until(lambda: program.check_alive() and is_open(port), what="nginx")
    return Server(name=NGINX, program=program, port=port, is_static=True)


def copy_answers(model: Server, root: Path) -> None:
    """Ask for the packed answers alone, so that the model's peak memory is not that of plain ones."""
    with Client(model.port) as client:
        for request in REQUESTS:
            if request.is_gzipped:
                packed = client.scrape(model.path(request), request).body
                name = "openmetrics" if request.accept == OPENMETRICS else "text"
                (root / f"{name}.gz").write_bytes(packed)
                (root / name).write_bytes(gzip.decompress(packed))


def nginx_config(root: Path, port: int) -> str:
    types = {
        "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "text": "text/plain",
    }
    locations = "".join(
        f'location = /{name} {{ default_type "{kind}"; }}\n' for name, kind in types.items()
    )
    folders = "".join(
        f"{kind}_temp_path {root}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""
daemon off; worker_processes 1; pid {root}/pid; {user}
events {{ worker_connections 256; }}
http {{
{folders}
access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; gzip_static on; types {{ }}
server {{ listen 127.0.0.1:{port}; root {root};
{locations} location = /word {{ }} }}
}}
"""


def series_of(server: Server, request: Request) -> set[str]:
    """Return the series about keys and accounts that *server* serves, with its labels in one order."""
    with Client(server.port) as client:
        text = client.scrape(server.path(request), request).text()
    lines = (
        line
        for line in text.split("\n")
        if line.startswith("cometapi_") and "_exporter_" not in line
    )
    return {sorted_labels(line.rpartition(" ")[0]) for line in lines}


LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def sorted_labels(series: str) -> str:
    return series.partition("{")[0] + str(sorted(LABEL.findall(series)))

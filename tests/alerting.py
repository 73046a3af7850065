"""Run the bundled rules and Alertmanager configuration with shorter waits and with receivers on loopback.

Talks to: processes of this machine. Only waits, intervals and addresses are changed; every
expression, label, text, route and inhibition rule is as bundled.
"""

import email
import email.message
import email.policy
import http.server
import json
import queue
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from processes import Server

DEPLOY = Path(__file__).parents[1] / "deploy"
WAIT = "3s"
INTERVAL = "1s"
LONGEST_BODY = 1 << 20

RESENDING = "--rules.alert.resend-delay=1s"
"""Alerts that fire before Prometheus has discovered Alertmanager, in its first five seconds, are sent again soon."""


def shipped(path: str) -> dict[str, Any]:
    """Return a file of deploy/, decoded."""
    return dict(yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8")))


def write_hurried_rules(folder: Path) -> None:
    """Write the bundled rule files to *folder*/rules with waits of 3 s and intervals of 1 s."""
    (folder / "rules").mkdir()
    for path in sorted((DEPLOY / "prometheus/rules").glob("*.yml")):
        document = shipped(f"prometheus/rules/{path.name}")
        for group in document["groups"]:
            group["interval"] = INTERVAL
            for rule in group["rules"]:
                rule.update({name: WAIT for name in ("for", "keep_firing_for") if name in rule})
        (folder / "rules" / path.name).write_text(yaml.safe_dump(document), encoding="utf-8")


def hurried_prometheus(exporter_url: str, alertmanager_url: str) -> dict[str, Any]:
    """Return the bundled prometheus.yml with these two addresses and intervals of 1 s."""
    config = shipped("prometheus/prometheus.yml")
    config["global"] = dict.fromkeys(config["global"], INTERVAL)
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [
        exporter_url.removeprefix("http://")
    ]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        alertmanager_url.removeprefix("http://")
    ]
    return config


def hurried_alertmanager(*, web: str, mail: str) -> dict[str, Any]:
    """Return the bundled alertmanager.yml: webhook and Slack go to *web*, email to *mail*, without long waits."""
    config = shipped("alertmanager/alertmanager.yml")
    for route in (config["route"], *config["route"]["routes"]):
        route.update({"group_wait": "3s", "group_interval": INTERVAL})
    by_name = {receiver["name"]: receiver for receiver in config["receivers"]}
    by_name["webhook"]["webhook_configs"][0]["url"] = f"{web}/webhook"
    del by_name["slack"]["slack_configs"][0]["api_url_file"]
    by_name["slack"]["slack_configs"][0]["api_url"] = f"{web}/slack"
    config["global"] = {
        "smtp_smarthost": mail,
        "smtp_from": "alertmanager@example.com",
        "smtp_require_tls": False,
    }
    return config


class Alertmanager(Server):
    """Debian's Alertmanager."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        flags = (f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address=")
        super().__init__("alertmanager", folder, config, *flags)

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alerts: labels, annotations, and in `status` what inhibits them."""
        return list(self.ask("v2/alerts"))


class Inbox:
    """Everything that was received: JSON over HTTP under its path, email over SMTP under "mail"."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.received: list[tuple[str, Any]] = []
        self._servers = [
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(_Post)),
            socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler(_Mail)),
        ]
        self.web, self.mail = (f"127.0.0.1:{server.server_address[1]}" for server in self._servers)
        self.url = f"http://{self.web}"
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers
        ]

    def _handler(self, kind: Any) -> Any:
        return type(kind.__name__, (kind,), {"arrived": self._arrived})

    def all(self, address: str) -> list[Any]:
        """Return what "webhook", "slack" or "mail" has received so far, in order."""
        while not self._arrived.empty():
            self.received.append(self._arrived.get())
        return [content for where, content in self.received if where == address]

    def wait_for(
        self, address: str, wanted: Callable[[Any], bool], *, seconds: float = 30.0
    ) -> Any:
        """Return the first message to *address* that is *wanted*; after *seconds*, fail and show what came instead."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for content in self.all(address):
                if wanted(content):
                    return content
            time.sleep(0.1)
        raise AssertionError(
            f"nothing wanted came to {address} within {seconds:g} s, but {self.received}"
        )

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(10)


class _Post(http.server.BaseHTTPRequestHandler):
    """Accept any posted JSON; respond as Slack's API does to a valid message."""

    arrived: "queue.SimpleQueue[tuple[str, Any]]"
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers["Content-Length"]), LONGEST_BODY))
        self.arrived.put((self.path.strip("/"), json.loads(body)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Mail(socketserver.StreamRequestHandler):
    """Accept any email: the minimal server that RFC 5321 allows."""

    arrived: "queue.SimpleQueue[tuple[str, Any]]"
    timeout = 10

    def handle(self) -> None:
        self._say("220 127.0.0.1")
        for _ in range(100):
            command = self.rfile.readline(1_000).decode().upper().rstrip()
            if command == "DATA":
                self._say("354 go ahead")
                self.arrived.put(("mail", self._message()))
            if command in ("", "QUIT"):
                self._say("221 bye")
                return
            self._say("250 ok")

    def _message(self) -> email.message.Message:
        lines: list[bytes] = []
        while (line := self.rfile.readline(10_000)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

"""Run the shipped rules and the shipped Alertmanager file in a hurry, with receivers on loopback.

Talks to: processes of this machine. What is hurried are waits and intervals, what is replaced are addresses; every
expression, label, text, route and inhibition is as shipped.
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

import httpx
import yaml
from binaries import require
from processes import Process, free_port, wait_until

DEPLOY = Path(__file__).parents[1] / "deploy"
WAIT = "3s"
INTERVAL = "1s"
LONGEST_BODY = 1 << 20

RESENDING = "--rules.alert.resend-delay=1s"
"""What fires before Prometheus knows of any Alertmanager, in its first five seconds, is sent again soon."""


def shipped(path: str) -> dict[str, Any]:
    """Return a file of deploy/, decoded."""
    return dict(yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8")))


def write_hurried_rules(folder: Path) -> None:
    """Write the shipped rule files to *folder*/rules: waits of 3 s, intervals of 1 s, nothing else changed."""
    (folder / "rules").mkdir()
    for path in sorted((DEPLOY / "prometheus/rules").glob("*.yml")):
        document = shipped(f"prometheus/rules/{path.name}")
        for group in document["groups"]:
            group["interval"] = INTERVAL
            for rule in group["rules"]:
                rule.update({name: WAIT for name in ("for", "keep_firing_for") if name in rule})
        (folder / "rules" / path.name).write_text(yaml.safe_dump(document), encoding="utf-8")


def hurried_prometheus(exporter_url: str, alertmanager_url: str) -> dict[str, Any]:
    """Return the shipped prometheus.yml with these two addresses and intervals of 1 s."""
    config = shipped("prometheus/prometheus.yml")
    config["global"] = dict.fromkeys(config["global"], INTERVAL)
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [exporter_url.removeprefix("http://")]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager_url.removeprefix("http://")]
    return config


def hurried_alertmanager(*, web: str, mail: str) -> dict[str, Any]:
    """Return the shipped alertmanager.yml: webhook and Slack go to the address *web*, e-mail to *mail*, and soon."""
    config = shipped("alertmanager/alertmanager.yml")
    for route in (config["route"], *config["route"]["routes"]):
        route.update({"group_wait": "3s", "group_interval": INTERVAL})
    by_name = {receiver["name"]: receiver for receiver in config["receivers"]}
    by_name["webhook"]["webhook_configs"][0]["url"] = f"{web}/webhook"
    del by_name["slack"]["slack_configs"][0]["api_url_file"]
    by_name["slack"]["slack_configs"][0]["api_url"] = f"{web}/slack"
    config["global"] = {"smtp_smarthost": mail, "smtp_from": "alertmanager@example.com", "smtp_require_tls": False}
    return config


class Alertmanager(Process):
    """Debian's Alertmanager on a free loopback port with *config*, keeping its data in *folder*."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        path = folder / "alertmanager.yml"
        path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        super().__init__(
            [
                require("alertmanager"),
                f"--config.file={path}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ]
        )
        wait_until(lambda: httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == httpx.codes.OK)

    def alerts(self) -> list[dict[str, Any]]:
        """Return what Alertmanager knows: labels, annotations, and in `status` who inhibits."""
        response = httpx.get(f"{self.url}/api/v2/alerts", trust_env=False, timeout=10)
        response.raise_for_status()
        return list(response.json())


class Inbox:
    """Everything that was sent to us: JSON by HTTP under its path, e-mail by SMTP under "mail"."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.received: list[tuple[str, Any]] = []
        self._servers = [
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(_Post)),
            socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler(_Mail)),
        ]
        self.web, self.mail = (f"127.0.0.1:{server.server_address[1]}" for server in self._servers)
        self.url = f"http://{self.web}"
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers]

    def _handler(self, kind: Any) -> Any:
        return type(kind.__name__, (kind,), {"arrived": self._arrived})

    def all(self, address: str) -> list[Any]:
        """Return what has come to "webhook", "slack" or "mail" so far, in order."""
        while not self._arrived.empty():
            self.received.append(self._arrived.get())
        return [content for where, content in self.received if where == address]

    def wait_for(self, address: str, wanted: Callable[[Any], bool], *, seconds: float = 30.0) -> Any:
        """Return the first message to *address* that is *wanted*; fail with what came instead after *seconds*."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for content in self.all(address):
                if wanted(content):
                    return content
            time.sleep(0.1)
        raise AssertionError(f"nothing wanted came to {address} within {seconds:g} s, but {self.received}")

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
    """Take any JSON that is posted; the answer is what Slack's API says to a good message."""

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
        """Say nothing."""


class _Mail(socketserver.StreamRequestHandler):
    """Take any e-mail, as the least server that RFC 5321 allows."""

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

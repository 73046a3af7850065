"""Print what Alertmanager posts to a webhook: one line for each alert.

Talks to: a loopback port and standard output. Knows nothing of the rest of the stack.
"""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

LONGEST_NOTIFICATION = 1 << 20


class Notification(http.server.BaseHTTPRequestHandler):
    """Print what Alertmanager posts: one line for each alert."""

    timeout = 10

    def do_POST(self) -> None:
        """Take one notification."""
        try:
            sent = json.loads(
                self.rfile.read(
                    min(int(self.headers.get("Content-Length", "0")), LONGEST_NOTIFICATION)
                )
            )
            lines = [
                f"{alert['status']}: {alert['annotations'].get('summary', '')}"
                for alert in sent["alerts"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.send_error(400)
            return
        for line in lines:
            print(
                f"{time.strftime('%H:%M:%S')} notified, {''.join(filter(str.isprintable, line))}",
                flush=True,
            )
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


@contextlib.contextmanager
def receiving(port: int) -> Iterator[None]:
    """Listen for notifications on loopback while the block runs."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Notification) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

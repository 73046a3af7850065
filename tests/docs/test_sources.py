"""What documents say of requests and of messages is what the code sends and logs."""

import re
from pathlib import Path

from exporter.endpoint import ApiPath

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "exporter").rglob("*.py"))


def test_every_path_that_the_client_requests_is_documented():
    requested = {path.value for path in ApiPath}
    documented = set(re.findall(r"`(/api/[a-z/]+)", (ROOT / "SECURITY.md").read_text()))

    assert "/api/token/" in requested
    assert requested <= documented


def test_every_explained_message_is_in_the_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    table = page.partition("## By message")[2].partition("## Reasons")[0]
    messages = re.findall(
        r"`([^`]+)`",
        "".join(line.split("|")[1] for line in table.splitlines() if line[:3] == "| `"),
    )
    parts = {part.strip(" ,") for message in messages for part in message.split("…")} - {""}

    assert len(messages) >= 12
    assert {part for part in parts if part not in SOURCE} == set()

"""A message that the troubleshooting page explains is one that the program can log."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "exporter").rglob("*.py"))


def test_every_explained_message_is_in_the_code():
    table = PAGE.partition("## By message")[2].partition("## By symptom")[0]
    messages = re.findall(r"`([^`]+)`", "".join(line.split("|")[1] for line in table.splitlines() if line[:3] == "| `"))
    parts = {part.strip(" ,") for message in messages for part in message.split("…")} - {""}

    assert len(messages) >= 12
    assert {part for part in parts if part not in SOURCE} == set()

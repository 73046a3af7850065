"""SECURITY.md names every request that the exporter sends."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_path_that_the_client_requests_is_documented():
    sources = (ROOT / "exporter" / "cometapi").glob("*.py")
    requested = {path for source in sources for path in re.findall(r'"(/api/[a-z/]+)"', source.read_text())}
    documented = set(re.findall(r"`(/api/[a-z/]+)", (ROOT / "SECURITY.md").read_text()))

    assert "/api/token/" in requested
    assert requested <= documented

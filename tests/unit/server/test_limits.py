"""The default limits, and what the documentation says of them."""

import resource
from pathlib import Path

import pytest

from exporter.server.limits import Limits
from exporter.server.phase import Phase

DOCUMENT = Path(__file__).parents[3] / "docs" / "web-config.md"


@pytest.mark.parametrize(
    ("soft_limit", "connections"),
    [(64, 32), (512, 256), (1024, 256), (resource.RLIM_INFINITY, 256)],
)
def test_connections_take_half_of_the_descriptors_at_most(
    soft_limit: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft_limit, soft_limit))

    assert Limits().connections == connections


def test_the_documented_limits_are_the_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    limits = Limits()
    table = {
        cells[1].strip().split(",")[0]: cells[2].strip()
        for cells in (line.split("|") for line in DOCUMENT.read_text(encoding="utf-8").splitlines())
        if len(cells) == 4
    }

    assert (
        table["TLS handshake"]
        == f"{limits.deadlines[Phase.HANDSHAKE]:g} s, {limits.handshakes} at a time"
    )
    assert (
        table["request headers"]
        == f"{limits.deadlines[Phase.HEAD]:g} s, {limits.head_bytes // 1024} KiB"
    )
    assert table["response"] == f"{limits.response_seconds:g} s"
    assert table["rest of an unexpected request body"] == f"{limits.deadlines[Phase.DISCARD]:g} s"
    assert table["idle time between two requests"] == f"{limits.deadlines[Phase.IDLE]:g} s"
    assert table["concurrent connections"].startswith(f"{limits.connections}, ")
    assert table["response data that clients have not read yet"].startswith(
        f"{limits.unread_bytes // 1024**2} MiB "
    )

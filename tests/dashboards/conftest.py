"""A real Prometheus with eight hours of history."""

from collections.abc import Iterator

import pytest
from dashboards.queries import Prometheus
from dashboards.serving import prometheus_with_history


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the sample history in its store."""
    with prometheus_with_history(tmp_path_factory.mktemp("prometheus")) as client:
        yield client

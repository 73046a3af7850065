"""Keep what hypothesis stores for itself, its table of all characters, out of the project."""

import tempfile
from pathlib import Path

from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "cometapi-exporter-hypothesis")

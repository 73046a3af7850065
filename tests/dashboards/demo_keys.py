"""The demo's keys as part of the sample history: what the pictures of the dashboards show.

Pure. The demo began three hours before the pictures are taken.
"""

from dataclasses import dataclass

from dashboards.sample_keys import END, HOUR

from exporter.demo.scenario import KEYS, DemoKey

BEGAN = END - 3 * HOUR


@dataclass(frozen=True, slots=True)
class PastDemoKey:
    """A key of the demo, with what a history needs of it."""

    key: DemoKey

    @property
    def id(self) -> int:
        return self.key.id

    @property
    def name(self) -> str:
        # The usual fonts lack other scripts, which pictures would show as boxes.
        return self.key.name if self.key.name.isascii() else "evaluation-cluster"

    @property
    def group(self) -> str:
        return self.key.group

    @property
    def expires_in(self) -> int | None:
        return None if self.key.expires_in is None else BEGAN + self.key.expires_in - END

    @property
    def created(self) -> int | None:
        return BEGAN - self.key.age

    def last_used_at(self, at: int) -> float | None:
        last = self.key.last_used(at - BEGAN)
        return None if last is None else BEGAN + last

    def status_at(self, _: int) -> int:
        return self.key.status

    def used_at(self, at: int) -> int:
        return self.key.used + self.key.spent(at - BEGAN)

    def remaining_at(self, at: int) -> int | None:
        return None if self.key.unlimited else self.key.remaining - self.key.spent(at - BEGAN)


DEMO = tuple(PastDemoKey(key) for key in KEYS)

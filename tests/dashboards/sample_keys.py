"""The keys of the sample history, in which everything happens that a dashboard must show.

Pure and deterministic.
"""

from dataclasses import dataclass

END = 1_750_003_200
MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleKey:
    """A key: its values at END, and what was otherwise until *changed_ago* seconds before it.

    Until then *used_before* more was used (a refund gave it back) and *granted* less was left.
    """

    id: int
    name: str
    group: str = "default"
    burn: int = 0
    used: int = 1_000_000
    remaining: int | None = 50_000_000
    expires_in: int | None = None
    status: int = 1
    status_before: int | None = None
    changed_ago: int = 0
    used_before: int = 0
    granted: int = 0
    created: int | None = END - 100 * DAY
    last_used: int | None = END - 5 * MINUTE

    def _is_before(self, at: int) -> bool:
        return at < END - self.changed_ago

    def status_at(self, at: int) -> int:
        before = self.status_before
        return before if before is not None and self._is_before(at) else self.status

    def used_at(self, at: int) -> int:
        refunded = self.used_before if self._is_before(at) else 0
        return self.used - self.burn * (END - at) + refunded

    def remaining_at(self, at: int) -> int | None:
        if self.remaining is None:
            return None
        not_yet = self.granted if self._is_before(at) else 0
        return self.remaining + self.burn * (END - at) - not_yet

    def last_used_at(self, _: int) -> float | None:
        return self.last_used


MAIN = (
    SampleKey(
        id=1, name="prod-web", group="vip", burn=500, used=90_000_000, remaining=2_000_000_000
    ),
    SampleKey(
        id=2,
        name="prod-batch",
        burn=3_000,
        used=400_000_000,
        remaining=150_000_000,
        expires_in=20 * DAY,
    ),
    SampleKey(id=3, name="no limit", group="", burn=100, used=30_000_000, remaining=None),
    SampleKey(id=4, name="renew me", expires_in=2 * DAY),
    SampleKey(id=5, name="only looks alive", expires_in=-HOUR),
    SampleKey(
        id=6,
        name="spent",
        status=4,
        status_before=1,
        changed_ago=90 * MINUTE,
        remaining=-120,
        granted=-5_000,
    ),
    SampleKey(
        id=7, name="expired", status=3, status_before=1, changed_ago=3 * HOUR, expires_in=-3 * HOUR
    ),
    SampleKey(id=8, name="switched off", status=2, status_before=1, changed_ago=5 * HOUR),
    SampleKey(id=9, name="twin", group="a"),
    SampleKey(id=10, name="twin", group="a"),
    SampleKey(id=11, name='数据 "quoted" \\ back', group="默认"),
    SampleKey(id=12, name="", group=""),
    SampleKey(id=13, name="never used", used=0, created=None, last_used=None),
    SampleKey(
        id=14,
        name="refunded",
        used=1_000_000,
        used_before=600_000,
        granted=600_000,
        changed_ago=20 * MINUTE,
    ),
    SampleKey(
        id=15, name="topped up", burn=50, used=9_000_000, granted=40_000_000, changed_ago=4 * HOUR
    ),
    SampleKey(id=16, name="switched on", status_before=2, changed_ago=6 * HOUR),
    SampleKey(id=17, name="next month", expires_in=40 * DAY),
    SampleKey(id=18, name="next year", expires_in=300 * DAY),
    SampleKey(id=19, name="tomorrow", expires_in=12 * HOUR),
    SampleKey(id=20, name="long dead", status=3, expires_in=-90 * DAY),
    SampleKey(id=21, name="dry", used=9_000_000, remaining=20, last_used=END - 40 * MINUTE),
)
SOLO = (SampleKey(id=1, name="the only one", group="", burn=10),)
CROWD = tuple(
    SampleKey(
        id=number,
        name=f"worker-{number}",
        group=f"g{number % 15}",
        burn=number,
        expires_in=DAY + number,
    )
    for number in range(1, 1001)
)

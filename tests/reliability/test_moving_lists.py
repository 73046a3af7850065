"""Towards the API, 4: moving lists. Keys are created and deleted while the pages are read, refresh after refresh."""

import asyncio
import gzip
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import stamina
from builders import CANARY_TOKEN, a_wire_key
from gateway import Gateway

from exporter.app import monitoring
from exporter.exposition.rendering import Format
from exporter.settings.load import load_settings

KEY = re.compile(rb'^cometapi_key_status\{.*key_id="(\d+)"', re.MULTILINE)


@dataclass
class Automation:
    """Creates and deletes keys at the gateway; *refresh* is the number of the one that runs."""

    gateway: Gateway
    dice: random.Random = field(default_factory=lambda: random.Random(20261123))
    created: int = 0
    died_in_refresh: dict[int, int] = field(default_factory=dict)
    refresh: int = 0

    def begin(self, count: int) -> None:
        self.gateway.keys = [a_wire_key(n) for n in range(1, count + 1)]
        self.created = count

    def create(self) -> None:
        self.created += 1
        self.gateway.keys = [*self.gateway.keys, a_wire_key(self.created)]

    def delete(self) -> None:
        keys = list(self.gateway.keys)
        self.died_in_refresh[keys.pop(self.dice.randrange(len(keys)))["id"]] = self.refresh
        self.gateway.keys = keys

    def now_and_then(self, chance: float, *, deletes: float) -> Callable[[object], None]:
        """Change up to three keys before a page is rendered, with a *chance* for each page."""

        def move(_request: object) -> None:
            if self.dice.random() < chance:
                for _ in range(self.dice.randint(1, 3)):
                    (self.delete if self.dice.random() < deletes else self.create)()

        return move

    def living(self) -> set[int]:
        return {key["id"] for key in self.gateway.keys}


@dataclass
class Figures:
    complete: int = 0
    inconsistent: int = 0
    missing: int = 0
    twice: int = 0
    ghosts: int = (
        0  # shown in the second refresh after the one in which they were deleted, or later
    )


async def play(gateway: Gateway, automation: Automation, refreshes: int) -> Figures:
    settings = load_settings(
        {"base_url": gateway.url, "max_requests_per_minute": "1000000"},
        {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN},
    )
    figures = Figures()
    async with monitoring(settings) as watch:
        for automation.refresh in range(refreshes):
            before = automation.living()
            await watch.refresh_once()
            (state,) = watch.snapshot.accounts.values()
            assert state.failing is None, state.error
            living = automation.living()
            shown = Counter(
                int(key_id)
                for key_id in KEY.findall(
                    gzip.decompress(b"".join(await watch.exposition.gzipped(Format.TEXT)))
                )
            )
            figures.complete += state.outcome == "success"
            figures.inconsistent += state.outcome == "inconsistent"
            figures.missing += len((before & living) - shown.keys())
            figures.twice += sum(count > 1 for count in shown.values())
            figures.ghosts += sum(
                automation.died_in_refresh.get(key_id, refreshes) < automation.refresh - 1
                for key_id in shown
            )
    return figures


def watch_it_move(refreshes: int, chance: float, *, deletes: float) -> Figures:
    with stamina.set_testing(True, attempts=3), Gateway() as gateway:
        automation = Automation(gateway)
        automation.begin(430)
        gateway.before_page = automation.now_and_then(chance, deletes=deletes)
        figures = asyncio.run(play(gateway, automation, refreshes))
    print(
        f"{figures}, {automation.created - 430} created, {len(automation.died_in_refresh)} deleted"
    )
    return figures


@pytest.mark.parametrize(
    ("chance", "refreshes", "least_complete"),
    [(0.15, 80, 78), (1.0, 25, 17)],
    ids=["busy", "frantic"],
)
def test_no_living_key_is_ever_missing_no_dead_one_stays_and_none_is_shown_twice(
    chance, refreshes, least_complete
):
    figures = watch_it_move(refreshes, chance, deletes=0.5)

    assert (figures.missing, figures.twice, figures.ghosts) == (0, 0, 0)
    assert figures.complete >= least_complete


def test_creations_alone_make_no_refresh_inconsistent():
    assert watch_it_move(40, 1.0, deletes=0) == Figures(complete=40)

"""Towards the API, 4: moving lists. Keys are made and deleted while the pages are read, refresh after refresh."""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field

import pytest
import stamina
from builders import CANARY_TOKEN, a_wire_key
from gateway import Gateway

from exporter.rendering import Form
from exporter.settings import load_settings
from exporter.watch import watching

KEY = re.compile(rb'^cometapi_key_status\{.*key_id="(\d+)"', re.MULTILINE)


@dataclass
class Automation:
    """Creates and deletes keys at the gateway before pages are rendered, with a chance for each page."""

    gateway: Gateway
    chance: float
    dice: random.Random = field(default_factory=lambda: random.Random(20261123))
    born: int = 0
    died_in_refresh: dict[int, int] = field(default_factory=dict)
    refresh: int = 0

    def begin(self, count: int) -> None:
        self.gateway.keys = [a_wire_key(n) for n in range(1, count + 1)]
        self.born = count

    def move(self, _request: object) -> None:
        if self.dice.random() >= self.chance:
            return
        keys = list(self.gateway.keys)
        for _ in range(self.dice.randint(1, 3)):
            if self.dice.random() < 0.5 and keys:
                self.died_in_refresh[keys.pop(self.dice.randrange(len(keys)))["id"]] = self.refresh
            else:
                self.born += 1
                keys.append(a_wire_key(self.born))
        self.gateway.keys = keys

    def living(self) -> set[int]:
        return {key["id"] for key in self.gateway.keys}


@dataclass
class Figures:
    consistent: int = 0
    inconsistent: int = 0
    missing: int = 0
    twice: int = 0
    undead: int = 0


async def play(gateway: Gateway, automation: Automation, refreshes: int) -> Figures:
    settings = load_settings(
        {"base_url": gateway.url, "max_requests_per_minute": "1000000"}, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN}
    )
    figures = Figures()
    consistent_refreshes: list[int] = []
    async with watching(settings) as watch:
        (refresher,) = watch.refreshers
        for automation.refresh in range(refreshes):
            before = automation.living()
            outcome = await refresher.read()
            assert outcome.failure is None, outcome.failure
            refresher.state = outcome.state
            await watch.publish(outcome.state)
            shown = Counter(
                int(key_id) for key_id in KEY.findall(await watch.exposition.whole(Form.TEXT, gzipped=False))
            )
            if outcome.label == "success":
                figures.consistent += 1
                consistent_refreshes.append(automation.refresh)
            else:
                figures.inconsistent += 1
            figures.missing += len((before & automation.living()) - shown.keys())
            figures.twice += sum(count > 1 for count in shown.values())
            old_enough = consistent_refreshes[-2] if len(consistent_refreshes) > 1 else -1
            figures.undead += sum(automation.died_in_refresh.get(key_id, refreshes) < old_enough for key_id in shown)
    return figures


@pytest.mark.parametrize(
    ("chance", "refreshes", "settles"),
    [(0.02, 100, True), (0.15, 200, True), (1.0, 60, False)],
    ids=["calm", "busy", "frantic"],
)
def test_no_living_key_is_ever_missing_no_dead_one_stays_and_none_is_shown_twice(chance, refreshes, settles):
    with stamina.set_testing(True, attempts=3), Gateway() as gateway:
        automation = Automation(gateway, chance)
        automation.begin(430)
        gateway.before_page = automation.move
        figures = asyncio.run(play(gateway, automation, refreshes))

    print(f"{figures}, {automation.born} keys made, {len(automation.died_in_refresh)} died")  # shown by pytest -s
    assert figures.missing == 0
    assert figures.twice == 0
    assert figures.undead == 0
    assert (figures.consistent > refreshes / 2) is settles

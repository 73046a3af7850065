"""Each change that a person makes at the gateway is one event, whatever else moves."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import stamina
from builders import CANARY_TOKEN, a_wire_key
from gateway import Gateway

from exporter.app import monitoring
from exporter.settings.load import load_settings
from exporter.site.api import changes_document
from exporter.site.choose_changes import ChangesQuery

Act = Callable[[Gateway], None]
EXPIRY = 1_900_000_000
LIMITED = {
    "expired_time": EXPIRY,
    "allow_ips": "192.0.2.7",
    "model_limits_enabled": True,
    "model_limits": "small,large",
}


def update(**fields: Any) -> Act:
    """Return what sets these fields of key 2."""

    def act(gateway: Gateway) -> None:
        gateway.keys = [key | fields if key["id"] == 2 else key for key in gateway.keys]

    return act


def create(gateway: Gateway) -> None:
    gateway.keys = [*gateway.keys, a_wire_key(max(key["id"] for key in gateway.keys) + 1)]


def delete(gateway: Gateway) -> None:
    gateway.keys = [key for key in gateway.keys if key["id"] != 2]


def use(gateway: Gateway) -> None:
    """Spend with most keys, refund some, and note that some are exhausted, or not any more."""
    for number, key in enumerate(gateway.keys):
        units = -50 if number % 5 == 0 else 70
        key["remain_quota"] -= units
        key["used_quota"] += units
        key["accessed_time"] += 60
        if number % 7 == 0:
            key["status"] = 4 if key["status"] == 1 else 1


def events(gateway: Gateway, *acts: Act) -> Sequence[dict[str, Any]]:
    """Read the gateway, then again after each of *acts*; return the changes, oldest first."""

    async def read() -> bytes:
        settings = load_settings(
            {"base_url": gateway.url, "max_requests_per_minute": "1000000"},
            {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN},
        )
        async with monitoring(settings) as watch:
            await watch.refresh_once()
            for act in acts:
                act(gateway)
                await watch.refresh_once()
            return changes_document(watch.snapshot, ChangesQuery())

    with gateway, stamina.set_testing(True, attempts=3):
        found = json.loads(asyncio.run(read()))["changes"]
    return found[::-1]


@pytest.mark.parametrize(
    ("before", "act", "expected"),
    [
        ({}, create, ("created", None, None)),
        ({}, delete, ("deleted", None, None)),
        ({}, update(name="bot"), ("renamed", "key 2", "bot")),
        ({}, update(group="vip"), ("group_changed", "", "vip")),
        ({}, update(status=2), ("disabled", "enabled", "disabled")),
        ({"status": 2}, update(status=1), ("enabled", "disabled", "enabled")),
        ({}, update(remain_quota=999_000), ("quota_raised", "$1.00", "$2.00")),
        ({}, update(remain_quota=249_000), ("quota_lowered", "$1.00", "$0.50")),
        ({}, update(unlimited_quota=True), ("quota_limit_removed", "$1.00", "unlimited")),
        (
            {"unlimited_quota": True},
            update(unlimited_quota=False),
            ("quota_limit_set", "unlimited", "$1.00"),
        ),
        ({}, update(expired_time=EXPIRY), ("expiry_set", "never", "2030-03-17 17:46:40 UTC")),
        (
            {"expired_time": EXPIRY},
            update(expired_time=EXPIRY + 60),
            ("expiry_extended", "2030-03-17 17:46:40 UTC", "2030-03-17 17:47:40 UTC"),
        ),
        (
            {"expired_time": EXPIRY},
            update(expired_time=0),
            ("expiry_shortened", "2030-03-17 17:46:40 UTC", "1970-01-01 00:00:00 UTC"),
        ),
        (
            {"expired_time": EXPIRY},
            update(expired_time=-1),
            ("expiry_removed", "2030-03-17 17:46:40 UTC", "never"),
        ),
        ({}, update(allow_ips="192.0.2.7"), ("ip_allowlist_set", "none", "1 entry")),
        (
            {"allow_ips": "192.0.2.7"},
            update(allow_ips="192.0.2.7\n0.0.0.0/0"),
            ("ip_allowlist_changed", "1 entry", "2 entries, any address"),
        ),
        (
            {"allow_ips": "192.0.2.7"},
            update(allow_ips=""),
            ("ip_allowlist_removed", "1 entry", "none"),
        ),
        (
            {},
            update(model_limits_enabled=True, model_limits="small,large"),
            ("model_limits_set", "none", "2 entries"),
        ),
        (
            LIMITED,
            update(model_limits="small,huge"),
            ("model_limits_changed", "2 entries", "2 entries"),
        ),
        (
            LIMITED,
            update(model_limits_enabled=False),
            ("model_limits_removed", "2 entries", "none"),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_change_at_the_gateway_is_one_event(before, act, expected):
    keys = [a_wire_key(1), a_wire_key(2, remain_quota=499_000) | before, a_wire_key(3)]

    found = events(Gateway(keys=keys), use, act, use)

    assert [(each["change"], each["before"], each["after"]) for each in found] == [expected]


def test_an_update_that_leaves_fields_out_tells_each_that_it_resets():
    keys = [a_wire_key(1), a_wire_key(2) | LIMITED]
    careless = update(expired_time=-1, allow_ips=None, model_limits_enabled=False, model_limits="")

    found = events(Gateway(keys=keys), careless)

    assert [each["change"] for each in found] == [
        "expiry_removed",
        "ip_allowlist_removed",
        "model_limits_removed",
    ]


@pytest.mark.parametrize(
    "act",
    [
        use,
        update(allow_ips=["no", "text"]),
        update(expired_time="never"),
        update(name=5),
        update(status="odd"),
    ],
    ids=["use", "addresses", "expiry", "name", "status"],
)
def test_use_and_what_cannot_be_read_are_no_event(act):
    keys = [a_wire_key(number) | LIMITED for number in range(1, 30)]

    assert events(Gateway(keys=keys), act, update(**a_wire_key(2) | LIMITED)) == []


def test_another_account_behind_the_token_is_no_event():
    def become_another(gateway: Gateway) -> None:
        gateway.account = {**gateway.account, "id": 99}
        gateway.keys = [a_wire_key(number) for number in range(50, 60)]

    keys = [a_wire_key(number) for number in range(1, 10)]

    assert events(Gateway(keys=keys), become_another, use, use) == []


def test_in_a_moving_list_each_key_that_comes_or_goes_is_one_event_and_no_other_is_any():
    dice = random.Random(20261129)
    gateway = Gateway(keys=[a_wire_key(number) | LIMITED for number in range(1, 351)])
    created, deleted = [], []

    def move(_request: object) -> None:
        keys = list(gateway.keys)
        if dice.random() < 0.15:
            deleted.append(keys.pop(dice.randrange(len(keys)))["id"])
        if dice.random() < 0.15:
            created.append(max(key["id"] for key in keys) + 1)
            keys.append(a_wire_key(created[-1]))
        gateway.keys = keys

    def begin(_gateway: Gateway) -> None:
        gateway.before_page = move

    def rest(_gateway: Gateway) -> None:
        gateway.before_page = None

    found = events(gateway, begin, *([use] * 40), rest, use)

    told = Counter((each["change"], each["key_id"]) for each in found)
    assert {change for change, _ in told} == {"created", "deleted"}
    assert max(told.values()) == 1
    lived_long_enough = {id_ for id_ in created if id_ not in deleted}
    assert {id_ for change, id_ in told if change == "created"} >= lived_long_enough
    assert {id_ for change, id_ in told if change == "deleted"} <= set(deleted)

"""Make the one key set that every server of a comparison serves.

Pure: no clock (the time is an argument), no network. Writes what a gateway would send: pages of
JSON.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PAGE_SIZE = 100
FIRST_EXPIRY_SECONDS = 20
GROUPS = ("", "default", "vip", "batch", "internal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What moves: the *share* of the keys that were used since the other version of the list, expiries a second."""

    share: float = 0.0
    version: int = 0
    expiries: float = 0.0


NOTHING = Change()


def wire_key(number: int, now: int, change: Change = NOTHING) -> dict[str, Any]:
    """Make key *number*: half of them expire (none within the next hour), a fifth are unlimited, some never used."""
    ahead = 3600 + number * 97 % 20_000_000
    expiry = now - 86_400 - number if number % 30 == 1 else now + ahead
    if change.expiries:
        expiry = now + FIRST_EXPIRY_SECONDS + int(number / 2 / change.expiries)
    used = change.version * (number * 7919 % 1000 < change.share * 1000)
    return {
        "id": number,
        "user_id": 1,
        "key": f"{number:048d}",
        "status": (1, 1, 1, 1, 1, 1, 1, 2, 3, 4)[number % 10],
        "name": f"team-{number % 97} service {number}"
        if number % 50
        else f'équipe "{number}" 密钥',
        "created_time": now - 8_640_000 - number,
        "accessed_time": now if used else 0 if number % 4 == 0 else now - number * 60 % 2_000_000,
        "expired_time": expiry if number % 2 else -1,
        "remain_quota": number * 1013 % 50_000_000 - 1000 - used * 211,
        "unlimited_quota": number % 5 == 0,
        "model_limits_enabled": number % 3 == 0,
        "model_limits": "gpt-5,claude" if number % 3 == 0 else "",
        "allow_ips": "10.0.0.0/8" if number % 7 == 0 else "",
        "used_quota": number * 7919 % 90_000_000 + used * 211,
        "group": GROUPS[number % len(GROUPS)],
        "cross_group_retry": number % 11 == 0,
    }


def pages(count: int, now: int, change: Change = NOTHING) -> Iterator[bytes]:
    """Yield the pages of *count* keys, newest first, and an empty one behind them."""
    numbers = range(count, 0, -1)
    for page, start in enumerate(range(0, count + PAGE_SIZE, PAGE_SIZE), start=1):
        items = [wire_key(number, now, change) for number in numbers[start : start + PAGE_SIZE]]
        yield json.dumps(
            {
                "success": True,
                "message": "",
                "data": {"page": page, "page_size": PAGE_SIZE, "total": count, "items": items},
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()


ACCOUNT = json.dumps(
    {
        "success": True,
        "message": "",
        "data": {
            "id": 1,
            "username": "benchmark",
            "quota": 24_997_909,
            "used_quota": 10_027_091,
            "request_count": 339,
            "group": "default",
            "status": 1,
        },
    }
).encode()

STATUS = json.dumps(
    {
        "success": True,
        "message": "",
        "data": {"system_name": "benchmark", "quota_per_unit": 500_000, "version": "v1.0.0"},
    }
).encode()

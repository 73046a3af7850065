"""Build what the vendor sends, saying only what a test is about.

Pure: no clock, no randomness. The wire builders speak the gateway's format: plain dicts, as in its
JSON.
"""

from typing import Any

CANARY_KEY = "CANARYkeyMustNeverBeSeenOutsideTheGateway0123456"
"""Looks like a full 48-character API key: it must show up nowhere but in the gateway's answers."""

CANARY_TOKEN = "CANARYaccessTokenMustNeverBeSeen"
"""The access token that the simulated gateway accepts: it must show up nowhere but in requests to it."""

CANARY_EMAIL = "canary.owner@example.org"
"""Personal data of the account answer: it must show up nowhere else."""

WIRE_NOW = 1_750_000_000
"""The unix time around which wire keys are created and expire unless a test says otherwise."""

DAY_SECONDS = 86_400


def a_wire_key(id: int = 1, **over: Any) -> dict[str, Any]:  # noqa: A002 - the vendor's word
    """Build one key as the gateway sends it: enabled, never expiring, 1 USD left, used once."""
    return {
        "id": id,
        "user_id": 1,
        "key": CANARY_KEY,
        "status": 1,
        "name": f"key {id}",
        "created_time": WIRE_NOW - 30 * DAY_SECONDS,
        "accessed_time": WIRE_NOW - DAY_SECONDS,
        "expired_time": -1,
        "remain_quota": 500_000,
        "unlimited_quota": False,
        "model_limits_enabled": False,
        "model_limits": "",
        "allow_ips": "",
        "used_quota": 1_000,
        "group": "",
        "cross_group_retry": False,
    } | over


def wire_keys(count: int, *, now: int = WIRE_NOW) -> list[dict[str, Any]]:
    """Build keys 1 to *count*, varied by their id so that expected figures can be worked out by hand.

    Status 2, 3, 4 for ids ending in 2, 3, 4 and otherwise 1; group "", "default", "vip" by id
    modulo 3. Odd ids expire (id - 10) days after *now*, so 1 to 9 already have; even ids never do.
    Ids divisible by 5 are unlimited; (id - 3) thousand units are left, 7 units per id are spent.
    Ids divisible by 4 were never used: last used when they were created, those divisible by 8 at 0.
    Ids divisible by 7 have a name that needs escaping.
    """
    return [_varied_wire_key(id_, now) for id_ in range(1, count + 1)]


def _varied_wire_key(id_: int, now: int) -> dict[str, Any]:
    created, is_used = now - 100 * DAY_SECONDS + id_, id_ % 4 != 0
    return a_wire_key(
        id_,
        status=id_ % 10 if id_ % 10 in (2, 3, 4) else 1,
        name=f'ключ "{id_}" \\ 密钥\n🔑' if id_ % 7 == 0 else f"key {id_}",
        group=("", "default", "vip")[id_ % 3],
        created_time=created,
        accessed_time=now - id_ * 60 if is_used else created if id_ % 8 else 0,
        expired_time=now + (id_ - 10) * DAY_SECONDS if id_ % 2 else -1,
        unlimited_quota=id_ % 5 == 0,
        remain_quota=(id_ - 3) * 1_000,
        used_quota=id_ * 7 if is_used else 0,
    )


def a_wire_account(**over: Any) -> dict[str, Any]:
    """Build the account as the gateway sends it, personal data and all."""
    return {
        "id": 1,
        "username": "canary-owner",
        "display_name": "Canary Owner",
        "email": CANARY_EMAIL,
        "role": 1,
        "status": 1,
        "group": "default",
        "quota": 24_997_909,
        "used_quota": 10_027_091,
        "request_count": 339,
    } | over


def a_wire_subscription(id: int = 1, **over: Any) -> dict[str, Any]:  # noqa: A002 - the vendor's word
    """Build one subscription as the gateway sends it: running for 30 days, 2 USD in all, none spent."""
    return {
        "id": id,
        "user_id": 1,
        "plan_id": 1,
        "amount_total": 1_000_000,
        "amount_used": 0,
        "start_time": WIRE_NOW - DAY_SECONDS,
        "end_time": WIRE_NOW + 29 * DAY_SECONDS,
        "status": "active",
        "next_reset_time": 0,
        "allow_wallet_overflow": True,
    } | over

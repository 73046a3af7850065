"""A whole list over real sockets: every size, every cap, every API variant."""

import pytest
from builders import CANARY_TOKEN, wire_keys
from gateway import GROUPS_PATH, STATUS_PATH, USAGE_PATH, Gateway
from sessions import Session

from exporter.credentials import Secret
from exporter.errors import Reason
from exporter.model import Amounts, GatewayStatus, Series


def ids_of(listing) -> list[int]:
    return sorted(key.id for key in listing.keys)


@pytest.mark.parametrize(
    ("count", "pages"), [(0, 1), (99, 1), (100, 2), (101, 2), (2_345, 24)], ids=str
)
def test_every_key_is_listed_once_with_as_few_requests_as_can_prove_it(count, pages):
    with Gateway(keys=wire_keys(count)) as gateway:
        listing = Session(url=gateway.url).keys()

    assert ids_of(listing) == list(range(1, count + 1))
    assert (listing.is_complete, listing.proves_absence, listing.skipped) == (True, True, 0)
    assert sorted(gateway.pages_asked()) == list(range(1, pages + 1))


@pytest.mark.parametrize("cap", [1, 7, 20, 99])
def test_a_gateway_with_a_lower_cap_is_believed(cap):
    with Gateway(keys=wire_keys(40), page_cap=cap) as gateway:
        listing = Session(url=gateway.url).keys()

    assert ids_of(listing) == list(range(1, 41))
    assert listing.is_complete
    assert sorted(gateway.pages_asked()) == list(range(1, 40 // cap + 2))


@pytest.mark.parametrize(
    "variant", ["june-2025", "veloera", "older", "one-api", "one-hub", "apiyi"]
)
@pytest.mark.parametrize(
    ("count", "null_items"),
    [
        (0, False),
        (9, False),
        (10, False),
        (11, False),
        (100, False),
        (205, False),
        (1, True),
        (100, True),
    ],
)
def test_every_variant_is_listed_whole(variant, count, null_items):
    with Gateway(keys=wire_keys(count), variant=variant, null_items=null_items) as gateway:
        listing = Session(url=gateway.url).keys()

    assert ids_of(listing) == list(range(1, count + 1))
    assert listing.is_complete
    assert listing.proves_absence is (variant in {"june-2025", "one-hub"})


@pytest.mark.parametrize("variant", ["new-api", "veloera"])
def test_the_user_id_is_sent_by_the_name_that_the_gateway_requires(variant):
    with Gateway(keys=wire_keys(3), user_id=42, variant=variant) as gateway:
        missing = Session(url=gateway.url).failure()
        listing = Session(url=gateway.url, user_id=42).keys()

    assert missing.reason is Reason.UNAUTHORIZED
    assert "requires a user ID: none is set" in str(missing)
    assert ids_of(listing) == [1, 2, 3]


def test_groups_subscription_and_usage_are_read_where_they_are_offered():
    row = {"model_name": "small", "quota": 5, "token_used": 9, "count": 1}
    offers = {
        STATUS_PATH: {"version": "v1.2", "enable_data_export": True},
        GROUPS_PATH: {"vip": {"desc": "", "ratio": 2}},
        USAGE_PATH: lambda query: [row] if query["start_timestamp"] == "3600" else None,
    }

    async def read(client):
        token = Secret(CANARY_TOKEN)
        return (
            await client.read_status(token),
            await client.read_groups(token),
            await client.read_usage(token, 3_600, 3_600, by_key=False),
        )

    with Gateway(offers=offers) as gateway:
        status, groups, usage = Session(url=gateway.url).use(read)

    assert status == GatewayStatus(version="v1.2", quota_units_per_usd=500_000.0, has_usage=True)
    assert groups == {"vip": 2.0}
    assert usage == {Series(model="small"): Amounts(quota=5, tokens=9, requests=1)}

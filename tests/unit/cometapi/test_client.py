"""What the client asks for and how it counts, tries again and relists. No sockets: a gateway is a function."""

import asyncio
import json
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
import respx
import sessions
from builders import CANARY_TOKEN, a_wire_account, a_wire_key

from exporter.cometapi.answer import Answer
from exporter.cometapi.client import CometClient
from exporter.credentials import Secret
from exporter.errors import (
    AccountDisabled,
    ApiError,
    InvalidResponse,
    RateLimited,
    Rejected,
    ServerFault,
    TooManyKeys,
    Unauthorized,
)
from exporter.model import (
    Amounts,
    Balance,
    BillingPreference,
    GatewayStatus,
    Listing,
    Series,
    Subscriptions,
)

TOKEN = Secret(CANARY_TOKEN)
NULL_PAGE = {"success": True, "message": "", "data": None}


class Body(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self):
        yield self.content


def an_answer(status: int = 200, content: object = None, **headers: str) -> httpx.Response:
    body = b"" if content is None else json.dumps(content).encode()
    return httpx.Response(
        status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        stream=Body(body),
    )


def a_rejection(status: int) -> httpx.Response:
    return an_answer(status, {"success": False, "message": "no"})


def a_page(*ids: int, total: int, size: int = 100) -> httpx.Response:
    items = [a_wire_key(key_id) for key_id in ids]
    return an_answer(
        content={"success": True, "data": {"total": total, "page_size": size, "items": items}}
    )


def a_bare_page(*ids: int) -> httpx.Response:
    return an_answer(content={"success": True, "data": [a_wire_key(key_id) for key_id in ids]})


@dataclass
class Session(sessions.Session):
    """A client whose gateway is the function *answer*, and what it asked. Made-up time: sleeping is free."""

    answer: Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
    url: str = field(default="https://gateway.example", kw_only=True)
    asked: list[httpx.Request] = field(default_factory=list)
    now: float = 0.0

    def use(self, work):
        """Run *work* with the client."""
        with respx.mock as gateway:
            gateway.route().mock(side_effect=self._answer)
            return super().use(work)

    @property
    def pages(self) -> list[str]:
        return [request.url.params["p"] for request in self.asked]

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds

    def _answer(self, request: httpx.Request) -> httpx.Response | Awaitable[httpx.Response]:
        self.asked.append(request)
        return self.answer(request)


def in_turn(*answers: Callable[[], httpx.Response]):
    """Answer each request with the next of *answers*, after them with the last."""
    left = list(answers)
    return lambda _request: (left.pop(0) if len(left) > 1 else left[0])()


def ids_of(listing: Listing) -> list[int]:
    return [key.id for key in listing.keys]


# One request


@pytest.mark.parametrize(("user_id", "sent"), [(None, None), (42, "42")])
def test_the_headers_are_the_raw_token_and_the_user_where_there_is_one(user_id, sent):
    session = Session(
        lambda _: an_answer(content={"success": True, "data": a_wire_account()}), user_id=user_id
    )
    balance = session.use(lambda client: client.read_balance(TOKEN))

    (request,) = session.asked
    names = (
        "New-Api-User",
        "Veloera-User",
        "Rix-Api-User",
        "voapi-user",
        "X-Api-User",
        "User-id",
        "neo-api-user",
    )
    assert str(request.url) == "https://gateway.example/api/user/self"
    assert request.headers["authorization"] == CANARY_TOKEN
    assert [request.headers.get(name) for name in names] == [sent] * 7
    assert balance == Balance(
        remaining_quota=24_997_909, used_quota=10_027_091, requests=339, account_id=1
    )


def test_a_refused_answer_is_not_kept_in_memory_by_its_error():
    session = Session(lambda _: an_answer(content=["not an account"]))
    with pytest.raises(InvalidResponse) as caught:
        session.use(lambda client: client.read_balance(TOKEN))

    frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert caught.value.__context__ is None
    assert not [each for names in frames for each in names.values() if isinstance(each, Answer)]


def test_how_far_the_clocks_are_apart_is_known_from_an_answer():
    account, date = {"success": True, "data": a_wire_account()}, "Sat, 01 Jan 2000 00:00:00 GMT"

    async def skew(client: CometClient) -> float | None:
        await client.read_balance(TOKEN)
        return client.dialect.clock_skew

    known = Session(lambda _: an_answer(content=account, date=date)).use(skew)
    assert known == pytest.approx(time.time() - 946_684_800, abs=60)


def test_every_request_is_counted_with_its_status_and_every_page_is_progress():
    session = Session(in_turn(lambda: an_answer(503), lambda: a_page(1, total=1)))
    session.keys()

    assert session.counted == ["/api/token/ 503", "/api/token/ 200"]
    assert session.pages_seen == 1


def test_a_request_without_an_answer_is_tried_three_times_and_counted_as_none():
    def refuse(_request):
        raise httpx.ConnectError("no")

    session = Session(refuse)

    assert session.failure().reason == "unreachable"
    assert session.counted == ["/api/token/ none"] * 3


def test_a_request_that_the_exporter_gives_up_is_counted_as_cancelled():
    asked = asyncio.Event()

    async def never(_request):
        asked.set()
        await asyncio.Event().wait()

    async def give_up(client):
        task = asyncio.create_task(client.read_balance(TOKEN))
        await asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    session = Session(never)

    assert session.use(give_up)
    assert session.counted == ["/api/user/self cancelled"]


def test_trouble_that_passes_is_tried_three_times():
    healing = Session(
        in_turn(lambda: an_answer(500), lambda: an_answer(524), lambda: a_page(1, total=1))
    )
    lasting = Session(lambda _: an_answer(503))

    assert ids_of(healing.keys()) == [1]
    assert isinstance(lasting.failure(), ServerFault)
    assert (len(healing.asked), len(lasting.asked)) == (3, 3)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: a_rejection(401), Unauthorized),
        (lambda: a_rejection(404), InvalidResponse),
        (lambda: an_answer(429), RateLimited),
        (lambda: an_answer(content={"success": False}), Rejected),
        (lambda: an_answer(403, {"success": False, "code": "AUTH_USER_DISABLED"}), AccountDisabled),
    ],
    ids=["401", "404", "429", "rejected", "disabled"],
)
def test_trouble_that_stays_is_tried_once(answer, kind):
    session = Session(lambda _: answer())

    assert isinstance(session.failure(), kind)
    assert len(session.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_short_pause_that_the_gateway_asks_for_is_waited_for(status):
    session = Session(
        in_turn(lambda: an_answer(status, Retry_After="5"), lambda: a_page(1, total=1))
    )

    assert ids_of(session.keys()) == [1]
    assert (session.now, len(session.asked)) == (5.0, 2)


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_pause_fails_at_once_and_holds_back_the_next_requests_too(status):
    session = Session(lambda _: an_answer(status, Retry_After="6"))

    async def twice(client):
        errors = []
        for _ in range(2):
            try:
                await client.list_keys(TOKEN)
            except ApiError as error:
                errors.append(error.retry_after)
        return errors

    assert session.use(twice) == [6.0, 6.0]
    assert session.counted == [f"/api/token/ {status}"]


# Listings


def test_pages_are_asked_for_by_number_from_one_a_hundred_at_a_time():
    session = Session(
        in_turn(lambda: a_page(3, 2, total=3, size=2), lambda: a_page(1, total=3, size=2))
    )

    assert ids_of(session.keys()) == [3, 2, 1]
    assert [(request.url.path, request.url.query) for request in session.asked] == [
        ("/api/token/", b"p=1&page=1&page_size=100&size=100"),
        ("/api/token/", b"p=2&page=2&page_size=100&size=100"),
    ]


def test_pages_that_contradict_each_other_are_listed_again():
    session = Session(
        in_turn(
            lambda: a_page(4, 3, total=4, size=2),
            lambda: a_page(1, total=3, size=2),
            lambda: a_page(size=2, total=3),
            lambda: a_page(3, 2, total=3, size=2),
            lambda: a_page(1, total=3, size=2),
        ),
        concurrency=1,
    )
    listing = session.keys()

    assert listing.is_complete
    assert (ids_of(listing), len(session.asked)) == ([3, 2, 1], 5)


def test_what_does_not_settle_in_three_listings_is_their_union():
    session = Session(
        in_turn(
            lambda: a_page(3, total=9),
            lambda: a_page(total=9),
            lambda: a_page(2, total=9),
            lambda: a_page(total=9),
        ),
        concurrency=1,
    )
    listing = session.keys()

    assert not listing.is_complete
    assert (ids_of(listing), session.pages) == ([3, 2], ["1", "2", "1", "2", "1"])


def test_a_bare_list_makes_the_client_count_pages_from_zero_from_then_on():
    pages = {"0": (3, 2), "1": (1,)}
    session = Session(lambda request: a_bare_page(*pages[request.url.params["p"]]))

    async def twice(client):
        return [await client.list_keys(TOKEN) for _ in range(2)]

    listings = session.use(twice)

    assert [ids_of(listing) for listing in listings] == [[3, 2, 1], [3, 2, 1]]
    assert session.pages == ["1", "0", "1", "0", "1"]


def test_null_beyond_the_end_of_an_older_gateway_s_list_makes_the_client_ask_from_zero():
    """The first page asked for, number one, is the second of a gateway that counts from zero."""
    session = Session(
        lambda request: (
            a_bare_page(2, 1) if request.url.params["p"] == "0" else an_answer(content=NULL_PAGE)
        )
    )

    assert ids_of(session.keys()) == [2, 1]
    assert session.pages == ["1", "0", "1"]


def test_null_from_the_first_page_on_is_an_invalid_response_and_no_empty_account():
    session = Session(lambda _: an_answer(content=NULL_PAGE))

    assert isinstance(session.failure(), InvalidResponse)
    assert session.pages == ["1", "0"]


def test_a_gateway_that_was_upgraded_turns_the_client_back():
    modern = False

    def answer(request):
        if not modern:
            return a_bare_page(*((1,) if request.url.params["p"] == "0" else ()))
        return a_page(2, 1, total=2)

    session = Session(answer)

    async def before_and_after(client):
        nonlocal modern
        await client.list_keys(TOKEN)
        modern = True
        session.asked.clear()
        return await client.list_keys(TOKEN)

    listing = session.use(before_and_after)

    assert (ids_of(listing), listing.is_complete, listing.proves_absence) == ([2, 1], True, True)
    assert session.pages == ["0", "1"]


def test_one_page_that_cannot_be_had_fails_the_listing_and_leaves_nothing_under_way():
    async def answer(request):
        page = int(request.url.params["p"])
        if page == 3:
            return a_rejection(401)
        if page > 3:
            await asyncio.Event().wait()
        return a_page(100 - page, total=50, size=1)

    async def fail_and_look(client):
        with pytest.raises(Unauthorized):
            await client.list_keys(TOKEN)
        return asyncio.all_tasks() - {asyncio.current_task()}

    session = Session(answer)

    assert session.use(fail_and_look) == set()
    assert len(session.asked) > 3


def test_the_token_is_an_argument_of_each_call_and_kept_nowhere():
    session = Session(lambda _: a_page(1, total=1))

    async def rotate(client):
        await client.list_keys(TOKEN)
        await client.list_keys(Secret("second"))
        return repr([vars(client), vars(client._connections)])

    assert "CANARY" not in session.use(rotate)
    assert [request.headers["authorization"] for request in session.asked] == [
        CANARY_TOKEN,
        "second",
    ]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_pages_are_asked_for_together_than_allowed(concurrency):
    at_once, most = 0, 0

    async def answer(request):
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        await asyncio.sleep(0.001)
        at_once -= 1
        page = int(request.url.params["p"])
        return a_page(*([30 - page] if page <= 9 else []), total=9, size=1)

    assert len(Session(answer, concurrency=concurrency).keys().keys) == 9
    assert most == concurrency


def test_after_a_moving_list_pages_are_asked_for_one_at_a_time_until_it_rests():
    """Three keys, one a page; while the first listing runs a fourth is created behind page one's back."""
    at_once, most, ids = 0, [], [3, 2, 1]

    async def answer(request):
        nonlocal at_once
        at_once += 1
        most[-1] = max(most[-1], at_once)
        await asyncio.sleep(0)
        at_once -= 1
        page, total = int(request.url.params["p"]), len(ids)
        shown = ids[page - 1 : page]
        if len(most) == 1 and page == 1:
            ids.insert(0, 4)
        return a_page(*shown, total=total, size=1)

    async def three_times(client):
        listings = []
        for _ in range(3):
            most.append(0)
            listings.append(await client.list_keys(TOKEN))
        return listings

    listings = Session(answer).use(three_times)

    assert [listing.changed_while_read for listing in listings] == [True, False, False]
    assert [sorted(ids_of(listing)) for listing in listings] == [
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
    ]
    assert (most[0] > 1, most[1], most[2] > 1) == (True, 1, True)


def test_more_keys_than_allowed_fail_as_soon_as_they_have_come():
    session = Session(
        lambda request: a_page(1_000 - int(request.url.params["p"]), total=500, size=1),
        concurrency=1,
        max_keys=3,
    )

    assert isinstance(session.failure(), TooManyKeys)
    assert len(session.asked) == 4


# Endpoints beside the keys


@pytest.mark.parametrize(
    ("read", "path", "data", "value"),
    [
        pytest.param(
            CometClient.read_status,
            "/api/status",
            {"version": "v1.0", "quota_per_unit": 1000, "enable_data_export": True},
            GatewayStatus(version="v1.0", quota_units_per_usd=1000.0, has_usage=True),
            id="status",
        ),
        pytest.param(
            CometClient.read_groups,
            "/api/user/self/groups",
            {"vip": {"desc": "x", "ratio": 1.5}},
            {"vip": 1.5},
            id="groups",
        ),
        pytest.param(
            CometClient.read_subscriptions,
            "/api/subscription/self",
            {"billing_preference": "wallet_first", "subscriptions": None},
            Subscriptions(preference=BillingPreference.WALLET_FIRST),
            id="no subscription",
        ),
    ],
)
def test_an_endpoint_is_read_by_one_request(read, path, data, value):
    session = Session(lambda _: an_answer(content={"success": True, "data": data}))

    assert session.use(lambda client: read(client, TOKEN)) == value
    assert [request.url.path for request in session.asked] == [path]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: a_rejection(401), Unauthorized),
        (lambda: a_rejection(404), InvalidResponse),
        (lambda: an_answer(content={"success": False}), Rejected),
        (lambda: an_answer(503), ServerFault),
    ],
    ids=["401", "404", "no", "503"],
)
def test_an_endpoint_that_does_not_answer_raises_the_error_that_says_why(answer, kind):
    session = Session(lambda _: answer())

    with pytest.raises(kind):
        session.use(lambda client: client.read_groups(TOKEN))


@pytest.mark.parametrize(
    ("by_key", "path"), [(False, "/api/data/self"), (True, "/api/data/flow/self")]
)
def test_usage_is_asked_for_by_its_hours(by_key, path):
    row = {"token_id": 7, "model_name": "small", "quota": 5, "token_used": 9, "count": 1}
    session = Session(lambda _: an_answer(content={"success": True, "data": [row]}))
    rows = session.use(lambda client: client.read_usage(TOKEN, 3_600, 7_200, by_key=by_key))

    (request,) = session.asked
    assert (request.url.path, request.url.query) == (
        path,
        b"start_timestamp=3600&end_timestamp=7200",
    )
    assert rows == {
        Series(model="small", key_id=7 if by_key else 0): Amounts(quota=5, tokens=9, requests=1)
    }

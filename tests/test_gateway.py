"""Prove the simulation itself: a fault that is not really on the wire makes every test above it a lie."""

import asyncio
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gateway as simulation
import httpx
import pytest
import trustme
from builders import CANARY_EMAIL, CANARY_KEY, CANARY_TOKEN, WIRE_NOW, a_wire_account, a_wire_key, wire_keys
from gateway import Fault, Gateway, Request
from promises import REASONS

SAMPLES = sorted(path.parent for path in Path(__file__).parent.glob("samples/*/meta.json"))
TOKEN = {"Authorization": CANARY_TOKEN}


def get(
    gateway: Gateway, target: str = "/api/token/", *, headers: dict[str, str] = TOKEN, **options: Any
) -> httpx.Response:
    return httpx.get(gateway.url + target, headers=headers, trust_env=False, **options)


def ids(answer: httpx.Response) -> list[int]:
    shown = answer.json()["data"]
    return [key["id"] for key in (shown["items"] if isinstance(shown, dict) else shown)]


def raw_bytes(gateway: Gateway, target: str = "/api/token/?p=1") -> tuple[bytes, type[Exception] | None]:
    """Send one request by hand; return all bytes that came and how the connection ended."""
    received = b""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        lines = (
            f"GET {target} HTTP/1.1",
            "Host: x",
            f"Authorization: {CANARY_TOKEN}",
            "Connection: close",
            "",
            "",
        )
        connection.sendall("\r\n".join(lines).encode())
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            return received, ConnectionResetError
    return received, None


def promised_and_sent(received: bytes) -> tuple[int, int]:
    head, _, body = received.partition(b"\r\n\r\n")
    (promised,) = [
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    return promised, len(body)


# Paging


def test_new_api_pages_count_from_one_and_name_their_total() -> None:
    with Gateway(keys=wire_keys(5)) as gateway:
        first = get(gateway, "/api/token/?p=1&page_size=2")
        third = get(gateway, "/api/token/?p=3&page_size=2")
        beyond = get(gateway, "/api/token/?p=4&page_size=2")

    assert first.json()["data"] | {"items": None} == {"page": 1, "page_size": 2, "total": 5, "items": None}
    assert [ids(first), ids(third), ids(beyond)] == [[5, 4], [1], []]
    assert first.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("target", ["/api/token/", "/api/token/?p=0", "/api/token/?p=-3", "/api/token/?p=x"])
def test_a_low_or_missing_page_means_the_first_of_ten(target: str) -> None:
    with Gateway(keys=wire_keys(12)) as gateway:
        assert ids(get(gateway, target)) == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]


def test_the_page_size_is_capped_and_the_answer_says_so() -> None:
    with Gateway(keys=wire_keys(130), page_cap=50) as gateway:
        page = get(gateway, "/api/token/?p=2&page_size=100").json()["data"]

    assert (page["page_size"], len(page["items"]), page["items"][0]["id"]) == (50, 50, 80)


def test_an_older_gateway_counts_from_zero_and_sends_a_bare_list() -> None:
    with Gateway(keys=wire_keys(105), variant="older") as gateway:
        first = get(gateway, "/api/token/?p=0&size=500&page_size=3")
        second = get(gateway, "/api/token/?p=1&size=100")
        plain = get(gateway, "/api/token/?p=1&page_size=3")

    assert (len(ids(first)), ids(first)[0], ids(second)) == (100, 105, [5, 4, 3, 2, 1])
    assert ids(plain) == [95, 94, 93, 92, 91, 90, 89, 88, 87, 86]
    assert gateway.pages_asked() == [1, 2, 2]


def test_one_api_sends_ten_a_page_and_knows_no_groups() -> None:
    with Gateway(keys=wire_keys(11), variant="one-api") as gateway:
        first = get(gateway, "/api/token/?p=0&size=100&page_size=100")
        second = get(gateway, "/api/token/?p=1")

    assert (len(ids(first)), ids(second)) == (10, [1])
    assert not {"group", "cross_group_retry"} & second.json()["data"][0].keys()


@pytest.mark.parametrize(
    ("claim", "expected"), [(0, 0), (lambda page: page * 7, 14), (None, 3)], ids=["lie", "by page", "truth"]
)
def test_the_total_is_what_the_test_says(claim: int | Callable[[int], int] | None, expected: int) -> None:
    with Gateway(keys=wire_keys(3), total=claim) as gateway:
        assert get(gateway, "/api/token/?p=2&page_size=2").json()["data"]["total"] == expected


def test_a_key_deleted_between_two_pages_pulls_another_across_the_border() -> None:
    """The hook reproduces what offset paging does to a client: key 2 is never seen."""
    with Gateway(keys=wire_keys(4)) as gateway:
        gateway.before_page = lambda request: request.page == 2 and gateway.keys.pop()
        seen = ids(get(gateway, "/api/token/?p=1&page_size=2")) + ids(get(gateway, "/api/token/?p=2&page_size=2"))

    assert seen == [4, 3, 1]


# Other endpoints and refusals


def test_the_account_is_shown_or_refused() -> None:
    with Gateway() as gateway:
        shown = get(gateway, "/api/user/self")
        gateway.account = None
        refused = get(gateway, "/api/user/self")

    assert (shown.json()["data"]["quota"], shown.json()["data"]["email"]) == (24_997_909, CANARY_EMAIL)
    assert (refused.status_code, refused.json()["success"]) == (403, False)


@pytest.mark.parametrize("sent", [CANARY_TOKEN, f"Bearer {CANARY_TOKEN}"], ids=["raw", "bearer"])
def test_the_right_token_is_let_in(sent: str) -> None:
    with Gateway() as gateway:
        assert get(gateway, headers={"Authorization": sent}).json()["success"] is True


@pytest.mark.parametrize(("variant", "status"), [("new-api", 401), ("older", 200), ("one-api", 200)])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "wrong"}], ids=["no token", "wrong token"])
def test_any_other_token_is_refused(variant: str, status: int, headers: dict[str, str]) -> None:
    with Gateway(variant=variant) as gateway:
        refused = get(gateway, headers=headers)

    assert (refused.status_code, refused.json()["success"]) == (status, False)


@pytest.mark.parametrize(("user", "status"), [({}, 401), ({"New-Api-User": "8"}, 401), ({"New-Api-User": "7"}, 200)])
def test_a_gateway_with_users_wants_the_right_one(user: dict[str, str], status: int) -> None:
    with Gateway(user_id=7) as gateway:
        assert get(gateway, headers=TOKEN | user).status_code == status


def test_a_wrong_path_shows_the_web_page_and_a_missing_slash_redirects() -> None:
    with Gateway() as gateway:
        lost, bare = get(gateway, "/v1/api/token/"), get(gateway, "/api/token")

    assert (lost.status_code, lost.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (bare.status_code, bare.headers["location"]) == (301, "/api/token/")


def test_requests_beyond_the_rate_limit_get_an_empty_429() -> None:
    with Gateway(rate_limit=(2, 600), retry_after="30") as gateway:
        answers = [get(gateway) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[2].content, answers[2].headers["retry-after"]) == (b"", "30")


# What is recorded


def test_a_kept_connection_is_counted_once() -> None:
    with Gateway(faults=[simulation.answer(500), None]) as gateway, httpx.Client(trust_env=False) as client:
        statuses = [client.get(gateway.url + "/api/token/", headers=TOKEN).status_code for _ in range(3)]

    assert (statuses, len(gateway.requests), gateway.connections) == ([500, 200, 200], 3, 1)


def test_requests_that_wait_together_are_counted_together() -> None:
    async def three_at_once(url: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await asyncio.gather(*(client.get(f"{url}/api/token/?p={page}", headers=TOKEN) for page in (1, 2, 3)))

    with Gateway(delay=0.2) as gateway:
        asyncio.run(three_at_once(gateway.url))
        get(gateway)

    assert (gateway.most_at_once, sorted(gateway.pages_asked())) == (3, [1, 1, 2, 3])


# Faults, seen as bytes


@pytest.mark.parametrize(
    ("fault", "status", "body", "headers"),
    [
        (simulation.answer(429), 429, b"", {"content-length": "0"}),
        (simulation.answer(302, headers={"Location": "/x"}), 302, b"", {"location": "/x"}),
        (
            simulation.answer(200, b"<html>", {"Content-Type": "text/html"}),
            200,
            b"<html>",
            {"content-type": "text/html"},
        ),
        (
            simulation.answer(200, b"\xff\xfe"),
            200,
            b"\xff\xfe",
            {"content-type": "application/json; charset=utf-8"},
        ),
        (simulation.answer(524, b"x"), 524, b"x", {"content-length": "1"}),
    ],
    ids=["empty 429", "redirect", "html", "not utf-8", "unregistered status"],
)
def test_an_answer_arrives_as_written(fault: Fault, status: int, body: bytes, headers: dict[str, str]) -> None:
    with Gateway(faults=simulation.always(fault)) as gateway:
        answer = get(gateway)

    assert (answer.status_code, answer.content) == (status, body)
    assert headers.items() <= answer.headers.items()


def test_a_truncated_answer_promises_more_than_it_sends() -> None:
    with Gateway(keys=wire_keys(3), faults=[simulation.truncated(missing=9)]) as gateway:
        received, ending = raw_bytes(gateway)

    promised, sent = promised_and_sent(received)
    assert (promised - sent, ending) == (9, None)


def test_a_short_length_promises_less_than_it_sends() -> None:
    with Gateway(keys=wire_keys(3), faults=[simulation.wrong_length_short(missing=9)]) as gateway:
        received, ending = raw_bytes(gateway)

    promised, sent = promised_and_sent(received)
    assert (promised - sent, ending) == (-9, None)


def test_a_reset_comes_in_the_middle_of_the_body() -> None:
    with Gateway(keys=wire_keys(3), faults=[simulation.reset()]) as gateway:
        received, ending = raw_bytes(gateway)

    promised, sent = promised_and_sent(received)
    assert 0 < sent < promised
    assert ending is ConnectionResetError


def test_a_connection_closed_before_the_answer_carries_no_byte() -> None:
    with Gateway(faults=[simulation.close_before_answer()]) as gateway:
        assert raw_bytes(gateway) == (b"", None)


def test_a_gzip_bomb_is_small_on_the_wire_and_a_valid_page_when_inflated() -> None:
    with Gateway(keys=wire_keys(3), faults=[simulation.gzip_bomb(1_000_000)]) as gateway:
        received, _ending = raw_bytes(gateway)

    body = received.partition(b"\r\n\r\n")[2]
    inflated = gzip.decompress(body)
    assert (len(body) < 5_000, len(inflated), json.loads(inflated)["data"]["items"]) == (True, 1_000_000, [])


def test_an_endless_answer_ends_at_its_bound_as_a_valid_page() -> None:
    with Gateway(keys=wire_keys(3), faults=[simulation.endless(1_000_000)]) as gateway:
        answer = get(gateway)

    assert (len(answer.content), answer.json()["data"]["items"]) == (1_000_000, [])
    assert "content-length" not in answer.headers


def test_a_repeated_page_ignores_what_was_asked() -> None:
    with Gateway(keys=wire_keys(4), faults=simulation.always(simulation.repeat_page())) as gateway:
        answer = get(gateway, "/api/token/?p=2&page_size=2")

    assert (ids(answer), answer.json()["data"]["page"]) == ([4, 3], 1)


# Life


def test_stopping_is_quick_and_leaves_no_thread_behind() -> None:
    """A client that waits, one that idles and one that drips do not hold the gateway up."""
    slow = [simulation.hang(), simulation.drip(5)]
    with Gateway(faults=slow) as gateway:
        waiting = [threading.Thread(target=_ignoring_errors, args=(gateway,)) for _ in slow]
        for thread in waiting:
            thread.start()
        gateway.wait_for(2)
        idle = socket.create_connection(("127.0.0.1", gateway.port))
        before = time.monotonic()
    took = time.monotonic() - before
    idle.close()
    for thread in waiting:
        thread.join()

    assert took < 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(f"gateway-{gateway.port}")]


def _ignoring_errors(gateway: Gateway) -> None:
    with pytest.raises(httpx.TransportError):
        get(gateway, timeout=20)


def test_a_stopped_gateway_refuses_and_takes_its_port_again() -> None:
    with Gateway() as gateway:
        first_url = gateway.url
    with pytest.raises(httpx.ConnectError):
        get(gateway)
    with gateway:
        assert (get(gateway).status_code, gateway.url) == (200, first_url)


def test_what_a_hook_raises_is_raised_in_the_test() -> None:
    def broken(request: Request) -> None:
        raise LookupError(f"page {request.page}")

    with pytest.raises(LookupError, match="page 1"), Gateway(before_page=broken) as gateway:
        raw_bytes(gateway)


def test_a_gateway_may_speak_tls_and_resets_there_too() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Gateway(keys=wire_keys(2), ssl_context=server, faults=[None, simulation.reset()]) as gateway:
        with httpx.Client(verify=trusting, trust_env=False, headers=TOKEN) as client:
            assert ids(client.get(gateway.url + "/api/token/")) == [2, 1]
            with pytest.raises(httpx.TransportError):
                client.get(gateway.url + "/api/token/")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(gateway)
        silent = socket.create_connection(("127.0.0.1", gateway.port))
        before = time.monotonic()
    took = time.monotonic() - before
    silent.close()

    assert gateway.url.startswith("https://127.0.0.1:")
    assert took < 1


# Builders and samples


def test_wire_keys_vary_by_their_documented_formula() -> None:
    seven, ten, twelve = (wire_keys(12)[index] for index in (6, 9, 11))

    assert len(CANARY_KEY) == 48
    assert CANARY_KEY.isalnum()
    assert [key["status"] for key in wire_keys(14)] == [1, 2, 3, 4, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4]
    assert (seven["name"], seven["group"], seven["expired_time"]) == (
        'ключ "7" \\ 密钥\n🔑',
        "default",
        WIRE_NOW - 259_200,
    )
    assert (ten["unlimited_quota"], ten["expired_time"], ten["remain_quota"], ten["used_quota"]) == (
        True,
        -1,
        7_000,
        70,
    )
    assert (twelve["accessed_time"], twelve["unlimited_quota"], twelve["group"]) == (0, False, "")


def test_builders_say_only_what_a_test_is_about() -> None:
    assert a_wire_key(3, status=2)["status"] == 2
    assert a_wire_key(3).keys() == a_wire_key().keys()
    assert a_wire_account(quota=0)["quota"] == 0


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.name)
def test_each_sample_is_complete_and_holds_no_real_secret(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    bodies = [path.name for path in folder.glob("body.*")]

    assert meta.keys() == {"status", "headers", "expect"}
    assert len(bodies) <= 1
    expected = {"account", "status", "groups", "subscription", "usage", "flow", "reason"}
    assert set(meta["expect"]) == {"keys", "skipped"} or (
        len(meta["expect"]) == 1 and meta["expect"].keys() <= expected
    )
    assert meta["expect"].get("reason", "internal") in REASONS
    if "keys" in meta["expect"]:
        keys = _keys_of(json.loads((folder / "body.json").read_text()))
        assert len(keys) == len(meta["expect"]["keys"]) + meta["expect"]["skipped"]
        assert {key["key"] for key in keys} <= {CANARY_KEY, "abcd**********wxyz", "sk-abcd**********wxyz"}


def _keys_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    shown = content["data"]
    return (shown["items"] if isinstance(shown, dict) else shown) or []

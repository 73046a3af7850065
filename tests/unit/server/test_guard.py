"""The password at the door: who gets in, what it costs, and what nobody can learn from it."""

import asyncio
import base64
import threading
from collections.abc import Mapping
from typing import Any

import bcrypt
import httpx
import pytest
from starlette.responses import PlainTextResponse

from exporter.server.guard import Guard, Passwords, TooManyLogins, read_credentials
from exporter.server.web_config import WebConfig

ALICE = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
OTHER = bcrypt.hashpw(b"something else", bcrypt.gensalt(4)).decode()


class CountedBcrypt:
    """bcrypt that remembers which hashes it compared with."""

    def __init__(self) -> None:
        self.against: list[str] = []

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        assert threading.current_thread() is not threading.main_thread()
        self.against.append(hashed.decode())
        return bcrypt.checkpw(password, hashed)


def basic(credentials: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


async def door_opened(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("in", headers={"X-Frame-Options": "sameorigin"})(scope, receive, send)


class Client:
    """Ask an ASGI application without a socket."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str, headers: Any = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.get(f"http://127.0.0.1{path}", headers=headers)

        return asyncio.run(ask())


def a_client(users: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Client:
    config = WebConfig(users={"alice": ALICE} if users is None else users, headers=headers or {})
    return Client(Guard(door_opened, lambda: config))


def test_the_right_password_opens() -> None:
    assert a_client().get("/metrics", headers=basic("alice:open sesame")).text == "in"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("alice:wrong"),
        basic("mallory:open sesame"),
        basic("alice"),
        basic(":"),
        basic("alice:" + "x" * 5000),
        basic("alice:open\0sesame"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic YQ"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"Authorization": "Bearer YWxpY2U6b3BlbiBzZXNhbWU="},
        {"Authorization": b"Basic \xff\xff"},
    ],
)
def test_everything_else_gets_401_and_is_told_how_to_log_in(headers: dict[str, str]) -> None:
    """Malformed headers too: none of them is an error of ours."""
    response = a_client().get("/metrics", headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="cometapi-exporter", charset="UTF-8"'
    assert response.text == "unauthorized\n"


def test_the_scheme_is_read_in_any_case() -> None:
    headers = {"Authorization": basic("alice:open sesame")["Authorization"].replace("Basic", "bAsIc")}

    assert a_client().get("/metrics", headers=headers).status_code == 200


def test_probes_stay_outside() -> None:
    """Kubernetes has no password, and learns one word."""
    client = a_client()

    assert [client.get(path).status_code for path in ("/-/healthy", "/-/ready")] == [200, 200]
    assert [client.get(path).status_code for path in ("/-/healthy/", "/-/other", "//-/ready", "/")] == [401] * 4


def test_without_users_everybody_is_welcome() -> None:
    assert a_client(users={}).get("/metrics").status_code == 200


def test_configured_headers_come_with_every_answer_and_win() -> None:
    client = a_client(headers={"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=1"})

    for response in (client.get("/"), client.get("/-/ready"), client.get("/", headers=basic("alice:open sesame"))):
        assert response.headers.get_list("X-Frame-Options") == ["deny"]
        assert response.headers["Strict-Transport-Security"] == "max-age=1"


def test_a_user_taken_out_of_the_file_is_out_at_once() -> None:
    """Also one whose password was good a moment ago."""
    configs = [WebConfig(users={"alice": ALICE}), WebConfig(users={"bobby": OTHER})]
    client = Client(Guard(door_opened, lambda: configs[0]))

    assert client.get("/", headers=basic("alice:open sesame")).status_code == 200
    configs.pop(0)
    assert client.get("/", headers=basic("alice:open sesame")).status_code == 401
    assert client.get("/", headers=basic("bobby:something else")).status_code == 200


def test_a_changed_password_counts_at_once() -> None:
    configs = [WebConfig(users={"alice": ALICE}), WebConfig(users={"alice": OTHER})]
    client = Client(Guard(door_opened, lambda: configs[0]))

    assert client.get("/", headers=basic("alice:open sesame")).status_code == 200
    configs.pop(0)
    assert client.get("/", headers=basic("alice:open sesame")).status_code == 401


def test_a_good_password_is_hashed_once_and_a_wrong_one_each_time() -> None:
    check = CountedBcrypt()

    async def visit() -> list[bool]:
        passwords = Passwords(check)
        tried = ["open sesame", "open sesame", "wrong", "wrong", "open sesame"]
        return [await passwords.accept("alice", password, {"alice": ALICE}) for password in tried]

    assert asyncio.run(visit()) == [True, True, False, False, True]
    assert check.against == [ALICE] * 3


def test_an_unknown_user_costs_one_hash_of_the_same_cost() -> None:
    """Nobody learns from the time who exists."""
    check = CountedBcrypt()

    async def visit() -> bool:
        return await Passwords(check).accept("mallory", "open sesame", {"alice": ALICE.replace("$04$", "$05$")})

    assert asyncio.run(visit()) is False
    assert [hashed[:7] for hashed in check.against] == ["$2b$05$"]


def test_an_unknown_user_never_gets_in_whatever_the_hash_says() -> None:
    """Not even with the password of the hash that stands in for nobody."""

    async def visit() -> list[bool]:
        passwords = Passwords(lambda *_: True)
        return [await passwords.accept("mallory", "x", {"alice": ALICE}) for _ in range(2)]

    assert asyncio.run(visit()) == [False, False]


def test_ten_scrapes_at_once_hash_a_good_password_once() -> None:
    check = CountedBcrypt()

    async def visit() -> list[bool]:
        passwords = Passwords(check)
        return await asyncio.gather(*(passwords.accept("alice", "open sesame", {"alice": ALICE}) for _ in range(10)))

    assert asyncio.run(visit()) == [True] * 10
    assert len(check.against) == 1


def test_guesses_wait_in_a_bounded_line_and_those_already_in_pass_it() -> None:
    """One bcrypt at a time; the 33rd who waits is sent away, a remembered password does not wait at all."""
    at_work = 0
    most_at_work = 0
    release = threading.Event()

    def check(password: bytes, _: bytes) -> bool:
        nonlocal at_work, most_at_work
        at_work += 1
        most_at_work = max(most_at_work, at_work)
        if password == b"wrong":
            release.wait(5)
        at_work -= 1
        return password == b"open sesame"

    async def visit() -> None:
        passwords = Passwords(check)
        users = {"alice": ALICE}
        assert await passwords.accept("alice", "open sesame", users)
        guesses = [asyncio.create_task(passwords.accept(f"user{n}", "wrong", users)) for n in range(32)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyLogins):
            await passwords.accept("alice", "wrong", users)
        assert await passwords.accept("alice", "open sesame", users)
        release.set()
        assert await asyncio.gather(*guesses) == [False] * 32
        assert await passwords.accept("alice", "wrong", users) is False

    asyncio.run(visit())
    assert most_at_work == 1


def test_when_the_line_is_full_the_visitor_is_asked_to_come_again() -> None:
    guard = Guard(door_opened, lambda: WebConfig(users={"alice": ALICE}))
    guard._passwords._waiting = 32
    response = Client(guard).get("/", headers=basic("alice:open sesame"))

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_what_is_remembered_is_bounded_and_holds_no_password() -> None:
    async def visit() -> Passwords:
        passwords = Passwords(lambda *_: True)
        users = {f"user{number}": ALICE for number in range(300)}
        for name in users:
            await passwords.accept(name, "open sesame", users)
        return passwords

    passwords = asyncio.run(visit())
    assert len(passwords._good) == 128
    assert b"open sesame" not in b"".join(passwords._good)


def test_two_processes_remember_the_same_password_differently() -> None:
    """The digest is keyed: one that leaked says nothing."""
    assert Passwords(bcrypt.checkpw)._digest("a", "b", "c") != Passwords(bcrypt.checkpw)._digest("a", "b", "c")


def test_credentials_are_told_apart_where_they_join() -> None:
    passwords = Passwords(bcrypt.checkpw)

    assert passwords._digest("ab", "c", "") != passwords._digest("a", "bc", "")


def test_a_password_longer_than_bcrypt_reads_is_cut_as_other_tools_cut_it() -> None:
    long = "p" * 72 + "this part never counted"

    async def visit() -> bool:
        users = {"alice": bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode()}
        return await Passwords(bcrypt.checkpw).accept("alice", long, users)

    assert asyncio.run(visit()) is True


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic   YTpi ", ("a", "b")),
        ("Basic YTpiOmM=", ("a", "b:c")),
        ("Basic w6k6w6k=", ("é", "é")),
        ("Basic YQ==", None),
        ("Digest YTpi", None),
        ("", None),
    ],
)
def test_credentials_are_read_from_the_header(header: str, credentials: tuple[str, str] | None) -> None:
    assert read_credentials(header) == credentials

"""Passwords: who gets in, what it costs, and what cannot be learned from it."""

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


async def open_page(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("in", headers={"X-Frame-Options": "sameorigin"})(scope, receive, send)


def ask(guard: Guard, path: str = "/", headers: Any = None) -> httpx.Response:
    """Ask an ASGI application without a socket."""

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(f"http://127.0.0.1{path}", headers=headers)

    return asyncio.run(get())


def a_guard(
    users: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Guard:
    config = WebConfig(users={"alice": ALICE} if users is None else users, headers=headers or {})
    return Guard(open_page, lambda: config)


def test_the_right_password_opens() -> None:
    assert ask(a_guard(), "/metrics", basic("alice:open sesame")).text == "in"


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
    response = ask(a_guard(), "/metrics", headers)

    assert response.status_code == 401
    assert (
        response.headers["WWW-Authenticate"] == 'Basic realm="cometapi-exporter", charset="UTF-8"'
    )
    assert response.text == "unauthorized\n"


def test_the_probes_require_no_password() -> None:
    """Kubernetes probes cannot authenticate."""
    guard = a_guard()

    assert [ask(guard, path).status_code for path in ("/-/healthy", "/-/ready")] == [200, 200]
    assert [
        ask(guard, path).status_code for path in ("/-/healthy/", "/-/other", "//-/ready", "/")
    ] == [401] * 4


def test_without_users_no_password_is_required() -> None:
    assert ask(a_guard(users={}), "/metrics").status_code == 200


def test_configured_headers_come_with_every_response_and_leave_the_pages_own_alone() -> None:
    """A stricter policy than the page's would take its style and script away."""
    guard = a_guard(headers={"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=1"})

    refused, probe = ask(guard), ask(guard, "/-/ready")
    assert [each.headers["Strict-Transport-Security"] for each in (refused, probe)] == [
        "max-age=1"
    ] * 2
    assert refused.headers.get_list("X-Frame-Options") == ["deny"]
    assert probe.headers.get_list("X-Frame-Options") == ["sameorigin"]


def test_users_and_passwords_change_with_the_file_at_once() -> None:
    """Also one whose password was good a moment ago."""
    configs = [
        WebConfig(users=users)
        for users in ({"alice": ALICE}, {"alice": OTHER, "bobby": OTHER}, {"bobby": OTHER})
    ]
    guard = Guard(open_page, lambda: configs[0])
    tried = ("alice:open sesame", "alice:something else", "bobby:something else")

    def statuses() -> list[int]:
        return [ask(guard, headers=basic(each)).status_code for each in tried]

    assert statuses() == [200, 401, 401]
    configs.pop(0)
    assert statuses() == [401, 200, 200]
    configs.pop(0)
    assert statuses() == [401, 401, 200]


USERS = {"alice": ALICE}


def accepted(check: Any, *tries: tuple[str, str], users: Mapping[str, str] = USERS) -> list[bool]:
    """Try logins one after the other."""

    async def run() -> list[bool]:
        passwords = Passwords(check)
        return [await passwords.accept(*each, users, client="192.0.2.1") for each in tries]

    return asyncio.run(run())


def test_a_good_password_is_hashed_once_and_a_wrong_one_each_time() -> None:
    check = CountedBcrypt()
    tried = ["open sesame", "open sesame", "wrong", "wrong", "open sesame"]

    assert accepted(check, *(("alice", password) for password in tried)) == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert check.against == [ALICE] * 3


def test_an_unknown_user_costs_one_hash_of_the_costliest() -> None:
    """The time does not reveal who exists."""
    check = CountedBcrypt()
    users = {"alice": ALICE.replace("$04$", "$05$"), "bobby": OTHER}

    assert accepted(check, ("mallory", "open sesame"), users=users) == [False]
    assert [hashed[:7] for hashed in check.against] == ["$2b$05$"]


def test_an_unknown_user_never_gets_in_whatever_the_hash_says() -> None:
    """Not even with the password of the hash that is compared with instead."""
    assert accepted(lambda *_: True, ("mallory", "x"), ("mallory", "x")) == [False, False]


def test_ten_scrapes_at_once_hash_a_good_password_once() -> None:
    check = CountedBcrypt()

    async def run() -> list[bool]:
        passwords = Passwords(check)
        return await asyncio.gather(
            *(
                passwords.accept("alice", "open sesame", USERS, client=f"192.0.2.{n}")
                for n in range(10)
            )
        )

    assert asyncio.run(run()) == [True] * 10
    assert len(check.against) == 1


class HeldBcrypt:
    """bcrypt that answers wrong guesses only when it is released, and counts how many are under way at once."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.at_work = self.most_at_work = 0

    def __call__(self, password: bytes, _: bytes) -> bool:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        if password == b"wrong":
            self.release.wait(5)
        self.at_work -= 1
        return password == b"open sesame"


async def guess(passwords: Passwords, client: str) -> list[asyncio.Task[bool]]:
    """Begin as many guesses as one client may have waiting."""
    guesses = [
        asyncio.create_task(passwords.accept("alice", "wrong", USERS, client=client))
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    return guesses


def test_guesses_wait_in_a_bounded_line_that_a_remembered_password_passes() -> None:
    """One bcrypt at a time; the 33rd guess that waits is refused."""
    check = HeldBcrypt()

    async def run() -> None:
        passwords = Passwords(check)
        assert await passwords.accept("alice", "open sesame", USERS, client="192.0.2.99")
        guesses = [each for n in range(8) for each in await guess(passwords, f"192.0.2.{n}")]
        with pytest.raises(TooManyLogins):
            await passwords.accept("alice", "wrong", USERS, client="192.0.2.99")
        assert await passwords.accept("alice", "open sesame", USERS, client="192.0.2.99")
        check.release.set()
        assert await asyncio.gather(*guesses) == [False] * 32
        assert await passwords.accept("alice", "wrong", USERS, client="192.0.2.99") is False

    asyncio.run(run())
    assert check.most_at_work == 1


def test_the_guesses_of_one_client_leave_room_for_the_login_of_another() -> None:
    check = HeldBcrypt()

    async def run() -> bool:
        passwords = Passwords(check)
        guesses = await guess(passwords, "192.0.2.1")
        with pytest.raises(TooManyLogins):
            await passwords.accept("alice", "wrong", USERS, client="192.0.2.1")
        login = asyncio.create_task(
            passwords.accept("alice", "open sesame", USERS, client="192.0.2.2")
        )
        await asyncio.sleep(0)
        check.release.set()
        await asyncio.gather(*guesses)
        return await login

    assert asyncio.run(run()) is True


def test_guesses_whose_clients_have_gone_are_not_hashed() -> None:
    """Only the one under way ends; the login behind thirty-two waits for that one alone."""
    check = HeldBcrypt()
    counted = []
    began = threading.Event()

    def hash_password(password: bytes, hashed: bytes) -> bool:
        counted.append(password)
        began.set()
        return check(password, hashed)

    async def run() -> bool:
        passwords = Passwords(hash_password)
        guesses = [each for n in range(8) for each in await guess(passwords, f"192.0.2.{n}")]
        await asyncio.to_thread(began.wait, 10)
        for each in guesses:
            each.cancel()
        await asyncio.wait(guesses)
        login = asyncio.create_task(
            passwords.accept("alice", "open sesame", USERS, client="192.0.2.1")
        )
        await asyncio.sleep(0)
        check.release.set()
        return await login

    assert asyncio.run(run()) is True
    assert counted == [b"wrong", b"open sesame"]


def test_when_the_line_is_full_the_client_is_asked_to_come_again() -> None:
    guard = a_guard()
    guard._passwords._waiting.update({"192.0.2.1": 32})
    response = ask(guard, headers=basic("alice:open sesame"))

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_the_address_of_a_client_is_forgotten_after_its_login() -> None:
    """Memory does not grow with the number of clients that ever logged in."""

    async def run() -> str:
        passwords = Passwords(CountedBcrypt())
        await passwords.accept("alice", "wrong", USERS, client="192.0.2.77")
        return repr(vars(passwords))

    assert "192.0.2.77" not in asyncio.run(run())


def test_what_is_remembered_is_bounded_and_holds_no_password() -> None:
    async def run() -> Passwords:
        passwords = Passwords(lambda *_: True)
        users = {f"user{number}": ALICE for number in range(300)}
        for name in users:
            await passwords.accept(name, "open sesame", users, client="192.0.2.1")
        return passwords

    passwords = asyncio.run(run())
    assert len(passwords._good) == 128
    assert b"open sesame" not in b"".join(passwords._good)


def test_two_processes_remember_the_same_password_differently() -> None:
    """The digest is keyed: one that leaked reveals nothing."""

    async def run() -> Passwords:
        passwords = Passwords(bcrypt.checkpw)
        await passwords.accept("alice", "open sesame", USERS, client="192.0.2.1")
        return passwords

    assert asyncio.run(run())._good.keys().isdisjoint(asyncio.run(run())._good)


def test_credentials_are_told_apart_where_they_join() -> None:
    """The password of "ab" is not accepted with a letter of it moved into the name."""
    hashed = bcrypt.hashpw(b"c", bcrypt.gensalt(4)).decode()

    assert accepted(
        bcrypt.checkpw, ("ab", "c"), ("a", "bc"), users={"ab": hashed, "a": hashed}
    ) == [True, False]


def test_a_password_longer_than_bcrypt_reads_is_cut_as_other_tools_cut_it() -> None:
    users = {"alice": bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode()}

    assert accepted(
        bcrypt.checkpw, ("alice", "p" * 72 + "this part never counted"), users=users
    ) == [True]


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic   YTpi ", ("a", "b")),
        ("Basic YTpiOmM=", ("a", "b:c")),
        ("Basic w6k6w6k=", ("é", "é")),
    ],
)
def test_credentials_are_read_from_the_header(header: str, credentials: tuple[str, str]) -> None:
    assert read_credentials(header) == credentials

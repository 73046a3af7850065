"""Listen addresses: how they are read, what is bound, what is said when it cannot be."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from exporter.parsers import quoted
from exporter.server.listen import ListenAddress, ListenError, bind, parse_listen_address, urls


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10144", "", 10144),
        ("127.0.0.1:10144", "127.0.0.1", 10144),
        ("[::1]:10144", "::1", 10144),
        ("[::]:0", "::", 0),
        ("localhost:65535", "localhost", 65535),
        ("my-host.example:1", "my-host.example", 1),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert parse_listen_address(text) == ListenAddress(host=host, port=port)
    assert str(parse_listen_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "10144",
        "",
        "::1:10144",
        "[fish]:1",
        "[127.0.0.1]:1",
        "a b:1",
        "http://localhost:1",
        "localhost:",
        ":65536",
        ":-1",
        ":٣",
        ":" + "9" * 5000,
    ],
)
def test_what_is_not_an_address_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected") as refusal:
        parse_listen_address(text)
    assert str(refusal.value) == (
        'expected ":port", "host:port" or "[IPv6]:port" with a port from 0 to 65535, '
        f"not {quoted(text)}"
    )


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def listen(opened: contextlib.ExitStack, *texts: str) -> list[socket.socket]:
    sockets = bind([parse_listen_address(text) for text in texts])
    for sock in sockets:
        opened.enter_context(sock)
    return sockets


def test_a_port_alone_is_reached_over_ipv4_and_ipv6(opened: contextlib.ExitStack) -> None:
    """One socket, both families, where the machine has both."""
    (sock,) = listen(opened, ":0")
    for host in ["127.0.0.1", "::1"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]:
        with socket.create_connection((host, sock.getsockname()[1]), timeout=5) as client:
            assert client.getpeername()[1] == sock.getsockname()[1]


def test_an_accepted_connection_sends_small_responses_at_once(opened: contextlib.ExitStack) -> None:
    (sock,) = listen(opened, "127.0.0.1:0")
    opened.enter_context(socket.create_connection(sock.getsockname(), timeout=5))
    sock.settimeout(5)
    accepted = opened.enter_context(sock.accept()[0])
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_an_ipv6_address_does_not_take_the_ipv4_port(opened: contextlib.ExitStack) -> None:
    (six,) = listen(opened, "[::1]:0")
    (four,) = listen(opened, f"127.0.0.1:{six.getsockname()[1]}")
    assert four.getsockname()[1] == six.getsockname()[1]


def test_a_name_is_listened_on_at_each_of_its_addresses(
    opened: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Port 0 becomes one port for all of them; an address that the machine lacks is passed over."""
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    six, four = listen(opened, "localhost:0")
    assert six.getsockname()[:2] == ("::1", four.getsockname()[1])


def test_a_port_in_use_is_said_with_its_fix_and_nothing_stays_open(
    opened: contextlib.ExitStack,
) -> None:
    """What was bound before the failure is free again."""
    (taken,) = listen(opened, "127.0.0.1:0")
    port = taken.getsockname()[1]
    (free,) = listen(opened, "127.0.0.1:0")
    free_port = free.getsockname()[1]
    free.close()
    with pytest.raises(ListenError) as refusal:
        bind(
            [
                parse_listen_address(f"127.0.0.1:{free_port}"),
                parse_listen_address(f"127.0.0.1:{port}"),
            ]
        )
    assert str(refusal.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use; stop the other program, or choose another port with --web.listen-address"
    )
    listen(opened, f"127.0.0.1:{free_port}")


def test_an_address_of_another_machine_is_said_with_its_fix() -> None:
    with pytest.raises(ListenError) as refusal:
        bind([parse_listen_address("192.0.2.1:1")])
    assert str(refusal.value) == (
        "cannot listen on 192.0.2.1:1: this machine does not have that address; choose one that it has"
    )


def test_a_name_that_does_not_resolve_is_said_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ListenError) as refusal:
        bind([parse_listen_address("no-such-host:1")])
    assert str(refusal.value) == (
        "cannot listen on no-such-host:1: 'no-such-host' does not resolve; give an address or fix the name"
    )


def test_urls_are_what_a_person_opens(opened: contextlib.ExitStack) -> None:
    any_address, four, six = listen(opened, ":0", "127.0.0.1:0", "[::1]:0")
    ports = [sock.getsockname()[1] for sock in (any_address, four, six)]
    assert urls([any_address, any_address, four, six]) == [
        f"http://localhost:{ports[0]}",
        f"http://127.0.0.1:{ports[1]}",
        f"http://[::1]:{ports[2]}",
    ]
    assert urls([six], tls=True) == [f"https://[::1]:{ports[2]}"]

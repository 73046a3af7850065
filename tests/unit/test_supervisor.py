"""What a supervisor is told, and that a missing one is no error."""

import asyncio
import os
import socket

import pytest

from exporter.supervisor import ALIVE, READY, find_supervisor


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_the_socket_of_the_supervisor_gets_what_is_told(listener):
    find_supervisor({"NOTIFY_SOCKET": listener.getsockname()}).tell(READY)

    assert listener.recv(100) == b"READY=1"


def test_an_abstract_socket_is_understood():
    name = f"cometapi-exporter-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(5)
        find_supervisor({"NOTIFY_SOCKET": f"@{name}"}).tell(READY)

        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "relative", "vsock:2:1", "/missing/socket"])
def test_without_a_supervisor_nothing_happens(address):
    environ = {} if address is None else {"NOTIFY_SOCKET": address}

    find_supervisor(environ).tell(READY)


def test_a_supervisor_that_does_not_read_holds_up_nothing(listener):
    supervisor = find_supervisor({"NOTIFY_SOCKET": listener.getsockname()})
    for _ in range(2000):
        supervisor.tell(READY)


def signs(listener, is_alive, **environ):
    """Count the signs of life in the time of a few."""

    async def play():
        supervisor = find_supervisor({"NOTIFY_SOCKET": listener.getsockname(), **environ})
        showing = asyncio.create_task(supervisor.show_life(is_alive))
        await asyncio.wait([showing], timeout=0.1)
        showing.cancel()

    asyncio.run(play())
    listener.settimeout(0)
    count = 0
    while True:
        try:
            assert listener.recv(100) == ALIVE.encode()
        except BlockingIOError:
            return count
        count += 1


def test_signs_of_life_come_three_times_in_the_watchdog_s_time(listener):
    assert 2 <= signs(listener, lambda: True, WATCHDOG_USEC="60000") <= 6


def test_refreshes_that_hang_show_no_sign_of_life(listener):
    assert signs(listener, lambda: False, WATCHDOG_USEC="3000") == 0


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "3000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_watchdog_of_this_process_there_are_no_signs_of_life(listener, environ):
    assert signs(listener, lambda: True, **environ) == 0

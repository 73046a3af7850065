"""The words for a request without a response, and what they blame."""

import errno
import socket
import ssl

import pytest

from exporter.cometapi.faults import Route, describe, describe_refusal, describe_shortage
from exporter.cometapi.proxies import Proxy
from exporter.credentials import Secret
from exporter.workers import NoThread

PROXY = Proxy(scheme="http", host="proxy.example", port=3128, variable="https_proxy")


def a_route(*events: str, url="https://gateway.example", proxy=None) -> Route:
    route = Route(url, proxy)
    for event in events:
        route.record(event)
    return route


def a_tls_error(reason):
    error = ssl.SSLError()
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (ConnectionResetError("x"), "the connection to gateway.example:443 was reset"),
        (socket.gaierror("x"), "cannot resolve gateway.example"),
        (
            a_tls_error("UNEXPECTED_EOF"),
            "TLS: no secure connection to gateway.example:443: UNEXPECTED_EOF",
        ),
        (
            ExceptionGroup("all addresses", [ConnectionRefusedError("::1"), OSError("127.0.0.1")]),
            "cannot connect to gateway.example:443: connection refused",
        ),
    ],
    ids=["reset", "name", "tls", "several addresses"],
)
def test_an_error_of_the_network_names_the_host_and_what_happened(cause, message):
    between = OSError("all failed")
    between.__cause__ = cause
    error = ValueError("x")
    error.__context__ = between

    assert describe(error, a_route(), is_connected=True) == message


@pytest.mark.parametrize(
    ("url", "address"),
    [("http://gateway.example", "gateway.example:80"), ("https://[::1]:8443", "[::1]:8443")],
)
def test_an_error_names_the_address_with_its_port(url, address):
    route = a_route(url=url)

    assert describe(OSError(), route, is_connected=False) == f"cannot connect to {address}"


def test_causes_that_form_a_circle_come_to_an_end():
    first, second = OSError(), OSError()
    first.__cause__ = second
    second.__cause__ = first

    said = describe(first, a_route(), is_connected=False)

    assert said == "cannot connect to gateway.example:443"


@pytest.mark.parametrize(
    ("events", "place"),
    [
        ((), "gateway.example:443 through the proxy proxy.example:3128 (https_proxy)"),
        (
            ("connection.connect_tcp.started", "connection.connect_tcp.complete"),
            "the proxy proxy.example:3128 (https_proxy)",
        ),
        (
            ("connection.connect_tcp.started", "proxy.start_tls.started"),
            "gateway.example:443 through the proxy proxy.example:3128 (https_proxy)",
        ),
    ],
    ids=["a tunnel that is open already", "on the way to the proxy", "behind the proxy"],
)
def test_a_fault_is_blamed_on_the_proxy_until_it_has_opened_the_tunnel(events, place):
    route = a_route(*events, proxy=PROXY)

    said = describe(ConnectionResetError(), route, is_connected=True)

    assert said == f"the connection to {place} was reset"


def test_without_a_proxy_nothing_is_blamed_on_one():
    assert not a_route("connection.connect_tcp.started").is_at_proxy


def test_a_rejected_login_of_the_proxy_is_told_from_a_missing_one():
    with_login = Proxy(
        scheme="http", host="p", port=1, variable="ALL_PROXY", login=Secret("me:CANARY")
    )

    rejected = describe_refusal(407, a_route(proxy=with_login))
    missing = describe_refusal(407, a_route(proxy=PROXY))

    assert rejected == (
        "the proxy p:1 (ALL_PROXY) rejects the user and password of its URL (HTTP 407)"
    )
    assert missing == (
        "the proxy proxy.example:3128 (https_proxy) requires a user and a password in its URL "
        "(HTTP 407)"
    )


def caused_by(cause):
    """Wrap *cause* as the HTTP client does."""
    error = RuntimeError("All connection attempts failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (
            OSError(errno.EMFILE, "Too many open files"),
            "no file descriptor is left: raise the limit (LimitNOFILE, ulimit -n)",
        ),
        (OSError(errno.ENFILE, "x"), "this machine has no file descriptor left"),
        (NoThread(), "cannot start a thread: the limit on tasks is reached"),
        (OSError(errno.ECONNREFUSED, "Connection refused"), None),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), None),
    ],
)
def test_what_this_machine_lacks_is_told_apart_from_faults_of_the_network(cause, text):
    assert describe_shortage(caused_by(cause)) == text


def test_a_name_that_cannot_be_resolved_without_descriptors_is_a_shortage(monkeypatch):
    monkeypatch.setattr("exporter.descriptors.are_used_up", lambda: True)
    unresolved = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    assert describe_shortage(caused_by(unresolved)) == (
        "no file descriptor is left: raise the limit (LimitNOFILE, ulimit -n)"
    )

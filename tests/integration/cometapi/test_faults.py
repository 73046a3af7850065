"""What a network and a gateway can do to an answer, on real sockets: each fault has its reason, and passes."""

import contextlib
import datetime as dt
import os
import resource
import socket
import ssl
import threading

import pytest
import trustme
from builders import CANARY_TOKEN, wire_keys
from gateway import (
    Gateway,
    always,
    answer,
    close_before_answer,
    drip,
    endless,
    gzip_bomb,
    hang,
    on_page,
    reset,
    truncated,
    wrong_length_short,
)
from sessions import Session

from exporter.credentials import Secret
from exporter.errors import ApiError, Reason

PASSING = {
    "502": (answer(502, b"<html>", {"Content-Type": "text/html"}), Reason.SERVER_ERROR),
    "truncated": (truncated(), Reason.UNREACHABLE),
    "reset": (reset(), Reason.UNREACHABLE),
    "closed": (close_before_answer(), Reason.UNREACHABLE),
}
LASTING = {
    "302 to nonsense": answer(302, headers={"Location": "mailto:x"}),
    "empty": answer(200),
    "length short": wrong_length_short(),
    "brotli": answer(200, b"x", {"Content-Encoding": "br"}),
    "gzip bomb": gzip_bomb(200 * 1024 * 1024),
    "endless": endless(64 * 1024 * 1024),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_of_one_page_that_may_pass_is_tried_three_times_and_then_fails_the_listing(name):
    fault, reason = PASSING[name]
    with Gateway(keys=wire_keys(350), faults=on_page(3, fault)) as gateway:
        error = Session(url=gateway.url).failure()

    assert error.reason is reason
    assert gateway.pages_asked().count(3) == 3


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_at_the_third_try_costs_two_requests_and_no_key(name):
    fault, _ = PASSING[name]
    with Gateway(keys=wire_keys(3), faults=[fault, fault]) as gateway:
        listing = Session(url=gateway.url).keys()

    assert sorted(key.id for key in listing.keys) == [1, 2, 3]
    assert gateway.count() == 3


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_is_tried_once_and_is_an_invalid_response(name):
    with Gateway(keys=wire_keys(3), faults=always(LASTING[name])) as gateway:
        session = Session(url=gateway.url, timeout=20)
        error = session.failure()

    assert (error.reason, gateway.count()) == (Reason.INVALID_RESPONSE, 1)
    assert session.seconds < 10


@pytest.mark.parametrize("fault", [hang(), drip(0.02)], ids=repr)
def test_an_answer_that_is_not_whole_in_time_is_a_timeout(fault):
    with Gateway(keys=wire_keys(3), faults=always(fault)) as gateway:
        session = Session(url=gateway.url, timeout=0.1)
        error = session.failure()

    assert error.reason is Reason.TIMEOUT
    assert session.counted == ["/api/token/ none"] * 3
    assert 0.3 <= session.seconds < 3


def test_a_refused_connection_is_unreachable_and_tried_three_times():
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    session = Session(url=f"http://127.0.0.1:{port}")
    error = session.failure()

    assert (error.reason, str(error)) == (
        Reason.UNREACHABLE,
        f"cannot connect to 127.0.0.1:{port}: connection refused",
    )
    assert session.counted == ["/api/token/ none"] * 3


def test_a_host_without_an_address_is_unreachable():
    error = Session(url="http://gateway.invalid").failure()

    assert (error.reason, str(error)) == (Reason.UNREACHABLE, "cannot resolve gateway.invalid")


def test_a_host_name_that_cannot_be_one_is_an_invalid_response():
    error = Session(url=f"http://{'h' * 64}.example").failure()

    assert error.reason in {Reason.INVALID_RESPONSE, Reason.UNREACHABLE}


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def test_a_certificate_that_is_trusted_is_spoken_to(authority, ca_file):
    with Gateway(
        keys=wire_keys(3), ssl_context=serving(authority.issue_cert("127.0.0.1"))
    ) as gateway:
        assert len(Session(url=gateway.url, ca_file=ca_file).keys().keys) == 3


PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
UNTRUSTED = {
    "unable to get local issuer certificate": lambda _: trustme.CA().issue_cert("127.0.0.1"),
    "certificate has expired": lambda authority: authority.issue_cert(
        "127.0.0.1", not_before=PAST, not_after=PAST + dt.timedelta(days=1)
    ),
    "IP address mismatch": lambda authority: authority.issue_cert("other.example"),
}


@pytest.mark.parametrize("said", UNTRUSTED)
def test_a_certificate_that_is_not_trusted_is_unreachable_and_hears_no_token(
    authority, ca_file, said
):
    with Gateway(keys=wire_keys(3), ssl_context=serving(UNTRUSTED[said](authority))) as gateway:
        error = Session(url=gateway.url, ca_file=ca_file).failure()

    assert error.reason is Reason.UNREACHABLE
    assert str(error).startswith(
        f"TLS: the certificate of 127.0.0.1:{gateway.port} is not trusted: {said}"
    )
    assert gateway.requests == []


def test_plain_http_where_tls_was_expected_is_unreachable(ca_file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=say_something_plain, args=(listener, 3), daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        error = Session(url=f"https://{address}", ca_file=ca_file).failure()

    assert (error.reason, str(error)) == (
        Reason.UNREACHABLE,
        f"{address} does not speak TLS: is the base URL http:// instead?",
    )


def say_something_plain(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@contextlib.contextmanager
def no_descriptor_left():
    """Hold every file descriptor that this process may open, at most a few hundred."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, limits[1]))
    held = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_lack_of_descriptors_is_an_internal_failure_and_no_fault_of_the_network():
    async def read(client):
        with no_descriptor_left(), pytest.raises(ApiError) as caught:
            await client.read_balance(Secret(CANARY_TOKEN))
        return caught.value

    with Gateway() as gateway:
        error = Session(url=gateway.url).use(read)

    assert error.reason is Reason.INTERNAL
    assert "no file descriptor is left" in str(error)

"""What a network and a gateway can do to an answer, on real sockets: each fault has its reason, and passes."""

import datetime as dt
import socket
import ssl
import threading
import time

import pytest
import trustme
from builders import wire_keys
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

from exporter.errors import Reason

PASSING = {
    "500": answer(500, b"oops"),
    "502": answer(502, b"<html>", {"Content-Type": "text/html"}),
    "524": answer(524),
    "truncated": truncated(),
    "reset": reset(),
    "closed": close_before_answer(),
    "gzip broke off": answer(200, b"\x1f\x8b\x08\x00\x00\x00\x00\x00", {"Content-Encoding": "gzip"}),
}
LASTING = {
    "400": (answer(400, b"no"), Reason.INVALID_RESPONSE),
    "401": (answer(401), Reason.UNAUTHORIZED),
    "403": (answer(403), Reason.UNAUTHORIZED),
    "404": (answer(404, b"no"), Reason.INVALID_RESPONSE),
    "429": (answer(429), Reason.RATE_LIMITED),
    "429 for long": (answer(429, headers={"Retry-After": "6"}), Reason.RATE_LIMITED),
    "success false": (answer(200, b'{"success": false, "message": "CANARY"}'), Reason.REJECTED),
    "302": (answer(302, headers={"Location": "https://h.example/"}), Reason.INVALID_RESPONSE),
    "302 to nonsense": (answer(302, headers={"Location": "mailto:x"}), Reason.INVALID_RESPONSE),
    "html": (answer(200, b"<!doctype html>", {"Content-Type": "text/html"}), Reason.INVALID_RESPONSE),
    "empty": (answer(200), Reason.INVALID_RESPONSE),
    "length short": (wrong_length_short(), Reason.INVALID_RESPONSE),
    "invalid gzip": (answer(200, b"no gzip", {"Content-Encoding": "gzip"}), Reason.INVALID_RESPONSE),
    "brotli": (answer(200, b"x", {"Content-Encoding": "br"}), Reason.INVALID_RESPONSE),
    "gzip bomb": (gzip_bomb(64 * 1024 * 1024), Reason.INVALID_RESPONSE),
    "endless": (endless(64 * 1024 * 1024), Reason.INVALID_RESPONSE),
}
REASONS = {
    "500": Reason.SERVER_ERROR,
    "502": Reason.SERVER_ERROR,
    "524": Reason.SERVER_ERROR,
    "truncated": Reason.UNREACHABLE,
    "reset": Reason.UNREACHABLE,
    "closed": Reason.UNREACHABLE,
    "gzip broke off": Reason.UNREACHABLE,
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_may_pass_is_tried_three_times_and_then_has_its_reason(reading, name):
    with Gateway(keys=wire_keys(3), faults=always(PASSING[name])) as gateway:
        error = reading().failure(gateway.url)

    assert error.reason is REASONS[name]
    assert gateway.count() == 3


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_at_the_third_try_costs_two_requests_and_no_key(reading, name):
    with Gateway(keys=wire_keys(3), faults=[PASSING[name], PASSING[name]]) as gateway:
        listing = reading().keys(gateway.url)

    assert sorted(key.id for key in listing.keys) == [1, 2, 3]
    assert gateway.count() == 3


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_of_one_page_alone_fails_the_whole_listing(reading, name):
    with Gateway(keys=wire_keys(350), faults=on_page(3, PASSING[name])) as gateway:
        error = reading().failure(gateway.url)

    assert error.reason is REASONS[name]
    assert gateway.pages_asked().count(3) == 3


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_is_tried_once_and_has_its_reason(reading, name):
    fault, reason = LASTING[name]
    with Gateway(keys=wire_keys(3), faults=always(fault)) as gateway:
        error = reading(timeout=20).failure(gateway.url)

    assert error.reason is reason
    assert gateway.count() == 1


@pytest.mark.parametrize("fault", [hang(), drip(0.02)], ids=repr)
def test_an_answer_that_is_not_whole_in_time_is_a_timeout(reading, fault):
    session = reading(timeout=0.1)
    with Gateway(keys=wire_keys(3), faults=always(fault)) as gateway:
        error = session.failure(gateway.url)

    assert error.reason is Reason.TIMEOUT
    assert session.counted == ["none", "none", "none"]
    assert 0.3 <= session.seconds < 3


def test_a_gateway_that_is_slow_once_costs_one_try(reading):
    session = reading(timeout=0.3)
    with Gateway(keys=wire_keys(3), faults=[hang()]) as gateway:
        assert len(session.keys(gateway.url).keys) == 3

    assert session.counted == ["none", "200"]


def test_a_short_retry_after_is_waited_for(reading):
    session = reading()
    with Gateway(keys=wire_keys(3), faults=[answer(429, headers={"Retry-After": "1"})]) as gateway:
        assert len(session.keys(gateway.url).keys) == 3

    first, second = gateway.requests
    assert second.at - first.at >= 0.99
    assert session.counted == ["429", "200"]


def test_a_limit_with_a_short_retry_after_is_lived_with(reading):
    with Gateway(keys=wire_keys(12), page_cap=3, rate_limit=(3, 1.0), retry_after="1") as gateway:
        listing = reading(concurrency=2).keys(gateway.url)

    assert sorted(key.id for key in listing.keys) == list(range(1, 13))
    assert listing.settled


def test_requests_keep_to_the_rate_limit(reading, monkeypatch):
    monkeypatch.setattr("exporter.cometapi.rate_limit.WINDOW_SECONDS", 0.5)
    with Gateway(keys=wire_keys(12), page_cap=2) as gateway:
        assert reading(per_minute=3).keys(gateway.url).settled

    times = [request.at for request in gateway.requests]
    assert len(times) == 7
    assert times[6] - times[0] >= 0.8  # two windows, less what arrives late on a busy machine


def test_a_refused_connection_is_unreachable_and_tried_three_times(reading):
    session = reading()
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    error = session.failure(f"http://127.0.0.1:{port}")

    assert (error.reason, str(error)) == (
        Reason.UNREACHABLE,
        f"cannot connect to 127.0.0.1:{port}: connection refused",
    )
    assert session.counted == ["none"] * 3


def test_a_host_without_an_address_is_unreachable(reading):
    error = reading().failure("http://gateway.invalid")

    assert (error.reason, str(error)) == (Reason.UNREACHABLE, "cannot resolve gateway.invalid")


def test_a_host_name_that_cannot_be_one_is_an_invalid_response(reading):
    error = reading().failure(f"http://{'h' * 64}.example")

    assert error.reason in {Reason.INVALID_RESPONSE, Reason.UNREACHABLE}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_a_certificate_that_is_trusted_is_spoken_to(reading, authority):
    with Gateway(keys=wire_keys(3), ssl_context=serving(authority.issue_cert("127.0.0.1"))) as gateway:
        assert len(reading(trust=trusting(authority)).keys(gateway.url).keys) == 3


def test_a_certificate_of_an_unknown_authority_is_unreachable(reading, authority):
    with Gateway(keys=wire_keys(3), ssl_context=serving(authority.issue_cert("127.0.0.1"))) as gateway:
        error = reading(trust=trusting(trustme.CA())).failure(gateway.url)

    assert error.reason is Reason.UNREACHABLE
    assert str(error).startswith(f"TLS: the certificate of 127.0.0.1:{gateway.port} is not trusted: ")
    assert gateway.requests == []


def test_an_expired_certificate_is_unreachable(reading, authority):
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = authority.issue_cert("127.0.0.1", not_before=past, not_after=past + dt.timedelta(days=1))
    with Gateway(keys=wire_keys(3), ssl_context=serving(certificate)) as gateway:
        error = reading(trust=trusting(authority)).failure(gateway.url)

    assert (error.reason, str(error)) == (
        Reason.UNREACHABLE,
        f"TLS: the certificate of 127.0.0.1:{gateway.port} is not trusted: certificate has expired",
    )
    assert gateway.requests == []


def test_a_certificate_for_another_host_is_unreachable(reading, authority):
    with Gateway(keys=wire_keys(3), ssl_context=serving(authority.issue_cert("other.example"))) as gateway:
        error = reading(trust=trusting(authority)).failure(gateway.url)

    assert error.reason is Reason.UNREACHABLE
    assert "is not trusted" in str(error)
    assert gateway.requests == []


def test_plain_http_where_tls_was_expected_is_unreachable(reading, authority):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=say_something_plain, args=(listener, 3), daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        error = reading(trust=trusting(authority)).failure(f"https://{address}")

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


def test_a_gzip_bomb_is_defused_quickly(reading):
    started = time.monotonic()
    with Gateway(faults=always(gzip_bomb(200 * 1024 * 1024))) as gateway:
        error = reading().failure(gateway.url)

    assert str(error) == "the answer is larger than 8 MiB"
    assert time.monotonic() - started < 20

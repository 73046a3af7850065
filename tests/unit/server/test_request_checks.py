"""Which requests the application never sees, and which path it sees."""

import pytest

from exporter.server.request_checks import in_origin_form, refusal


def a_scope(**over):
    """Describe a request as uvicorn does."""
    return {
        "http_version": "1.1",
        "method": "GET",
        "raw_path": b"/metrics",
        "path": "/metrics",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    } | over


def test_an_ordinary_request_passes():
    assert refusal(a_scope(), 1024) is None


@pytest.mark.parametrize(
    ("over", "status", "text"),
    [
        ({"http_version": "2"}, 505, b"only HTTP/1.1 is spoken here\n"),
        ({"method": "CONNECT"}, 405, b"this is not a proxy\n"),
        (
            {"headers": [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]},
            400,
            b"both Transfer-Encoding and Content-Length\n",
        ),
        ({"query_string": b"x" * 1024}, 431, b"the request head is too large\n"),
        ({"headers": [(b"a", b"x" * 1024)]}, 431, b"the request head is too large\n"),
    ],
    ids=["http/2", "proxy", "ambiguous length", "long target", "long header"],
)
def test_a_request_is_rejected_and_its_connection_closed(over, status, text):
    response = refusal(a_scope(**over), 1024)

    assert (response.status_code, response.body) == (status, text)
    assert response.headers["connection"] == "close"


def test_a_head_of_exactly_the_limit_passes():
    # 8 bytes of target, and 4 for the colon, the space and the end of the header's line
    scope = a_scope(headers=[(b"a", b"x" * 11)])

    assert refusal(scope, 24) is None
    assert refusal(scope, 23).status_code == 431


@pytest.mark.parametrize(
    ("raw_path", "path"),
    [
        (b"/metrics", "/metrics"),
        (b"http://localhost:10144/metrics", "/metrics"),
        (b"HTTPS://localhost/a%20b", "/a b"),
        (b"http://localhost", "/"),
    ],
)
def test_the_application_sees_the_path_alone(raw_path, path):
    scope = in_origin_form(a_scope(raw_path=raw_path, path=raw_path.decode().replace("%20", " ")))

    assert scope["path"] == path

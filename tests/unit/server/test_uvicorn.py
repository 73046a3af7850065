"""The names of uvicorn that the server relies on, although uvicorn does not promise them.

The upper bound of the dependency in pyproject.toml rests on this list: a release that lacks a name
fails here by that name.
"""

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

METHODS = [
    (H11Protocol, "connection_made"),
    (H11Protocol, "connection_lost"),
    (H11Protocol, "data_received"),
    (H11Protocol, "on_response_complete"),
    (H11Protocol, "send_400_response"),
    (H11Protocol, "shutdown"),
    (H11Protocol, "_unset_keepalive_if_required"),
    (FlowControl, "drain"),
    (RequestResponseCycle, "run_asgi"),
]


async def nothing(scope, receive, send):
    """Serve nothing."""


def a_protocol():
    """Make a protocol as the server does, in a loop of its own."""

    async def make():
        config = uvicorn.Config(nothing, ws="none", log_config=None, proxy_headers=False)
        config.load()
        return H11Protocol(config, ServerState(), {})

    return asyncio.run(make())


@pytest.mark.parametrize(
    ("owner", "name"), METHODS, ids=lambda each: getattr(each, "__name__", each)
)
def test_uvicorn_has_the_method(owner, name):
    assert callable(getattr(owner, name, None)), f"{owner.__name__}.{name} is gone"


@pytest.mark.parametrize(
    "name",
    ["app", "config", "conn", "connections", "cycle", "flow", "loop", "tasks", "transport"],
)
def test_a_protocol_has_the_attribute(name):
    assert hasattr(a_protocol(), name), f"H11Protocol.{name} is gone"


@pytest.mark.parametrize("name", ["connections", "tasks", "default_headers"])
def test_the_state_of_a_server_has_the_attribute(name):
    assert hasattr(ServerState(), name), f"ServerState.{name} is gone"


@pytest.mark.parametrize("name", ["read_paused", "write_paused"])
def test_the_flow_control_has_the_attribute(name):
    assert hasattr(FlowControl(asyncio.Transport()), name), f"FlowControl.{name} is gone"


def test_a_cycle_has_the_attribute_disconnected():
    assert "disconnected" in RequestResponseCycle.__init__.__code__.co_names, (
        "cycle.disconnected is gone"
    )


def test_a_config_keeps_the_application():
    config = uvicorn.Config(nothing, log_config=None, proxy_headers=False)
    config.load()

    assert hasattr(config, "loaded_app"), "Config.loaded_app is gone"


def test_a_protocol_runs_the_app_that_was_set_on_it():
    """`Connection` replaces the attribute, so uvicorn has to read it for each request."""
    assert "app" in H11Protocol.handle_events.__code__.co_names, "H11Protocol.app is not read"

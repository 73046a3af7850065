"""Variables that look like settings and are none."""

import pytest

from exporter.problems import Problem
from exporter.settings.options import OPTIONS
from exporter.settings.unknown_variables import unknown_variables


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("COMETAPI_EXPORTER_INTERVALL", "did you mean COMETAPI_EXPORTER_INTERVAL?"),
        ("COMETAPI_EXPORTER_COLLECT_TIMEOUT", "did you mean COMETAPI_EXPORTER_TIMEOUT?"),
        ("COMETAPI_EXPORTER_QQQ", "--help lists the variables"),
        ("COMETAPI_EXPORTER_PORT", "--help lists the variables"),
        ("COMETAPI_EXPORTER_LISTEN_PORT", "did you mean COMETAPI_EXPORTER_LISTEN_ADDRESS?"),
    ],
)
def test_an_unknown_variable_is_named_with_a_similar_one_and_never_quoted(name, advice):
    (warning,) = unknown_variables({name: "CANARY"})

    assert warning.source == name
    assert warning.text.startswith("unknown variable, which has no effect; ")
    assert "CANARY" not in str(warning)
    assert advice in warning.text or "did you mean" in warning.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COMETAPI_EXPORTER_SERVICE_HOST", "10.0.0.1"),
        ("COMETAPI_EXPORTER_SERVICE_PORT", "10144"),
        ("COMETAPI_EXPORTER_SERVICE_PORT_HTTP", "10144"),
        ("COMETAPI_EXPORTER_PORT", "tcp://10.0.0.1:10144"),
        ("COMETAPI_EXPORTER_PORT_10144_TCP", "tcp://10.0.0.1:10144"),
        ("COMETAPI_EXPORTER_PORT_10144_TCP_ADDR", "10.0.0.1"),
        ("COMETAPI_EXPORTER_PORT_10144_TCP_PORT", "10144"),
        ("COMETAPI_EXPORTER_PORT_10144_TCP_PROTO", "tcp"),
        ("COMETAPI_EXPORTER_HEADLESS_SERVICE_HOST", "10.0.0.1"),
        ("COMETAPI_EXPORTER_HEADLESS_PORT", "tcp://10.0.0.1:10144"),
        ("COMETAPI_KEY", "of another program"),
        ("PATH", "/usr/bin"),
    ],
)
def test_variables_of_kubernetes_and_of_other_programs_are_none_of_ours(name, value):
    assert unknown_variables({name: value}) == []


def test_every_variable_of_an_option_is_known():
    assert unknown_variables({option.variable: "" for option in OPTIONS}) == []


def test_the_warnings_are_in_the_order_of_their_names():
    found = unknown_variables({"COMETAPI_EXPORTER_B": "", "COMETAPI_EXPORTER_A": ""})

    assert [warning.source for warning in found] == ["COMETAPI_EXPORTER_A", "COMETAPI_EXPORTER_B"]
    assert all(isinstance(warning, Problem) for warning in found)

"""Find environment variables that look like settings and are none, for a warning.

Pure: the variables are arguments. Messages never quote a value.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from exporter.problems import Problem
from exporter.settings.options import OPTIONS

PREFIX = "COMETAPI_EXPORTER_"
KNOWN = [option.variable for option in OPTIONS]
# What Kubernetes sets for a Service whose name begins with cometapi-exporter. Source:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
OF_A_SERVICE = re.compile(
    r"(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
)
ADDRESS_OF_A_SERVICE = re.compile(r"(?:tcp|udp|sctp)://.*")


def unknown_variables(environ: Mapping[str, str]) -> list[Problem]:
    """Return a warning for each variable of our own prefix that is no setting."""
    warnings = []
    for name, value in sorted(environ.items()):
        if name in KNOWN or not name.startswith(PREFIX):
            continue
        if not _is_of_kubernetes(name.removeprefix(PREFIX), value):
            similar = get_close_matches(name, KNOWN, n=1)
            advice = f"did you mean {similar[0]}?" if similar else "--help lists the variables"
            warnings.append(Problem(name, f"unknown variable, which has no effect; {advice}"))
    return warnings


def _is_of_kubernetes(name: str, value: str) -> bool:
    """Whether Kubernetes sets the variable, whose *name* comes without our prefix."""
    if name.endswith("PORT") and ADDRESS_OF_A_SERVICE.fullmatch(value):
        return True
    return OF_A_SERVICE.fullmatch(name) is not None

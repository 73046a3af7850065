"""Find one resource among many, and judge them by the restricted Pod Security Standard.

Pure: knows no tool and no file; the resources of kustomize and of Helm are judged alike.
"""

from typing import Any

Resource = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet")
VOLUMES = {"configMap", "downwardAPI", "emptyDir", "projected", "secret"}


def the(found: list[Resource], kind: str) -> Resource:
    """Return the only resource of *kind*."""
    (resource,) = (entry for entry in found if entry["kind"] == kind)
    return resource


def workload_of(found: list[Resource]) -> Resource:
    """Return the Deployment or StatefulSet."""
    (resource,) = (entry for entry in found if entry["kind"] in WORKLOADS)
    return resource


def pod_of(found: list[Resource]) -> Resource:
    """Return the pod's specification."""
    return dict(workload_of(found)["spec"]["template"]["spec"])


def without_blanks(dashboard: Any) -> Any:
    """Return a dashboard with queries without any blank, as its copies are compared."""
    if isinstance(dashboard, list):
        return [without_blanks(each) for each in dashboard]
    if not isinstance(dashboard, dict):
        return dashboard
    return {
        name: value.replace(" ", "") if name == "expr" else without_blanks(value)
        for name, value in dashboard.items()
    }


def environment_of(pod: Resource) -> dict[str, Any]:
    """Return the variables of the only container: a value, or where it comes from."""
    return {
        entry["name"]: entry.get("value", entry.get("valueFrom"))
        for entry in pod["containers"][0].get("env", [])
    }


def faults_of(found: list[Resource]) -> list[str]:
    """Return what is wrong with the resources of one exporter: rights, selectors and ports."""
    return _rights_too_many(pod_of(found)) + _unfound_pods(found) + _ports_without_protocol(found)


def _rights_too_many(pod: Resource) -> list[str]:
    """Return what the restricted Pod Security Standard forbids, and what is unnecessary besides."""
    secure = pod["securityContext"]
    container = pod["containers"][0]["securityContext"]
    volumes = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
    allowed = {
        "a user other than root": secure["runAsNonRoot"] is True and secure.get("runAsUser") != 0,
        "the runtime's seccomp profile": secure["seccompProfile"] == {"type": "RuntimeDefault"},
        "no new privileges": container["allowPrivilegeEscalation"] is False,
        "no capability": container["capabilities"] == {"drop": ["ALL"]},
        "a read-only root": container["readOnlyRootFilesystem"] is True,
        "no namespace of the node": not {"hostNetwork", "hostPID", "hostIPC"} & set(pod),
        "harmless volumes": volumes <= VOLUMES,
        "no token of the cluster": pod["automountServiceAccountToken"] is False,
        "no variables of other services": pod["enableServiceLinks"] is False,
    }
    return [rule for rule, holds in allowed.items() if not holds]


def _unfound_pods(found: list[Resource]) -> list[str]:
    """Return which resources select pods or services by labels that those do not have."""
    workload, service = workload_of(found), the(found, "Service")
    labels = workload["spec"]["template"]["metadata"]["labels"].items()
    selectors = {
        "workload": workload["spec"]["selector"]["matchLabels"],
        "Service": service["spec"]["selector"],
    }
    for kind, path in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        for entry in (entry for entry in found if entry["kind"] == kind):
            selectors[kind] = entry["spec"][path]["matchLabels"]
    missed = [
        kind for kind, wanted in selectors.items() if not wanted or not wanted.items() <= labels
    ]
    monitors = [
        entry["spec"]["selector"]["matchLabels"]
        for entry in found
        if entry["kind"] == "ServiceMonitor"
    ]
    return missed + [
        "ServiceMonitor"
        for wanted in monitors
        if not wanted.items() <= service["metadata"]["labels"].items()
    ]


def _ports_without_protocol(found: list[Resource]) -> list[str]:
    """Return the ports for which each `kubectl apply` would report a change."""
    policies = [entry["spec"] for entry in found if entry["kind"] == "NetworkPolicy"]
    ports = [
        port
        for policy in policies
        for rule in (*policy["ingress"], *policy["egress"])
        for port in rule["ports"]
    ]
    return [f"port {port['port']} without protocol" for port in ports if "protocol" not in port]

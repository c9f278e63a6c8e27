"""Enforces NetworkPolicies on the local cluster's one bridge: a process of its own, started by `up`.

No engine for them can be built from what this kind of machine may download, so this is ours: the objects of
networking.k8s.io/v1 become rules of iptables, which the kernel applies to what passes between pods and from pods to the
node. IPv4 only, ports by number only; what the node itself sends reaches every pod, as on every network.
"""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import host
from tests.cluster.following import follow
from tests.cluster.kube_api import KubeApi

CHAIN = "NETPOL-PODS"
_POLICIES, _PODS, _NAMESPACES = "/apis/networking.k8s.io/v1/networkpolicies", "/api/v1/pods", "/api/v1/namespaces"
_HOOKS = (("FORWARD",), ("INPUT", "-i", host.BRIDGE))
_DENIED = "0x2000000/0x2000000"
_EVERYWHERE = "0.0.0.0/0"
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with an address of its own."""

    namespace: str
    address: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """The pods, and the labels of the namespaces by name."""

    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]]


def known(pods: Iterable[dict[str, Any]], namespaces: Iterable[dict[str, Any]]) -> Known:
    """What selectors choose from, out of the API's objects."""
    labels = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in namespaces}
    return Known(tuple(_addressed(pods)), labels)


def _addressed(pods: Iterable[dict[str, Any]]) -> Iterator[Pod]:
    for pod in pods:
        meta, status = pod["metadata"], pod.get("status", {})
        if status.get("podIP") and not pod["spec"].get("hostNetwork") and status.get("phase") not in _OVER:
            yield Pod(meta["namespace"], status["podIP"], meta.get("labels", {}))


def rules(policies: list[dict[str, Any]], here: Known) -> list[str]:
    """The chain's rules: each pod that a policy chooses is closed but for what its policies together allow."""
    script = [
        f"-A {CHAIN} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
        f"-A {CHAIN} -s {host.NODE_ADDRESS}/32 -j RETURN",
    ]
    for pod in here.pods:
        chosen = [one for one in policies if _chooses(one, pod)]
        for kind, own, other, peers in (("Egress", "-s", "-d", "to"), ("Ingress", "-d", "-s", "from")):
            closing = [one for one in chosen if kind in one["spec"]["policyTypes"]]
            if closing:
                allowed = [
                    f"{other} {cidr}{port}"
                    for one in closing
                    for rule in one["spec"].get(kind.lower(), [])
                    for cidr in _addresses(rule.get(peers), one["metadata"]["namespace"], here)
                    for port in _ports(rule.get("ports"))
                ]
                script += _closed(f"-A {CHAIN} {own} {pod.address}/32", allowed)
    return script


def _closed(pod: str, allowed: list[str]) -> list[str]:
    opened = [f"{pod} {each} -j MARK --set-xmark 0x0/{_DENIED.partition('/')[2]}" for each in dict.fromkeys(allowed)]
    return [f"{pod} -j MARK --set-xmark {_DENIED}", *opened, f"{pod} -m mark --mark {_DENIED} -j DROP"]


def _chooses(policy: dict[str, Any], pod: Pod) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and matches(policy["spec"]["podSelector"], pod.labels)


def _addresses(peers: list[dict[str, Any]] | None, namespace: str, here: Known) -> Iterator[str]:
    """The ranges that a rule's peers are; no peers mean everybody."""
    if not peers:
        yield _EVERYWHERE
    for peer in peers or ():
        if "ipBlock" in peer:
            yield from without(peer["ipBlock"]["cidr"], peer["ipBlock"].get("except", []))
        else:
            yield from (f"{pod.address}/32" for pod in here.pods if _is_peer(peer, pod, namespace, here))


def _is_peer(peer: dict[str, Any], pod: Pod, namespace: str, here: Known) -> bool:
    if "namespaceSelector" in peer:
        in_namespace = matches(peer["namespaceSelector"], here.namespaces.get(pod.namespace, {}))
    else:
        in_namespace = pod.namespace == namespace
    return in_namespace and matches(peer.get("podSelector", {}), pod.labels)


def without(cidr: str, excepted: Iterable[str]) -> list[str]:
    """The range without those in it, as ranges; nothing for IPv6, which the bridge has not."""
    if ":" in cidr:
        return []
    left = [ipaddress.IPv4Network(cidr)]
    for hole in map(ipaddress.IPv4Network, excepted):
        left = [part for one in left for part in (one.address_exclude(hole) if hole.subnet_of(one) else [one])]
    return [str(one) for one in left]


def _ports(ports: list[dict[str, Any]] | None) -> Iterator[str]:
    for port in ports or ():
        protocol = f" -p {port.get('protocol', 'TCP').lower()}"
        if isinstance(port.get("port"), str):
            raise ValueError(f"the port {port['port']} has a name, which this engine does not know: give its number")
        last = f":{port['endPort']}" if "endPort" in port else ""
        yield f"{protocol} --dport {port['port']}{last}" if "port" in port else protocol
    if not ports:
        yield ""


def matches(selector: dict[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector chooses these labels."""
    equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return equal and all(_holds(each, labels) for each in selector.get("matchExpressions", []))


def _holds(expression: dict[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", [])
    answers = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers[expression["operator"]]


def reconcile(api: KubeApi) -> None:
    """Replace the chain's rules at once, and see that packets pass through it."""
    here = known(api.get(_PODS)["items"], api.get(_NAMESPACES)["items"])
    script = rules(api.get(_POLICIES)["items"], here)
    host.run("iptables-restore", "--noflush", given="\n".join(["*filter", f":{CHAIN} - [0:0]", *script, "COMMIT", ""]))
    for chain, *interface in _HOOKS:
        rule = [chain, *interface, "-j", CHAIN]
        if subprocess.run(["iptables", "-C", *rule], capture_output=True, check=False).returncode:
            host.run("iptables", "-I", *rule)


def main(kubeconfig: Path) -> None:
    """Reconcile whenever a policy, a pod or a namespace changes, until ended."""
    api = KubeApi(kubeconfig)
    follow(api, (_POLICIES, _PODS, _NAMESPACES), lambda: reconcile(api))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

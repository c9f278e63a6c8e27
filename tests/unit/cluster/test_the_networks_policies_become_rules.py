"""What the local cluster's policy engine makes of NetworkPolicies; that packets obey is shown on pods (tests/e2e)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster import host, policies

WEB, STORE, ELSEWHERE = "10.244.0.5", "10.244.0.6", "10.244.0.7"


def pod(address: str, namespace: str = "rag", phase: str = "Running", **labels: str) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": address, "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {"podIP": address, "phase": phase}}


HERE = policies.known(
    [pod(WEB, app="web"), pod(STORE, app="store"), pod(ELSEWHERE, namespace="other", app="web")],
    [{"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in ("rag", "other")],
)


def policy(types: list[str], **spec: Any) -> dict[str, Any]:
    chosen = {"podSelector": {"matchLabels": {"app": "store"}}, "policyTypes": types}
    return {"metadata": {"namespace": "rag", "name": "a"}, "spec": chosen | spec}


def opened(*given: dict[str, Any]) -> list[str]:
    return [rule for rule in policies.rules(list(given), HERE) if "--set-xmark 0x0" in rule]


def test_a_pod_that_no_policy_chooses_is_open() -> None:
    assert not [rule for rule in policies.rules([], HERE) if "DROP" in rule]
    only_store = [rule for rule in policies.rules([policy(["Ingress"])], HERE) if "DROP" in rule]
    assert len(only_store) == 1
    assert f"-d {STORE}/32" in only_store[0]


def test_a_policy_without_rules_closes_its_direction_only() -> None:
    dropped = [rule for rule in policies.rules([policy(["Egress"])], HERE) if "DROP" in rule]
    assert len(dropped) == 1
    assert f"-s {STORE}/32" in dropped[0]


def test_answers_and_the_node_pass_before_anything_is_closed() -> None:
    first, second, *_ = policies.rules([policy(["Ingress"])], HERE)
    assert "ESTABLISHED" in first
    assert f"-s {host.NODE_ADDRESS}/32" in second


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, [WEB]),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}, [WEB, ELSEWHERE]),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, [ELSEWHERE]),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["store"]}]}}, [WEB]),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}, []),
    ],
)
def test_peers_are_the_pods_that_their_selectors_choose(peer: dict[str, Any], addresses: list[str]) -> None:
    rules = opened(policy(["Ingress"], ingress=[{"from": [peer]}]))
    assert [rule.split(" -s ")[1].split("/")[0] for rule in rules] == addresses


def test_ports_and_everybody() -> None:
    ingress = [{"ports": [{"port": 5432, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "endPort": 60}]}]
    tcp, udp = opened(policy(["Ingress"], ingress=ingress))
    assert "-s 0.0.0.0/0 -p tcp --dport 5432 " in tcp
    assert "-p udp --dport 53:60 " in udp
    with pytest.raises(ValueError, match="give its number"):
        opened(policy(["Ingress"], ingress=[{"ports": [{"port": "http"}]}]))


def test_a_range_is_left_without_its_holes() -> None:
    assert policies.without("10.0.0.0/30", ["10.0.0.1/32"]) == ["10.0.0.2/31", "10.0.0.0/32"]
    assert policies.without("::/0", []) == []
    assert policies.without("10.0.0.0/8", ["192.168.0.0/16"]) == ["10.0.0.0/8"]


def test_pods_that_ended_or_share_the_nodes_address_are_none() -> None:
    shared = pod(WEB) | {"spec": {"hostNetwork": True}}
    assert policies.known([pod(WEB, phase="Succeeded"), shared, pod("")], []).pods == ()

"""Who reaches which pods, and what they reach. That a network enforces it so is shown on pods (tests/e2e)."""

from __future__ import annotations

from typing import Any

from rag_operator.api import names
from rag_operator.build import network
from rag_operator.build.common import Manifest, Proxy
from tests.unit.build.samples import PIPELINES, network_inputs, pipeline

METADATA_SERVICE = "169.254.0.0/16"
CLUSTER_ADDRESSES = "10.0.0.0/8"


def policy(about: str, name: str) -> Any:
    one = PIPELINES[about]
    found = network.network_policies(one, network_inputs(one))[name]
    assert found is not None
    return found["spec"]


def ports(rule: Manifest) -> set[int]:
    return {each["port"] for each in rule.get("ports", [])}


def addresses(rule: Manifest) -> dict[str, list[str]]:
    blocks = [peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer]
    return {block["cidr"]: block["except"] for block in blocks}


def components(peers: list[Manifest]) -> set[str]:
    return {peer["podSelector"]["matchLabels"].get(names.LABEL_COMPONENT, "operator") for peer in peers}


def test_every_kind_of_pod_is_closed_but_for_what_is_named() -> None:
    policies = network.network_policies(PIPELINES["minimal"], network_inputs(PIPELINES["minimal"]))
    assert policies.keys() == {"support-query", "support-ingestion", "support-cache", "support-postgres"}
    for name, one in policies.items():
        assert one is not None
        assert one["spec"]["policyTypes"] == ["Ingress", "Egress"]
        component = {"support-ingestion": names.COMPONENT_INGEST}.get(name, name.removeprefix("support-"))
        selector = {names.LABEL_PIPELINE: "support", names.LABEL_COMPONENT: component}
        assert one["spec"]["podSelector"]["matchLabels"] == selector


def test_clients_are_the_namespaces_own_pods_unless_said() -> None:
    (ingress,) = policy("minimal", "support-query")["ingress"]
    assert ingress == {"from": [{"podSelector": {}}], "ports": [{"port": names.QUERY_PORT, "protocol": "TCP"}]}
    (ingress,) = policy("hosted", "support-query")["ingress"]
    assert ingress["from"][0] == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}, "matchExpressions": []}
    }
    assert ingress["from"][3] == {"ipBlock": {"cidr": "10.20.0.0/16", "except": ["10.20.1.0/24"]}}


def test_stores_are_reached_by_our_pods_and_the_operator_and_reach_nothing() -> None:
    cache, database = policy("minimal", "support-cache"), policy("minimal", "support-postgres")
    assert components(cache["ingress"][0]["from"]) == {"query", "operator"}
    assert components(database["ingress"][0]["from"]) == {"query", "ingest", "operator"}
    assert ports(cache["ingress"][0]) == {6379}
    assert ports(database["ingress"][0]) == {5432}
    assert cache["egress"] == database["egress"] == []
    operator = cache["ingress"][0]["from"][1]["namespaceSelector"]["matchLabels"]
    assert operator == {"kubernetes.io/metadata.name": "rag-system"}


def test_stores_of_ones_own_have_no_policy_and_are_reached_by_port() -> None:
    one = PIPELINES["hosted"]
    policies = network.network_policies(one, network_inputs(one))
    assert policies["support-cache"] is None
    assert policies["support-postgres"] is None
    assert ports(policy("hosted", "support-query")["egress"][-1]) == {443, 6380, 6432}


def test_query_pods_reach_names_stores_and_models_only() -> None:
    dns, database, cache = policy("minimal", "support-query")["egress"]
    assert ports(dns) == {53}
    assert components(database["to"]) == {"postgres"}
    assert components(cache["to"]) == {"cache"}


def test_no_pod_reaches_a_clouds_metadata_service() -> None:
    for about in ("minimal", "hosted"):
        for name in ("support-query", "support-ingestion"):
            for rule in policy(about, name)["egress"]:
                found = addresses(rule)
                assert not found or METADATA_SERVICE in found["0.0.0.0/0"]


def test_sources_are_public_addresses_and_private_ones_only_where_listed_by_full_name() -> None:
    *_, public = policy("minimal", "support-ingestion")["egress"]
    assert CLUSTER_ADDRESSES in addresses(public)["0.0.0.0/0"]
    assert all("ipBlock" in peer for peer in public["to"]), "no pod is a public address"
    *_, listed = policy("hosted", "support-ingestion")["egress"]
    assert CLUSTER_ADDRESSES not in addresses(listed)["0.0.0.0/0"]
    assert ports(listed) == {80, 443, 8080, 6432}


def test_a_model_of_ones_own_is_reached_on_its_port() -> None:
    embedding = {"endpoint": {"baseURL": "http://models.models:8080/v1"}, "model": "m", "dimensions": 8}
    one = pipeline({"database": {"managed": {}}, "embedding": embedding})
    for name in ("support-query", "support-ingestion"):
        found = network.network_policies(one, network_inputs(one))[name]
        assert found is not None
        assert 8080 in ports(found["spec"]["egress"][-1])


def test_switched_off_there_is_none() -> None:
    one = pipeline({"database": {"managed": {}}, "access": {"networkPolicy": {"enabled": False}}})
    assert set(network.network_policies(one, network_inputs(one)).values()) == {None}


def test_a_proxy_is_reached_on_its_port_by_whoever_may_go_out() -> None:
    way = Proxy(https="http://proxy.corp.example:3128", http="http://10.0.0.9")

    def opened(about: str, component: str, proxy: Proxy = way) -> set[int]:
        of = PIPELINES[about]
        inputs = network.NetworkInputs("rag-system", 5432, 6379, network.endpoints(of.spec, ()), proxy)
        name = names.query("support") if component == "query" else names.ingest_policy("support")
        manifest = network.network_policies(of, inputs)[name] or {}
        return {port for rule in manifest["spec"]["egress"] for port in ports(rule)}

    assert {3128, 80} <= opened("hosted", "query") - opened("hosted", "query", Proxy())
    assert {3128, 80} <= opened("minimal", "ingest") - opened("minimal", "ingest", Proxy())
    assert 3128 not in opened("minimal", "query"), "it asks no model, and has no business outside"

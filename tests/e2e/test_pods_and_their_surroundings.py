"""What surrounds the pods: the network's policies, images that can't be had, quotas, and nodes that are full."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.place import PATIENCE, PIPELINE, Place, client
from tests.support.operator import eventually

pytestmark = pytest.mark.e2e


def test_the_network_lets_pass_what_is_declared_and_nothing_else(place: Place) -> None:
    service, stores = f"support.{place.namespace}.svc", [("support-postgres", 5432), ("support-cache", 6379)]
    with client(place, place.namespace) as neighbour:
        eventually(lambda: neighbour(service, 8000), "a pod of the namespace may ask", PATIENCE)
        assert not any(neighbour(f"{host}.{place.namespace}.svc", port) for host, port in stores)
    ours = {"rag-operator.dev/pipeline": "support", "app.kubernetes.io/component": "ingest"}
    with client(place, place.namespace, **ours) as ingestion:
        eventually(lambda: ingestion(f"support-postgres.{place.namespace}.svc", 5432), "its database", PATIENCE)
        assert not ingestion(f"support-cache.{place.namespace}.svc", 6379)
        assert not ingestion("kubernetes.default.svc", 443), "an ingestion pod reaches the API server"
    with place.cluster.namespace("stranger") as other, client(place, other) as stranger:
        assert not stranger(service, 8000)
        allowed = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}}
        opened: dict[str, Any] = {"access": {"networkPolicy": {"allowFrom": [allowed]}}}
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | opened})
        eventually(lambda: stranger(service, 8000), "a namespace that is named may ask", PATIENCE)
        switched_off: dict[str, Any] = {"access": {"networkPolicy": {"enabled": False}}}
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | switched_off})
        eventually(lambda: stranger(f"support-postgres.{place.namespace}.svc", 5432), "no policy is left", PATIENCE)
    place.apply(PIPELINE)
    place.wait_ready("ragpipeline", "support")


def condition(place: Place, kind: str, name: str, of: str) -> dict[str, Any]:
    conditions = place.get(kind, name)["status"]["conditions"]
    return next(one for one in conditions if one["type"] == of)


def degraded(place: Place, says: str) -> bool:
    """While the pods of before go on serving, so that Ready stays."""
    found = condition(place, "ragpipeline", "support", "Degraded")
    return found["reason"] == "PodsFailing" and says in found["message"] and place.ready("ragpipeline", "support")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"image": "rag-operator/none:1"}, "can't get the image rag-operator/none:1"),
        ({"resources": {"requests": {"cpu": "900"}}}, "finds no node"),
    ],
    ids=["an image that is not there", "a node with no room"],
)
def test_pods_that_cannot_start_are_said_and_those_of_before_serve_on(
    place: Place, query: dict[str, Any], says: str
) -> None:
    place.apply(PIPELINE | {"spec": {"database": {"managed": {}}, "query": query}})
    place.told(lambda: degraded(place, says), f"the pipeline says that a pod {says}")
    assert place.ask("acme", "When does the bakery open?")["sources"]
    place.apply(PIPELINE)
    place.told(lambda: condition(place, "ragpipeline", "support", "Degraded")["status"] == "False", "it heals")


def test_a_quota_that_refuses_pods_is_quoted_and_lifting_it_heals(place: Place) -> None:
    place.kubectl("create", "quota", "no-new-pods", "--hard=pods=0")
    try:
        place.kubectl("rollout", "restart", "deployment/support-query")
        place.told(lambda: degraded(place, "exceeded quota: no-new-pods"), "the quota is quoted")
    finally:
        place.kubectl("delete", "quota", "no-new-pods")
    place.told(lambda: condition(place, "ragpipeline", "support", "Degraded")["status"] == "False", "it heals")


def test_a_run_whose_pod_cannot_start_is_said_and_gives_way_when_mended(place: Place) -> None:
    image = {"query": {"image": "rag-operator/none:2"}}
    place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | image})
    place.told(lambda: degraded(place, "rag-operator/none:2"), "the pods have the image")
    place.kubectl("annotate", "--overwrite", "ragtenant", "acme", "rag-operator.dev/sync-requested=stuck")

    def said() -> bool:
        found = condition(place, "ragtenant", "acme", "IngestSucceeded")
        return found["reason"] == "PodsFailing" and "rag-operator/none:2" in found["message"]

    place.told(said, "the tenant says so")
    assert place.ready("ragtenant", "acme"), "what is indexed serves on"
    place.apply(PIPELINE)
    place.told(lambda: place.get("ragtenant", "acme")["status"].get("lastHandledSyncRequest") == "stuck", "it runs")

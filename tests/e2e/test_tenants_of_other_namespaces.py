"""A tenant in a namespace of its own people: its pods ingest there, and the pipeline's answer from elsewhere.

The operator is one of the whole cluster, in the place of the one that watches the pipeline's namespace alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.asking import api_key, forwarded, post
from tests.e2e.place import PATIENCE, PIPELINE, RELEASE, RESTRICTED, Place, client, granted, handbook, tenant
from tests.install import SELECTOR, install
from tests.support.operator import eventually

pytestmark = pytest.mark.e2e
LABEL = "rag.example/tenants"
CHOSEN = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {LABEL: "true"}}}}
FERRY = {"ferry": "# Ferry\n\nThe ferry to Wasserburg leaves pier nine at half past seven in the evening."}
ASKED = "When does the ferry to Wasserburg leave?"


def wide(place: Place) -> str:
    """The release of an operator of the whole cluster."""
    return f"{place.namespace}-{RELEASE}"


@contextmanager
def watching_all(place: Place) -> Iterator[None]:
    """While the body runs, that operator is there in the place of the place's own, whose release and roles stay."""
    place.kubectl("scale", f"deployment/{RELEASE}", "--replicas=0")
    place.kubectl("wait", "--for=delete", "pods", "-l", SELECTOR, "--timeout=300s")
    # What an uninstall releases would be every pipeline of the cluster.
    options = ("crds.install=false", "rbac.aggregateToDefaultRoles=false", "uninstall.releaseFinalizers=false")
    try:
        install(place.tools, *options, "replicas=1", namespace=place.namespace, release=wide(place))
        yield
    finally:
        place.tools.helm("uninstall", wide(place), "-n", place.namespace, "--ignore-not-found", "--wait")
        place.kubectl("scale", f"deployment/{RELEASE}", "--replicas=2")
        place.kubectl("rollout", "status", f"deployment/{RELEASE}", "--timeout=300s")


@pytest.fixture(scope="module")
def there(place: Place) -> Iterator[Place]:
    """The guest's namespace: a tenant of the same name as one beside the pipeline, Ready.

    It is there before the operator, so that the first look at all resources finds it.
    """
    spec: dict[str, Any] = {"database": {"managed": {}}, "tenancy": CHOSEN}
    with place.cluster.namespace("guest", RESTRICTED | {LABEL: "true"}) as namespace:
        made, guest = Place(place.cluster, namespace), tenant("acme")
        guest["spec"]["pipelineRef"]["namespace"] = place.namespace
        made.apply(handbook("acme", **FERRY), guest)
        place.apply(PIPELINE | {"spec": spec})
        with watching_all(place):
            try:
                made.wait_ready("ragtenant", "acme")
                yield made
            finally:
                made.kubectl("delete", "ragtenant", "acme", "--timeout=300s")
                place.apply(PIPELINE)


def ask(place: Place, of: Place, question: str, path: str = "/v1/search") -> tuple[int, dict[str, Any]]:
    """With the key of the tenant acme of that namespace."""
    with forwarded(place.tools, place.namespace, "service/support") as address:
        return post(f"{address}{path}", api_key(of.tools, of.namespace, "acme"), {"question": question})


def test_its_documents_are_read_by_pods_of_its_namespace_and_answered_from_to_its_key_alone(
    place: Place, there: Place
) -> None:
    there.kubectl("wait", "jobs", "--all", "--for=condition=Complete", "--timeout=300s")
    (pod,) = json.loads(there.kubectl("get", "pods", "-o", "json"))["items"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "ingest"
    status, answer = ask(place, there, ASKED, "/v1/query")
    assert (status, answer["sources"][0]["path"], "pier nine" in answer["answer"]) == (200, "ferry.md", True)
    for of, question, foreign in ((place, ASKED, "ferry.md"), (there, "When does the bakery open?", "opening.md")):
        status, found = ask(place, of, question)
        assert status == 200
        assert foreign not in [source["path"] for source in found["sources"]]


def test_nothing_of_the_pipeline_is_copied_to_it(there: Place) -> None:
    secrets = there.kubectl("get", "secrets", "-o", "name").split()
    assert secrets == ["secret/acme-api-key", "secret/acme-ingest-db"]
    for kind in ("deployments", "statefulsets", "services", "serviceaccounts"):
        assert "support" not in there.kubectl("get", kind, "-o", "name")


def test_the_network_lets_its_ingestion_pods_to_the_database_and_no_other_pod_of_its_namespace(
    place: Place, there: Place
) -> None:
    database = f"support-postgres.{place.namespace}.svc"
    (made,) = json.loads(there.kubectl("get", "networkpolicies", "-o", "json"))["items"]
    with client(place, there.namespace, **made["spec"]["podSelector"]["matchLabels"]) as ingestion:
        eventually(lambda: ingestion(database, 5432), "its database", PATIENCE)
        assert not ingestion("kubernetes.default.svc", 443), "an ingestion pod reaches the API server"
    with client(place, there.namespace) as stranger:
        assert not stranger(database, 5432)


def test_a_namespace_that_is_allowed_no_more_is_refused_and_allowed_again_answers_with_the_same_key(
    place: Place, there: Place
) -> None:
    def allow(value: str) -> None:
        there.cluster.kubectl("label", "namespace", there.namespace, "--overwrite", f"{LABEL}={value}")

    key = api_key(there.tools, there.namespace, "acme")
    allow("false")
    eventually(lambda: ask(place, there, ASKED)[0] == 401, "its key is refused", PATIENCE)
    eventually(lambda: not there.kubectl("get", "cronjobs,jobs", "-o", "name"), "nothing is ingested", PATIENCE)
    allow("true")
    eventually(lambda: ask(place, there, ASKED)[0] == 200, "it answers again", PATIENCE)
    assert api_key(there.tools, there.namespace, "acme") == key
    there.wait_ready("ragtenant", "acme")


def test_an_operator_of_the_whole_cluster_may_watch_namespaces_besides_and_uses_that_and_is_refused_nothing(
    place: Place, there: Place
) -> None:
    """What the rules of one namespace are used for, the whole path shows."""
    account = f"system:serviceaccount:{place.namespace}:{wide(place)}"
    assert not [e for e in there.cluster.audit.entries(user=account) if e.code in (401, 403)]
    beyond = {("", "namespaces", "list"), ("", "namespaces", "watch")}
    assert granted([place.get("clusterrole", wide(place))]) == granted([place.get("role", RELEASE)]) | beyond
    used = {(one.group, one.resource, one.verb) for one in there.cluster.audit.used(user=account)}
    assert beyond | {("networking.k8s.io", "networkpolicies", "list")} <= used

"""The two resources of the minimal example, as they stand, on real pods: Ready, answering, apart, and hard to break."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import yaml

from tests.asking import api_key, forwarded, post
from tests.cluster.fixtures import Kubernetes
from tests.install import ROOT, Tools, install
from tests.support.operator import eventually

pytestmark = pytest.mark.e2e
PIPELINE = {
    "apiVersion": "rag-operator.dev/v1alpha1",
    "kind": "RagPipeline",
    "metadata": {"name": "support"},
    "spec": {"database": {"managed": {}}},
}
RELEASE = "rag-operator"


def tenant(name: str) -> dict[str, Any]:
    source = {"name": "handbook", "configMapRef": {"name": f"{name}-handbook"}}
    return {
        "apiVersion": "rag-operator.dev/v1alpha1",
        "kind": "RagTenant",
        "metadata": {"name": name},
        "spec": {"pipelineRef": {"name": "support"}, "sources": [source]},
    }


def handbook(name: str, **pages: str) -> dict[str, Any]:
    data = {f"{page}.md": text for page, text in pages.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-handbook"}, "data": data}


ACME = {
    "opening": "# Opening hours\n\nThe bakery in Lindau opens at six in the morning and closes at noon on Sundays.",
    "refunds": "# Refunds\n\nA refund is paid within fourteen days to the card that was used for the purchase.",
}
GLOBEX = {
    "reactor": "# Reactor\n\nThe cooling pump of reactor seven is inspected every third Tuesday by the night shift.",
}


class Place:
    """A namespace with an operator of its own that watches just it."""

    def __init__(self, cluster: Kubernetes, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.tools = Tools(cluster.kubeconfig, cluster.kubectl_program)
        self.account = f"system:serviceaccount:{namespace}:{RELEASE}"

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, given=given, deadline=150)

    def apply(self, *documents: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.tools.get(kind, name, self.namespace)

    def ready(self, kind: str, name: str) -> bool:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def wait_ready(self, kind: str, name: str, seconds: float = 150) -> None:
        try:
            eventually(lambda: self.ready(kind, name), f"{kind} {name} Ready", seconds)
        except AssertionError as error:
            error.add_note(json.dumps(self.get(kind, name).get("status"), indent=1)[:3000])
            error.add_note(self.kubectl("get", "pods,jobs,events"))
            raise

    def told(self, look: Callable[[], bool], what: str, seconds: float = 15) -> None:
        """Wait; when it does not come true, say what the resources and the operator say."""
        try:
            eventually(look, what, seconds)
        except AssertionError as error:
            error.add_note(self.kubectl("get", "ragp,ragt", "-o", "yaml")[-6000:])
            selector = "app.kubernetes.io/component=operator"
            error.add_note(self.kubectl("logs", "-l", selector, "--tail=60", "--prefix"))
            raise

    def ask(self, who: str, question: str, path: str = "/v1/query", **more: Any) -> dict[str, Any]:
        with forwarded(self.tools, self.namespace, "service/support") as address:
            status, body = post(
                f"{address}{path}", api_key(self.tools, self.namespace, who), {"question": question} | more
            )
        assert status == 200, body
        return body

    def sync(self, who: str) -> dict[str, Any]:
        """Ask for an ingestion and wait until it is over; what its log says of it."""
        request = str(time.time())
        self.kubectl("annotate", "--overwrite", "ragtenant", who, f"rag-operator.dev/sync-requested={request}")
        eventually(
            lambda: self.get("ragtenant", who)["status"].get("lastHandledSyncRequest") == request, "handled", 120
        )
        jobs = json.loads(self.kubectl("get", "jobs", "-o", "json"))["items"]
        mine = next(
            job["metadata"]["name"]
            for job in jobs
            if request in job["metadata"].get("annotations", {}).get("rag-operator.dev/sync-requested", "")
        )
        lines = [json.loads(line) for line in self.kubectl("logs", f"job/{mine}").splitlines() if line[:1] == "{"]
        over: dict[str, Any] = next(line for line in lines if line.get("message") == "the run is over")
        return over


@pytest.fixture(scope="module")
def place(quiet: Kubernetes) -> Iterator[Place]:
    """Both resources of two tenants Ready; tenants are applied before what they need."""
    cluster, crds = quiet, str(ROOT / "crds")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)
    with cluster.namespace("path", {"pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        here = Place(cluster, namespace)
        options = (f"watchNamespaces={{{namespace}}}", "rbac.aggregateToDefaultRoles=false", "crds.install=false")
        install(here.tools, *options, namespace=namespace)
        here.apply(tenant("acme"), tenant("globex"))
        here.apply(PIPELINE)
        here.apply(handbook("acme", **ACME), handbook("globex", **GLOBEX))
        for who in ("acme", "globex"):
            here.wait_ready("ragtenant", who)
        here.wait_ready("ragpipeline", "support")
        yield here
        for who in ("acme", "globex"):
            here.kubectl("delete", "ragtenant", who, "--ignore-not-found", "--timeout=60s")
        here.kubectl("delete", "ragpipeline", "support", "--ignore-not-found", "--timeout=60s")


def test_a_question_is_answered_with_the_right_document(place: Place) -> None:
    answer = place.ask("acme", "When does the bakery open?")
    assert answer["sources"][0]["path"] == "opening.md"
    assert "six in the morning" in answer["answer"]
    assert answer["degraded"] is False


def test_one_tenant_s_key_finds_nothing_of_another(place: Place) -> None:
    found = place.ask("acme", "When is the cooling pump of reactor seven inspected?", "/v1/search")
    assert not [source for source in found["sources"] if "reactor" in source["text"].lower()]
    answer = place.ask("acme", "When is the cooling pump of reactor seven inspected?")
    assert "Tuesday" not in answer["answer"]
    assert "Tuesday" in place.ask("globex", "When is the cooling pump of reactor seven inspected?")["answer"]


def test_nothing_relevant_is_said_so(place: Place) -> None:
    answer = place.ask("globex", "Which football club won the cup in 1954?")
    assert answer["answer"] == "I don't know based on the available knowledge."
    assert answer["model"] is None


def test_the_columns_tell_at_a_glance(place: Place) -> None:
    def shown(kind: str, name: str) -> list[str]:
        return next(line for line in place.kubectl("get", kind).splitlines() if line.startswith(name)).split()

    place.told(lambda: shown("ragp", "support")[:4] == ["support", "True", "Ready", "2/2"], "the pipeline's row")
    place.told(lambda: shown("ragt", "acme")[:5] == ["acme", "support", "True", "Ready", "2"], "the tenant's row")


def test_a_second_ingestion_over_unchanged_input_parses_and_embeds_nothing(place: Place) -> None:
    over = place.sync("acme")
    assert (over["unchanged"], over["parsed"], over["embedded"]) == (2, 0, 0)


def test_a_changed_page_is_answered_from_after_the_next_ingestion_and_no_stale_answer_stays(place: Place) -> None:
    question = "How long does a refund take?"
    assert "fourteen days" in place.ask("acme", question)["answer"]
    assert place.ask("acme", question)["from_cache"] is True
    place.apply(handbook("acme", **ACME | {"refunds": ACME["refunds"].replace("fourteen", "thirty")}))
    time.sleep(2)
    place.sync("acme")
    changed = place.ask("acme", question)
    assert "thirty days" in changed["answer"]
    assert changed["from_cache"] is False


def test_another_chunk_size_builds_a_new_revision_beside_the_serving_one(place: Place) -> None:
    spec: dict[str, Any] = {"database": {"managed": {}}, "chunking": {"size": 120}}
    before = place.get("ragtenant", "globex")["status"]["index"]["active"]["revision"]
    place.apply(PIPELINE | {"spec": spec})

    def promoted() -> bool:
        return bool(place.get("ragtenant", "globex")["status"]["index"]["active"]["revision"] > before)

    asked = 0
    deadline = time.monotonic() + 120
    key = api_key(place.tools, place.namespace, "globex")
    with forwarded(place.tools, place.namespace, "service/support") as address:
        while not promoted() and time.monotonic() < deadline:
            status, body = post(f"{address}/v1/search", key, {"question": "reactor seven"})
            assert status == 200, body
            assert body["sources"][0]["path"] == "reactor.md"
            asked += 1
    assert promoted()
    assert asked > 3
    place.wait_ready("ragtenant", "globex")


@pytest.mark.parametrize("many", [1, 2])
def test_killed_operator_pods_come_back_and_reconcile(place: Place, many: int) -> None:
    pods = place.kubectl("get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "name").split()[:many]
    place.kubectl("delete", "--grace-period=0", "--force", *pods)
    place.kubectl("delete", "service", "support")
    eventually(lambda: place.get("service", "support"), "the Service comes back", 90)
    assert place.ask("acme", "When does the bakery open?")["sources"]


def test_a_database_that_is_away_is_said_and_heals(place: Place) -> None:
    place.kubectl("create", "quota", "no-new-pods", "--hard=pods=0")
    try:
        place.kubectl("delete", "pod", "support-postgres-0", "--grace-period=1")
        place.told(lambda: not place.ready("ragpipeline", "support"), "the pipeline says so", 60)
        eventually(_answers(place, 503), "what is not cached is refused, and soon to be tried again", 60)
        assert place.get("deployment", "support-query")["status"]["readyReplicas"] == 2
    finally:
        place.kubectl("delete", "quota", "no-new-pods")
    place.wait_ready("ragpipeline", "support", 120)
    place.wait_ready("ragtenant", "acme", 120)
    eventually(_answers(place), "answers again", 60)


def _answers(place: Place, status: int = 200) -> Callable[[], bool]:
    def look() -> bool:
        with forwarded(place.tools, place.namespace, "service/support") as address:
            key = api_key(place.tools, place.namespace, "acme")
            return post(f"{address}/v1/search", key, {"question": "bakery"})[0] == status

    return look


@contextmanager
def client(place: Place, namespace: str, **labels: str) -> Iterator[Callable[[str, int], bool]]:
    """A pod of these labels; whether it reaches a host's port."""
    image = place.get("deployment", "support-query")["spec"]["template"]["spec"]["containers"][0]["image"]
    name = f"client-{secrets.token_hex(3)}"
    place.cluster.kubectl("apply", "-n", namespace, "-f", "-", given=json.dumps(_client(name, image, labels)))
    try:
        place.cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
        yield partial(_reaches, place, namespace, name)
    finally:
        place.cluster.kubectl("delete", "-n", namespace, "pod", name, "--grace-period=1")


def _client(name: str, image: str, labels: dict[str, str]) -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "client",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "import time; time.sleep(600)"],
        "securityContext": security,
    }
    pod = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": pod, "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _reaches(place: Place, namespace: str, pod: str, host: str, port: int) -> bool:
    script = (
        f"import socket\ntry: socket.create_connection(({host!r}, {port}), 3); print('open')\n"
        "except TimeoutError: print('closed')"
    )
    said = place.cluster.kubectl("exec", "-n", namespace, pod, "--", "python", "-c", script).strip()
    assert said in ("open", "closed"), said
    return said == "open"


def test_the_network_lets_pass_what_is_declared_and_nothing_else(place: Place) -> None:
    service, stores = f"support.{place.namespace}.svc", [("support-postgres", 5432), ("support-cache", 6379)]
    with client(place, place.namespace) as neighbour:
        eventually(lambda: neighbour(service, 8000), "a pod of the namespace may ask", 15)
        assert not any(neighbour(f"{host}.{place.namespace}.svc", port) for host, port in stores)
    ours = {"rag-operator.dev/pipeline": "support", "app.kubernetes.io/component": "ingest"}
    with client(place, place.namespace, **ours) as ingestion:
        eventually(lambda: ingestion(f"support-postgres.{place.namespace}.svc", 5432), "its database", 15)
        assert not ingestion(f"support-cache.{place.namespace}.svc", 6379)
        assert not ingestion("kubernetes.default.svc", 443), "an ingestion pod reaches the API server"
    with place.cluster.namespace("stranger") as other, client(place, other) as stranger:
        assert not stranger(service, 8000)
        allowed = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}}
        opened: dict[str, Any] = {"access": {"networkPolicy": {"allowFrom": [allowed]}}}
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | opened})
        eventually(lambda: stranger(service, 8000), "a namespace that is named may ask", 30)
        switched_off: dict[str, Any] = {"access": {"networkPolicy": {"enabled": False}}}
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | switched_off})
        eventually(lambda: stranger(f"support-postgres.{place.namespace}.svc", 5432), "no policy is left", 30)
    place.apply(PIPELINE)
    place.wait_ready("ragpipeline", "support", 90)


def test_the_number_of_pods_can_be_given_to_an_autoscaler_and_taken_back(place: Place) -> None:
    place.apply(PIPELINE | {"spec": {"database": {"managed": {}}, "scaling": {"minReplicas": 2, "maxReplicas": 3}}})
    eventually(lambda: place.get("horizontalpodautoscaler", "support-query"), "the autoscaler", 30)
    place.kubectl("label", "--overwrite", "horizontalpodautoscaler", "support-query", "app.kubernetes.io/name=x")
    place.apply(PIPELINE)
    eventually(lambda: not place.get("horizontalpodautoscaler", "support-query"), "it goes", 90)
    place.wait_ready("ragpipeline", "support", 90)


def test_a_deleted_tenant_is_refused_and_the_other_answers_on(place: Place) -> None:
    key = api_key(place.tools, place.namespace, "globex")
    place.kubectl("delete", "ragtenant", "globex", "--timeout=60s")
    with forwarded(place.tools, place.namespace, "service/support") as address:
        status, _ = post(f"{address}/v1/search", key, {"question": "reactor seven"})
    assert status == 401
    assert place.ask("acme", "When does the bakery open?")["sources"]


def test_the_operator_uses_every_right_that_it_is_granted_and_is_refused_none(place: Place) -> None:
    audit = place.cluster.audit
    refused = [e for e in audit.entries(user=place.account) if e.code in (401, 403)]
    assert not refused
    used = {(u.group, u.resource, u.verb) for u in audit.used(user=place.account)}
    roles = json.loads(place.kubectl("get", "roles", "-o", "json"))["items"]
    granted = {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule.get("apiGroups", [])
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if "/" not in resource
    }
    applied = {(group, resource, "create") for group, resource, verb in used if verb == "patch"}
    unused = sorted(granted - used - applied - UNUSED_HERE.keys())
    assert not unused, f"granted and never used: {unused}"


# An apply that makes an object needs `create` too and is logged as `patch`: hence `applied` above.
NOTHING_DELETED = "asked only when a resource is deleted while its database is away (integration/operator)"
NOT_INSTALLED = "this cluster has no such kind (integration/optional)"
OPTIONAL_KINDS = [
    ("monitoring.coreos.com", "servicemonitors"),
    ("monitoring.coreos.com", "prometheusrules"),
    ("keda.sh", "scaledobjects"),
]
UNUSED_HERE = {
    **{(*kind, verb): NOT_INSTALLED for kind in OPTIONAL_KINDS for verb in ("get", "create", "patch", "delete")},
    ("", "namespaces", "get"): NOTHING_DELETED,
    ("", "secrets", "patch"): "a login's Secret that another hand edited is brought back (integration/operator)",
    ("policy", "poddisruptionbudgets", "delete"): "taken away with the second replica (integration/operator)",
}

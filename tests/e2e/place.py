"""A namespace with an operator of its own, a pipeline and two tenants, for end-to-end tests."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import yaml

from tests.asking import api_key, forwarded, post
from tests.cluster.fixtures import Kubernetes
from tests.install import Tools
from tests.support.operator import eventually

PIPELINE = {
    "apiVersion": "rag-operator.dev/v1alpha1",
    "kind": "RagPipeline",
    "metadata": {"name": "support"},
    "spec": {"database": {"managed": {}}},
}
RELEASE = "rag-operator"
PATIENCE, READY_PATIENCE = 180.0, 300.0
"""Seconds; bounds for what hangs, on a slow machine too. The first is shorter than the operator's pause between two
looks at everything, which would hide an event that was missed."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


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
        return self.cluster.kubectl("-n", self.namespace, *arguments, given=given, deadline=READY_PATIENCE + 30)

    def apply(self, *documents: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.tools.get(kind, name, self.namespace)

    def ready(self, kind: str, name: str) -> bool:
        """Whether it says so of the spec as it stands: what was true of the one before may be said a moment longer."""
        live = self.get(kind, name)
        status: dict[str, Any] = live.get("status", {})
        told = bool(live) and status.get("observedGeneration") == live["metadata"]["generation"]
        return told and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))

    def wait_ready(self, kind: str, name: str) -> None:
        try:
            eventually(lambda: self.ready(kind, name), f"{kind} {name} Ready", READY_PATIENCE)
        except AssertionError as error:
            error.add_note(json.dumps(self.get(kind, name).get("status"), indent=1)[:3000])
            error.add_note(self.kubectl("get", "pods,jobs,events"))
            raise

    def told(self, look: Callable[[], bool], what: str) -> None:
        """Wait; when it does not come true, say what the resources and the operator say."""
        try:
            eventually(look, what, PATIENCE)
        except AssertionError as error:
            error.add_note(self.kubectl("get", "ragp,ragt", "-o", "yaml")[-6000:])
            selector = "app.kubernetes.io/component=operator"
            error.add_note(self.kubectl("logs", "-l", selector, "--tail=60", "--prefix"))
            raise

    def pods(self, component: str) -> dict[str, str]:
        """Names of the pods of a component, those that are ending left out, with their images."""
        listed = self.kubectl("get", "pods", "-l", f"app.kubernetes.io/component={component}", "-o", "json")
        living = [pod for pod in json.loads(listed)["items"] if "deletionTimestamp" not in pod["metadata"]]
        return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in living}

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
            lambda: self.get("ragtenant", who)["status"].get("lastHandledSyncRequest") == request, "handled", PATIENCE
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


def granted(roles: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Group, resource and verb of all that these roles allow on whole resources."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule.get("apiGroups", [])
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if "/" not in resource
    }


@contextmanager
def client(place: Place, namespace: str, **labels: str) -> Iterator[Callable[[str, int], bool]]:
    """A pod of these labels; whether it reaches a host's port."""
    with running(place, namespace, "import time; time.sleep(7200)", labels) as name:
        yield partial(_reaches, place, namespace, name)


@contextmanager
def running(
    place: Place, namespace: str, script: str, labels: dict[str, str], environment: tuple[dict[str, Any], ...] = ()
) -> Iterator[str]:
    """The name of a pod that runs this Python script."""
    image = place.get("deployment", "support-query")["spec"]["template"]["spec"]["containers"][0]["image"]
    name = f"client-{secrets.token_hex(3)}"
    pod = _pod(name, labels, {"image": image, "command": ["python", "-c", script], "env": list(environment)})
    place.cluster.kubectl("apply", "-n", namespace, "-f", "-", given=json.dumps(pod))
    try:
        place.cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=150s")
        yield name
    finally:
        place.cluster.kubectl("delete", "-n", namespace, "pod", name, "--grace-period=1")


def _pod(name: str, labels: dict[str, str], container: dict[str, Any]) -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "client", "imagePullPolicy": "IfNotPresent", "securityContext": security} | container
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

"""A8: the API server's audit log tells the replicas of one service account apart."""

from __future__ import annotations

import pytest

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CONFIG_MAP
from tests.cluster.fixtures import Kubernetes
from tests.support.operator import eventually

pytestmark = pytest.mark.integration


async def test_product_version_and_identity_are_in_the_audit_log(
    port: Api, api: Kubernetes, api_namespace: str
) -> None:
    mark = api.audit.mark()
    port.calls_itself("0.1.0", "operator-0-a1b2c3")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": api_namespace}}
    made = await port.create(CONFIG_MAP, manifest | {"data": {"a": "b"}})

    def told() -> bool:
        """The log's line comes after the answer."""
        agents = {entry.user_agent for entry in api.audit.writes(mark) if entry.namespace == api_namespace}
        return "rag-operator/0.1.0 (operator-0-a1b2c3)" in agents

    eventually(told, "the request is in the audit log")
    managers = [entry["manager"] for entry in made["metadata"]["managedFields"]]
    assert managers == ["rag-operator"], "what it writes without an apply is known as its own too"

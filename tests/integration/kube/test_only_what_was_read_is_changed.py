"""DESIGN §3: what destroys or changes by name alone hits what another has put there meanwhile."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from rag_operator.kube.apply import NameTakenError, apply_child, delete_child
from rag_operator.kube.client import Api
from rag_operator.kube.errors import ConflictError
from rag_operator.kube.kinds import CONFIG_MAP, PIPELINE
from rag_operator.kube.status import write_status
from tests.cluster.fixtures import Kubernetes
from tests.integration.operator.conftest import crds
from tests.support.operator import pipeline

__all__ = ["crds"]
pytestmark = pytest.mark.integration
MANAGER = "rag-operator-tests"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": str(uuid4()), "controller": True}


def _map(namespace: str, data: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    metadata = {"name": "child", "namespace": namespace} | meta
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}}


async def _made_anew(port: Api, namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was read, and what stands under its name now."""
    read = await port.create(CONFIG_MAP, _map(namespace))
    await port.delete(CONFIG_MAP, read)
    return read, await port.create(CONFIG_MAP, _map(namespace, {"of": "another"}))


async def test_what_was_made_anew_under_the_name_is_not_deleted(port: Api, api_namespace: str) -> None:
    read, stands = await _made_anew(port, api_namespace)
    with pytest.raises(ConflictError):
        await port.delete(CONFIG_MAP, read)
    assert await port.get(CONFIG_MAP, api_namespace, "child") == stands


async def test_what_was_changed_since_it_was_read_is_not_deleted(port: Api, api_namespace: str) -> None:
    read = await port.create(CONFIG_MAP, _map(api_namespace))
    stands = await port.merge(CONFIG_MAP, read, {"data": {"by": "another"}})
    with pytest.raises(ConflictError):
        await port.delete(CONFIG_MAP, read)
    assert await port.get(CONFIG_MAP, api_namespace, "child") == stands


async def test_what_was_made_anew_or_changed_is_not_patched(port: Api, api_namespace: str) -> None:
    read, stands = await _made_anew(port, api_namespace)
    with pytest.raises(ConflictError):
        await port.merge(CONFIG_MAP, read, {"data": {"of": "ours"}})
    changed = await port.merge(CONFIG_MAP, stands, {"data": {"by": "another"}})
    with pytest.raises(ConflictError):
        await port.merge(CONFIG_MAP, stands, {"metadata": {"finalizers": []}})
    assert await port.get(CONFIG_MAP, api_namespace, "child") == changed


async def test_the_status_of_a_resource_that_was_made_anew_is_not_written(
    port: Api, api: Kubernetes, crds: None, api_namespace: str
) -> None:
    document = pipeline()
    document["metadata"]["namespace"] = api_namespace
    read = await port.create(PIPELINE, document)
    await port.delete(PIPELINE, read)
    await port.create(PIPELINE, document)
    with pytest.raises(ConflictError):
        await write_status(port, PIPELINE, read, {"catalogID": str(uuid4())})
    assert "status" not in (await port.get(PIPELINE, api_namespace, "support") or {})


async def test_a_status_that_is_so_already_is_not_written(
    port: Api, api: Kubernetes, crds: None, api_namespace: str
) -> None:
    document = pipeline()
    document["metadata"]["namespace"] = api_namespace
    live = await port.create(PIPELINE, document)
    status = {"catalogID": str(uuid4())}
    written = await write_status(port, PIPELINE, live, status)
    assert written is not None
    assert await write_status(port, PIPELINE, written, status) is None


async def test_another_owner_s_child_of_the_name_is_neither_changed_nor_deleted(port: Api, api_namespace: str) -> None:
    theirs = await port.create(CONFIG_MAP, _map(api_namespace, {"of": "another"}))
    with pytest.raises(NameTakenError):
        await apply_child(port, _map(api_namespace, {"of": "ours"}, ownerReferences=[OWNER]), MANAGER)
    assert not await delete_child(port, CONFIG_MAP, api_namespace, "child", str(OWNER["uid"]))
    assert await port.get(CONFIG_MAP, api_namespace, "child") == theirs


async def test_a_child_is_applied_once_and_brought_back_when_another_changes_it(port: Api, api_namespace: str) -> None:
    wanted = _map(api_namespace, {"a": "1"})
    first = await apply_child(port, wanted, MANAGER)
    before = _applies()
    assert before, "applies are counted at all"
    assert await apply_child(port, wanted, MANAGER) == first
    assert _applies() == before
    await port.merge(CONFIG_MAP, first, {"data": {"a": "2", "theirs": "kept"}})
    mended = await apply_child(port, wanted, MANAGER)
    assert mended["data"] == {"a": "1", "theirs": "kept"}


async def test_a_field_that_is_no_longer_wanted_goes(port: Api, api_namespace: str) -> None:
    await apply_child(port, _map(api_namespace, {"a": "1", "b": "2"}), MANAGER)
    assert (await apply_child(port, _map(api_namespace, {"a": "1"}), MANAGER))["data"] == {"a": "1"}


def _applies() -> float:
    labels = {"kind": "ConfigMap", "verb": "apply", "subresource": ""}
    return REGISTRY.get_sample_value("rag_operator_writes_total", labels) or 0.0

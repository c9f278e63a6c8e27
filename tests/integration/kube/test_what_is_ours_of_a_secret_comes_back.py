"""A5: labels and owner of our Secrets come back beside those of others, in one write with the data, or in none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from prometheus_client import REGISTRY

from rag_operator.kube.apply import NameTakenError, ensure_secret, sync_secret
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import CONFIG_MAP, SECRET

pytestmark = pytest.mark.integration
Bring: TypeAlias = Callable[[Api, Object], Awaitable[Object]]
LABELS = {"app.kubernetes.io/managed-by": "rag-operator", "app.kubernetes.io/component": "query"}
THEIRS = {"labels": {"theirs": "kept"}, "annotations": {"theirs": "kept"}}
EDITS: dict[str, Object] = {
    "a label is edited": {"labels": {"app.kubernetes.io/component": "x"}},
    "a label is removed": {"labels": {"app.kubernetes.io/managed-by": None}},
    "both labels are removed": {"labels": dict.fromkeys(LABELS)},
}


async def _synced(port: Api, manifest: Object) -> Object:
    meta = manifest["metadata"]
    return await sync_secret(port, manifest, await port.get(SECRET, meta["namespace"], meta["name"]))


WAYS = pytest.mark.parametrize("bring", [ensure_secret, _synced])


async def _owner(port: Api, namespace: str, name: str) -> Object:
    made = await port.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": namespace}})
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]}


async def _wanted(port: Api, namespace: str) -> Object:
    owner = await _owner(port, namespace, "owner") | {"controller": True, "blockOwnerDeletion": True}
    meta = {"name": "child", "namespace": namespace, "labels": LABELS, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": {"a": "MQ=="}}


async def _with_theirs(port: Api, wanted: Object) -> Object:
    """Our Secret, to which another hand has added a label, an annotation and an owner."""
    made = await port.create(SECRET, wanted)
    other = await _owner(port, wanted["metadata"]["namespace"], "other")
    owners = [other, *wanted["metadata"]["ownerReferences"]]
    return await port.merge(SECRET, made, {"metadata": THEIRS | {"ownerReferences": owners}})


def _told(live: Object) -> Object:
    meta = live["metadata"]
    return {part: meta.get(part) for part in ("labels", "annotations", "ownerReferences")} | {"data": live["data"]}


def _calls() -> float:
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name == "rag_operator_api_calls_total" and sample.labels["resource"] == "secrets"
    )


@WAYS
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
async def test_our_labels_come_back_and_those_of_others_stay(
    port: Api, api_namespace: str, bring: Bring, edit: dict[str, Any]
) -> None:
    wanted = await _wanted(port, api_namespace)
    before = await _with_theirs(port, wanted)
    await port.merge(SECRET, before, {"metadata": edit})
    mended = await bring(port, wanted)
    assert _told(mended) == _told(before)
    assert mended["metadata"]["labels"] == LABELS | THEIRS["labels"]
    assert mended["metadata"]["annotations"] == THEIRS["annotations"], "no stamp"
    assert await bring(port, wanted) == mended, "nothing differs, nothing is written"


@WAYS
async def test_our_owner_comes_back_as_it_was_beside_another(port: Api, api_namespace: str, bring: Bring) -> None:
    wanted = await _wanted(port, api_namespace)
    before = await _with_theirs(port, wanted)
    other, own = before["metadata"]["ownerReferences"]
    freed = {key: value for key, value in own.items() if key not in ("controller", "blockOwnerDeletion")}
    await port.merge(SECRET, before, {"metadata": {"ownerReferences": [freed, other]}})
    mended = await bring(port, wanted)
    assert _told(mended) == _told(before)
    assert await bring(port, wanted) == mended


@WAYS
async def test_a_secret_whose_owner_we_are_no_longer_is_not_ours(port: Api, api_namespace: str, bring: Bring) -> None:
    wanted = await _wanted(port, api_namespace)
    given_away = await port.merge(SECRET, await port.create(SECRET, wanted), {"metadata": {"ownerReferences": None}})
    with pytest.raises(NameTakenError):
        await bring(port, wanted)
    assert await port.get(SECRET, api_namespace, "child") == given_away


@WAYS
async def test_labels_and_data_come_back_in_one_write(port: Api, api_namespace: str, bring: Bring) -> None:
    wanted = await _wanted(port, api_namespace)
    before = await _with_theirs(port, wanted)
    await port.merge(SECRET, before, {"metadata": {"labels": dict.fromkeys(LABELS)}, "data": {"a": None}})
    calls = _calls()
    assert _told(await bring(port, wanted)) == _told(before)
    assert _calls() - calls == 2, "a look and a write"


async def test_a_new_secret_costs_one_call(port: Api, api_namespace: str) -> None:
    wanted = await _wanted(port, api_namespace)
    calls = _calls()
    await ensure_secret(port, wanted, new=True)
    assert _calls() - calls == 1

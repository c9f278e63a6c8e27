"""What pipelines say about their pods, laid over the pods as we make them; and the accounts that the pods run as.

A given selector is written as it is; an absent one stands for the pods themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rag_operator.api import names
from rag_operator.api.common import Model
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.pod import Affinity, Pod, Toleration, TopologySpread, WorkloadPod
from rag_operator.build import common
from rag_operator.build.common import Manifest

_ROLLOUT = "pod-template-hash"


def template(metadata: Manifest, spec: Manifest, given: Pod, own: Mapping[str, str]) -> Manifest:
    """A pod template: `metadata` and `spec` are ours, `given` is the pipeline's, `own` selects these very pods.

    Ours win where both say something; forms keep the two apart.
    """
    labels = _texts(given.labels) | metadata.get("labels", {})
    annotations = _texts(given.annotations) | metadata.get("annotations", {})
    whole = {"labels": labels} | ({"annotations": annotations} if annotations else {})
    return {"metadata": whole, "spec": _placement(given, own) | spec}


def spread(given: Sequence[TopologySpread], own: Mapping[str, str], *, rollouts: bool) -> list[Manifest]:
    """The given constraints; `rollouts`: pods that count by themselves are those of one rollout."""
    found = []
    for one in given:
        constraint = _plain(one)
        if one.label_selector is None:
            constraint["labelSelector"] = {"matchLabels": dict(own)}
            if rollouts:
                constraint["matchLabelKeys"] = [_ROLLOUT]
        found.append(constraint)
    return found


def account(name: str, given: WorkloadPod) -> Manifest:
    """The part of a pod's spec that names its account: one of its own where a cloud is to know it.

    By its former name too, which the API server fills in: were it not ours, it would bring the other back when we drop
    that.
    """
    return {"serviceAccountName": name, "serviceAccount": name} if given.service_account_annotations else {}


def service_accounts(pipeline: RagPipeline) -> tuple[Manifest, ...]:
    """The accounts of query and ingestion pods. One without annotations is not made, see `is_wanted`."""
    name, spec = common.name_of(pipeline), pipeline.spec
    return (
        _service_account(pipeline, names.query(name), names.COMPONENT_QUERY, spec.query.pod),
        _service_account(pipeline, names.ingestion_account(name), names.COMPONENT_INGEST, spec.ingestion.pod),
    )


def is_wanted(service_account: Manifest) -> bool:
    """Whether pods name it. One that was made earlier stays, without annotations: running Jobs may name it still."""
    return "annotations" in service_account["metadata"]


def _service_account(pipeline: RagPipeline, name: str, component: str, given: WorkloadPod) -> Manifest:
    metadata = common.pipeline_metadata(pipeline, name, component)
    if given.service_account_annotations:
        metadata["annotations"] = _texts(given.service_account_annotations)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}


def _placement(given: Pod, own: Mapping[str, str]) -> Manifest:
    found: Manifest = {}
    if given.node_selector:
        found["nodeSelector"] = _texts(given.node_selector)
    if given.tolerations:
        found["tolerations"] = [_toleration(one) for one in given.tolerations]
    if affinity := _affinity(given.affinity or Affinity(), own):
        found["affinity"] = affinity
    if given.priority_class_name is not None:
        found["priorityClassName"] = str(given.priority_class_name)
    return found


def _affinity(given: Affinity, own: Mapping[str, str]) -> Manifest:
    found = _plain(given)
    for kind in ("podAffinity", "podAntiAffinity"):
        for terms in found.get(kind, {}).values():
            for term in terms:
                term.get("podAffinityTerm", term).setdefault("labelSelector", {"matchLabels": dict(own)})
    return found


def _toleration(given: Toleration) -> Manifest:
    """The API server drops a value that is empty."""
    return {key: value for key, value in _plain(given).items() if value != ""}


def _plain(model: Model) -> Manifest:
    """As the API server writes it: without what is empty."""
    shorn = _shorn(model.to_dict())
    return shorn if isinstance(shorn, dict) else {}


def _shorn(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {str(key): _shorn(one) for key, one in value.items()}
        return {key: one for key, one in inner.items() if one not in ({}, [], None)}
    if isinstance(value, list | tuple):
        return [_shorn(one) for one in value]
    return str(value) if isinstance(value, str) else value


def _texts(given: Mapping[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in given.items()}

"""A1, A5: whoever changes an object's owners may have it deleted, so some clusters ask for that right.

The API server of all tests has OwnerReferencesPermissionEnforcement on, as OpenShift's does.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from rag_operator.kube.errors import ApiUnavailableError, error_of
from rag_operator.kube.kinds import CONFIG_MAP
from tests.cluster.kube_api import ApiError, KubeApi
from tests.support.managed import managed_pipeline_binds
from tests.support.operator import World, eventually, pipeline

pytestmark = pytest.mark.integration
FORBIDDEN = 403
ACCOUNT = {"pod": {"serviceAccountAnnotations": {"example.dev/role": "reader"}}}
OWNED = (
    ("secret", "support-postgres"),
    ("statefulset", "support-postgres"),
    ("persistentvolumeclaim", "support-postgres"),
    ("serviceaccount", "support-query"),
)


def _owners(here: World, child: tuple[str, str]) -> list[dict[str, Any]]:
    live = here.get(*child)
    return list(live["metadata"].get("ownerReferences", [])) if live else []


def _owned_as(here: World, child: tuple[str, str], owners: list[dict[str, Any]]) -> bool:
    return _owners(here, child) == owners


def test_they_do_for_every_kind_that_the_operator_deletes_none_of(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(pipeline(database={"managed": {}}, deletionPolicy="Delete", query=ACCOUNT))
    managed_pipeline_binds(here, database)
    for child in OWNED:
        eventually(partial(_owners, here, child), f"{child} is owned")
    before = {child: _owners(here, child) for child in OWNED}
    for child in OWNED:
        other = [owner | {"blockOwnerDeletion": False} for owner in before[child]]
        here.kubectl("patch", *child, "--type=merge", "-p", json.dumps({"metadata": {"ownerReferences": other}}))
    for child in OWNED:
        eventually(partial(_owned_as, here, child, before[child]), f"{child} is owned as before")


def test_an_owner_of_a_kind_that_admission_does_not_know_yet_is_a_matter_of_time(here: World) -> None:
    owner = {"apiVersion": "rag-operator.dev/v1alpha1", "kind": "RagUnheard", "name": "any", "uid": str(uuid4())}
    meta = {"name": "child", "ownerReferences": [owner | {"blockOwnerDeletion": True}]}
    with pytest.raises(ApiError) as refused:
        KubeApi(here.kubeconfig).create(CONFIG_MAP.path(here.namespace), {"metadata": meta})
    assert refused.value.status == FORBIDDEN
    assert isinstance(error_of(FORBIDDEN, str(refused.value), None), ApiUnavailableError)

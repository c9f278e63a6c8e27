"""A1, A5: whoever changes an object's owners may have it deleted, so some clusters ask for that right.

The API server of all tests has OwnerReferencesPermissionEnforcement on, as OpenShift's does.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.support.managed import managed_pipeline_binds
from tests.support.operator import World, eventually, pipeline

pytestmark = pytest.mark.integration
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

"""A7: the volume of a managed database goes or stays by the policy that stands when its pipeline goes, seen or not."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.integration.operator.test_uninstall_and_reinstall import release
from tests.support.looks import observed
from tests.support.managed import managed_pipeline_binds
from tests.support.operator import COLLECTED, HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
NAME = "support-postgres"
STAYS, GOES = "the catalog stays where it is", "the managed database's volume goes with the pipeline"


def _managed(policy: str, **spec: Any) -> dict[str, Any]:
    return pipeline(database={"managed": {}}, deletionPolicy=policy, **spec)


def _delete(here: World) -> None:
    here.kubectl("delete", "ragpipeline", "support", "--wait=false")


def _while_paused(here: World, policy: str) -> None:
    here.apply(_managed(policy, paused=True))
    here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    _delete(here)


def _while_refused(here: World, policy: str) -> None:
    here.apply(_managed(policy, runtimeVersion="99.0.0"))
    here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    _delete(here)


def _while_a_tenant_holds_it(here: World, policy: str) -> None:
    here.apply(tenant(), HANDBOOK)
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    _delete(here)
    here.wait_condition("ragpipeline", "support", "Ready", "TenantsRemain")
    here.apply(_managed(policy))
    observed(here, "ragpipeline", "support")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")


def _while_nobody_looks(here: World, policy: str) -> None:
    here.replicas[0].stop()
    here.apply(_managed(policy))
    _delete(here)
    here.replicas[0].start()


CHANGES = pytest.mark.parametrize(
    "change", [_while_paused, _while_refused, _while_a_tenant_holds_it, _while_nobody_looks]
)


def _begun(here: World, database: str, policy: str) -> dict[str, Any]:
    here.operator()
    here.apply(_managed(policy))
    managed_pipeline_binds(here, database)
    eventually(lambda: ("ownerReferences" in _claim(here)["metadata"]) is (policy == "Delete"), "the policy holds")
    return _claim(here)


def _claim(here: World) -> dict[str, Any]:
    return here.get("persistentvolumeclaim", NAME) or {}


def _released(here: World) -> str:
    eventually(lambda: here.get("ragpipeline", "support") is None, "the pipeline goes", COLLECTED)
    return str(here.wait_audited("Released")["message"])


def _goes(here: World) -> bool:
    claim = here.get("persistentvolumeclaim", NAME)
    return claim is None or "deletionTimestamp" in claim["metadata"]


@CHANGES
def test_it_stays_where_retain_was_said(here: World, database: str, change: Any) -> None:
    before = _begun(here, database, "Delete")
    change(here, "Retain")
    assert _released(here) == STAYS
    eventually(lambda: here.get("service", NAME) is None, "the children are collected", COLLECTED)
    claim = _claim(here)
    assert claim["metadata"]["uid"] == before["metadata"]["uid"]
    assert not {"ownerReferences", "deletionTimestamp"} & claim["metadata"].keys()
    assert claim["spec"] == before["spec"]


@CHANGES
def test_it_goes_where_delete_was_said(here: World, database: str, change: Any) -> None:
    _begun(here, database, "Retain")
    change(here, "Delete")
    assert _released(here) == GOES
    eventually(partial(_goes, here), "the volume is collected", COLLECTED)


def test_it_stays_where_retain_was_said_before_an_uninstall(here: World, database: str) -> None:
    before = _begun(here, database, "Delete")
    here.replicas[0].stop()
    here.apply(_managed("Retain"))
    release(here)
    _delete(here)
    eventually(lambda: here.get("service", NAME) is None, "the children are collected", COLLECTED)
    claim = _claim(here)
    assert claim["metadata"]["uid"] == before["metadata"]["uid"]
    assert not {"ownerReferences", "deletionTimestamp"} & claim["metadata"].keys()


def test_what_an_earlier_pipeline_left_is_not_taken_along_and_is_found_again(here: World, database: str) -> None:
    before = _begun(here, database, "Delete")
    _while_paused(here, "Retain")
    assert _released(here) == STAYS
    here.apply(_managed("Delete"))
    eventually(lambda: here.get("statefulset", NAME), "it is made over the volume, which it has not adopted", COLLECTED)
    _delete(here)
    eventually(lambda: here.get("ragpipeline", "support") is None, "the pipeline goes", COLLECTED)
    assert here.wait_audited("Released", 2)["message"] == STAYS
    here.apply(_managed("Retain"))
    eventually(lambda: here.get("statefulset", NAME), "it is made anew over the volume", COLLECTED)
    claim = _claim(here)
    assert claim["metadata"]["uid"] == before["metadata"]["uid"]
    assert not {"ownerReferences", "deletionTimestamp"} & claim["metadata"].keys()

"""A7: of several watched namespaces one is gone, or the operator's rights in it: all goes on in the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from rag_operator.engine.places import Places
from rag_operator.engine.settings import from_environment
from rag_operator.kube.client import Api
from rag_operator.kube.errors import NotFoundError, RefusedError
from rag_operator.kube.kinds import TENANT
from tests.integration.operator.test_tenants_in_other_namespaces import rows
from tests.support.looks import looks
from tests.support.operator import EVERYONE, HANDBOOK, OperatorProcess, World, eventually, pipeline, tenant
from tests.support.scoped import ROLE, may_list, under_the_charts_roles

pytestmark = pytest.mark.integration


def _start(here: World, there: World) -> OperatorProcess:
    scoped = replace(here, kubeconfig=under_the_charts_roles(here, there))
    watched = f"{here.namespace},{there.namespace}"
    settings = {"watch_namespaces": watched, "namespace": here.namespace, "lease_name": ROLE}
    return scoped.operator(**settings, resync_seconds="2")


def _with_guest(here: World, there: World, database: str) -> OperatorProcess:
    """An operator of both, and a tenant there that is answered by a pipeline here."""
    replica = _start(here, there)
    here.apply(pipeline(tenancy=EVERYONE), here.database_secret(database))
    there.apply(tenant("guest", pipelineRef={"name": "support", "namespace": here.namespace}), HANDBOOK)
    there.wait_condition("ragtenant", "guest", "IngestSucceeded", "Ingesting")
    return replica


@contextmanager
def _without_rights(here: World, there: World) -> Iterator[None]:
    binding = there.kubectl("get", "rolebinding", ROLE, "-o", "json")
    there.kubectl("delete", "rolebinding", ROLE)
    eventually(lambda: not may_list(here, there), "nothing may be listed there")
    yield
    meta = {"name": ROLE, "namespace": there.namespace}
    there.api.kubectl("apply", "-f", "-", given=json.dumps(json.loads(binding) | {"metadata": meta}))
    eventually(lambda: may_list(here, there), "it may be listed again")


def _command(replica: OperatorProcess, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rag_operator", name]
    return subprocess.run(command, env=replica.environment, capture_output=True, text=True, check=False, timeout=120)


def _resyncs(replica: OperatorProcess) -> None:
    """Wait until a resync that began from now on has listed all that it lists."""
    before = replica.scrape().of("rag_operator_resync_seconds_count")
    eventually(lambda: replica.scrape().of("rag_operator_resync_seconds_count") > before + 1, "a resync ends")


def _uid(here: World, kind: str, name: str) -> str:
    return str((here.get(kind, name) or {}).get("metadata", {}).get("uid", ""))


def test_drift_heals_runs_begin_pipelines_go_and_the_release_lets_go(here: World, there: World, database: str) -> None:
    replica = _start(here, there)
    here.apply(pipeline(tenancy=EVERYONE), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    with _without_rights(here, there):
        _resyncs(replica)
        before = _uid(here, "cronjob", "acme-ingest")
        here.kubectl("delete", "cronjob", "acme-ingest")
        eventually(lambda: _uid(here, "cronjob", "acme-ingest") not in ("", before), "the CronJob is made again")
        here.apply(tenant("second"))
        here.wait_condition("ragtenant", "second", "IngestSucceeded", "Ingesting")
        here.kubectl("delete", "ragtenant", "acme", "second", "--timeout=180s")
        here.kubectl("delete", "ragpipeline", "support", "--timeout=180s")
        here.apply(pipeline())
        eventually(lambda: (here.get("ragpipeline", "support") or {})["metadata"].get("finalizers"), "in hand")
        replica.stop()
        released = _command(replica, "release")
        assert released.returncode == 0, released.stderr
        assert f"namespace {there.namespace} was left out" in released.stdout
        assert "finalizers" not in (here.get("ragpipeline", "support") or {})["metadata"]


def test_its_tenants_are_no_orphans_are_not_forgotten_and_hold_the_pipeline_that_has_their_data(
    here: World, there: World, database: str
) -> None:
    replica = _with_guest(here, there, database)
    with _without_rights(here, there):
        _resyncs(replica)
        assert not replica.scrape().of("rag_operator_resync_differences_total", difference="vanished")
        replica.stop()
        listed = _command(replica, "orphans")
        assert (listed.returncode, listed.stdout.count("not looked at")) == (1, 1), listed
        assert f"{there.namespace}\tnot looked at" in listed.stdout
        assert f"{there.namespace}/guest" not in listed.stdout
        replica.start()
        here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        looks(replica)
        assert replica.scrape().of("rag_operator_orphans", what="tenant") == 0
        here.kubectl("delete", "ragpipeline", "support", "--wait=false")
        said = here.wait_condition("ragpipeline", "support", "Ready", "TenantsRemain")
        assert f"{there.namespace}/guest" in said["message"]
        assert "watchNamespaces" in said["message"]
        looks(replica)
        assert here.get("ragpipeline", "support")
    eventually(lambda: "watchNamespaces" not in here.condition("ragpipeline", "support", "Ready")["message"], "listed")
    there.kubectl("delete", "ragtenant", "guest", "--timeout=180s")
    eventually(lambda: not here.get("ragpipeline", "support"), "the pipeline goes")


def test_a_tenant_that_is_deleted_after_the_operators_rights_is_closed_and_no_other_is(
    here: World, there: World, database: str
) -> None:
    replica = _with_guest(here, there, database)
    with _without_rights(here, there):
        there.kubectl("annotate", "ragtenant", "guest", "looked-at=1")
        eventually(lambda: "cannot get" in replica.logged(), "it was looked at, and that was refused")
        assert rows(database) == {there.namespace: ("Active", 1, True)}
        there.kubectl("delete", "ragtenant", "guest", "--wait=false")
        closed = {there.namespace: ("Deactivated", 0, False)}
        eventually(lambda: rows(database) == closed, "its keys are refused")
        told = here.wait_audited("Closed")
        assert (told["namespace"], told["name"]) == (there.namespace, "guest")
        assert there.get("ragtenant", "guest"), "nobody may take the finalizer off"
    eventually(lambda: not there.get("ragtenant", "guest"), "it goes", 180)
    assert rows(database) == {there.namespace: ("Retained", 0, False)}


def test_answers_are_closed_when_a_watched_namespace_is_deleted_with_the_role_in_it(
    here: World, there: World, database: str
) -> None:
    _with_guest(here, there, database)
    there.kubectl("delete", "namespace", there.namespace, "--wait=false")
    ended = [{there.namespace: (state, 0, False)} for state in ("Deactivated", "Retained")]
    eventually(lambda: rows(database) in ended, "its keys are refused")
    eventually(lambda: not may_list(here, there), "the Role is gone")


async def test_in_the_whole_cluster_a_refusal_is_an_error_and_so_is_a_kind_that_is_gone(
    here: World, there: World
) -> None:
    everywhere = from_environment({}, "0.1.0")
    named = replace(everywhere, watch_namespaces=(here.namespace, there.namespace))
    scoped = await Api.connect(str(under_the_charts_roles(here, there)))
    try:
        assert await Places(scoped, named).list(TENANT) == []
        with pytest.raises(RefusedError, match="cannot list"):
            await Places(scoped, everywhere).list(TENANT)
    finally:
        await scoped.close()
    anybody = await Api.connect(str(here.api.kubeconfig))
    try:
        with pytest.raises(NotFoundError):
            await Places(anybody, named).list(replace(TENANT, plural="ragnothings"))
    finally:
        await anybody.close()

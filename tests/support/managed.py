"""A managed database on an API server without nodes: another Postgres takes the place of its pod."""

from __future__ import annotations

from tests.support.operator import World, eventually

MERGE = "application/merge-patch+json"


def managed_pipeline_binds(here: World, dsn: str, pipeline: str = "support") -> None:
    """Lead the Secret of a managed database to a real one, say that its pod is ready, and wait until it is bound."""
    name = f"{pipeline}-postgres"
    eventually(lambda: here.has(f"secret/{name}", f"statefulset/{name}"), "the managed database is made")
    here.apply(here.database_secret(dsn, name))
    path = f"/apis/apps/v1/namespaces/{here.namespace}/statefulsets/{name}/status"
    here.api.client.call("PATCH", path, {"status": {"replicas": 1, "readyReplicas": 1}}, MERGE)
    here.wait_condition("ragpipeline", pipeline, "DatabaseReady", "AsExpected")
    here.catalog(pipeline)

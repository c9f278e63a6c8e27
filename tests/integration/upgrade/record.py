"""Records what an earlier version of the operator leaves: run by hand, once a release, and committed.

    git worktree add /tmp/old COMMIT
    RAG_RECORD=/tmp/old:COMMIT python -m pytest tests/integration/upgrade/record.py

The operator of that checkout runs against a real API server and Postgres of its own until it is settled: a pipeline
with a Redis and a database of its own Secrets, a tenant whose first ingestion runs, and a suspended one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cluster.fixtures import Kubernetes
from tests.integration.upgrade.recording import RECORDED, write
from tests.support.catalog import CATALOGS
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant, world
from tests.support.redis import RedisServer
from tests.support.rollouts import job_runs, rollouts_end

LEASE = "INSERT INTO {}.reader_lease (pod, applied, pinned, expires_at) VALUES ('a', 9, 9, now() + interval '1 hour')"
TAKE = "SELECT {}.take('Sync', 0, 0, 'job', '10 min')"
DOCUMENT = """
INSERT INTO {}.document (source, path, seq, content_hash, extractor, media_type, uri, title, text, acl)
VALUES ('handbook', '/hello.md', 1, 'h', 'e', 'text/markdown', 'u', 'Hello', 'The office opens at nine.', '{{*}}')
"""


@pytest.mark.parametrize("what", os.environ.get("RAG_RECORD", "").split(","))
def test_record(
    what: str,
    api: Kubernetes,
    database: str,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, _, name = what.partition(":")
    api.install_kinds(Path(f"{old}/crds"))
    monkeypatch.setenv("PYTHONPATH", f"{old}/operator:{old}/runtime")
    with world(api, tmp_path) as here:
        redis = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"}}
        spec: dict[str, Any] = {"cache": {"secretRef": {"name": "redis"}}, "scaling": {"replicas": 2}}
        here.apply(redis | {"stringData": {"url": redis_server.url}}, HANDBOOK, here.database_secret(database))
        here.apply(pipeline(**spec), tenant("acme"), tenant("beta", suspend=True))
        here.operator(runtime_image="rag-operator/runtime:0.1.0", resync_seconds="2")
        with rollouts_end(here):
            here.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
            here.wait_condition("ragtenant", "beta", "DatabaseReady", "AsExpected")
            job_runs(here)
            _ingest(here, database)
            here.wait_condition("ragpipeline", "support", "Ready", "Ready", 90)
            eventually(lambda: _total(here) == 2, "the counts")
            time.sleep(8)
        here.replicas[0].stop()
        write(here, database, RECORDED / name)


def _total(here: World) -> int:
    status = (here.get("ragpipeline", "support") or {})["status"]
    return int((status.get("tenants") or {}).get("total", 0))


def _ingest(here: World, dsn: str) -> None:
    """What a query pod and the running Job have written."""
    login = here.secret("acme-ingest-db")
    tenant_schema = (here.get("ragtenant", "acme") or {})["status"]["schema"]
    with psycopg.connect(dsn, autocommit=True) as admin:
        (catalog,) = admin.execute(CATALOGS).fetchone() or ("",)
        admin.execute(f"SET ROLE {catalog}_owner".encode())
        admin.execute(LEASE.format(catalog).encode())
    own = psycopg.connect(dsn, user=login["ingest.username"], password=login["ingest.password"], autocommit=True)
    with own:
        own.execute(TAKE.format(catalog).encode())
        own.execute(DOCUMENT.format(tenant_schema).encode())

"""The managed Postgres and Redis, as the builders make them, on real nodes with the restricted standard enforced."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from rag_operator.api import API_VERSION
from rag_operator.api.parse import parse_pipeline
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import cache, postgres
from rag_operator.build.common import Manifest, Release
from tests.cluster.fixtures import Kubernetes
from tests.cluster.processes import wait_until

pytestmark = pytest.mark.e2e
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
RELEASE = Release(
    "dev", "rag-operator/runtime:dev", "rag-operator/postgres:dev", "rag-operator/redis:dev", "IfNotPresent"
)
FIRST, SECOND = "first'pass\\word", "the-second-word"
PATIENCE = 300
"""Seconds; a bound for what hangs."""


@pytest.fixture(scope="module")
def namespace(cluster: Kubernetes) -> Iterator[str]:
    with cluster.namespace("managed", RESTRICTED) as name:
        yield name


def pipeline(namespace: str) -> RagPipeline:
    metadata = {"name": "support", "namespace": namespace, "uid": "none"}
    spec = {"database": {"managed": {"storage": "1Gi"}}, "cache": {"managed": {"memory": "16Mi"}}}
    return parse_pipeline({"apiVersion": API_VERSION, "kind": "RagPipeline", "metadata": metadata, "spec": spec})


def apply(cluster: Kubernetes, *manifests: Manifest) -> None:
    """Without owners: there is no such pipeline, and the garbage collector would know."""
    for manifest in manifests:
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
        given = json.dumps(manifest | {"metadata": metadata})
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=given)


def start_postgres(cluster: Kubernetes, namespace: str, password: str, version: str) -> None:
    one = pipeline(namespace)
    apply(cluster, postgres.managed_postgres_secret(one, password), *postgres.managed_postgres(one, RELEASE, version))
    rollout = ("rollout", "status", "statefulset/support-postgres", "-n", namespace, f"--timeout={PATIENCE}s")
    cluster.kubectl(*rollout, deadline=PATIENCE + 10)

    def answers() -> bool:
        try:
            return sql(cluster, namespace, password, "SELECT 1") == "1"
        except subprocess.CalledProcessError:  # the proxy and the names learn of a ready pod a moment later
            return False

    assert wait_until(answers, PATIENCE)


def sql(cluster: Kubernetes, namespace: str, password: str, statement: str) -> str:
    """Over TCP to the Service, as the operator does."""
    address = f"host=support-postgres.{namespace}.svc dbname=rag user=rag_admin sslmode=disable"
    program = 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql -qtA "$0" -c "$1"'
    command = ("exec", "-i", "-n", namespace, "support-postgres-0", "-c", "postgres", "--", "sh", "-c", program)
    return cluster.kubectl(*command, address, statement, given=f"{password}\n").strip()


def test_postgres_keeps_its_data_and_follows_its_secret(cluster: Kubernetes, namespace: str) -> None:
    start_postgres(cluster, namespace, FIRST, "uid/1")
    sql(cluster, namespace, FIRST, "CREATE EXTENSION vector; CREATE TABLE kept AS SELECT '[1,2]'::vector AS v")
    assert sql(cluster, namespace, FIRST, "SHOW data_checksums") == "on"

    start_postgres(cluster, namespace, SECOND, "uid/2")
    assert sql(cluster, namespace, SECOND, "SELECT v FROM kept") == "[1,2]"
    with pytest.raises(subprocess.CalledProcessError, match="exit status"):
        sql(cluster, namespace, FIRST, "SELECT 1")
    logs = cluster.kubectl("logs", "-n", namespace, "support-postgres-0", "--all-containers")
    assert SECOND not in logs


def test_postgres_has_the_shared_memory_of_a_parallel_index_build(cluster: Kubernetes, namespace: str) -> None:
    start_postgres(cluster, namespace, SECOND, "uid/2")
    command = ("exec", "-n", namespace, "support-postgres-0", "-c", "postgres", "--", "df", "-m", "/dev/shm")
    assert cluster.kubectl(*command).splitlines()[-1].split()[1] == "256"


def test_redis_takes_its_password_and_no_other_client(cluster: Kubernetes, namespace: str) -> None:
    one = pipeline(namespace)
    apply(cluster, cache.managed_redis_secret(one, 'a "b"\\'), *cache.managed_redis(one, RELEASE, "uid/1"))
    rollout = ("rollout", "status", "deployment/support-cache", "-n", namespace, f"--timeout={PATIENCE}s")
    cluster.kubectl(*rollout, deadline=PATIENCE + 10)

    def redis(*words: str) -> Any:
        command = ("exec", "-n", namespace, "deployment/support-cache", "--", "redis-cli", *words)
        return cluster.kubectl(*command).strip()

    assert "NOAUTH" in redis("get", "a")
    user = ("--no-auth-warning", "-a", 'a "b"\\')
    assert redis(*user, "config", "get", "maxmemory").split() == ["maxmemory", str(16 * 1024**2)]
    assert redis(*user, "config", "get", "maxmemory-policy").split()[1] == "allkeys-lru"
    assert redis(*user, "set", "a", "1") == "OK"

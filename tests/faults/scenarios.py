"""What a person does, step by step; each step's goal is what must stand when it is through, whatever went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from rag_operator.api.names import ANNOTATION_CONFIG
from rag_runtime.contract.config import IngestConfig
from tests.faults.harness import Stage
from tests.support.operator import HANDBOOK, pipeline, tenant
from tests.support.runs import jobs

Act = Callable[[Stage], None]
Goal = Callable[[Stage], bool]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`before` is settled undisturbed; the fault falls into `act`."""

    name: str
    act: Act
    goal: Goal
    before: tuple[tuple[Act, Goal], ...] = ()
    writes: str = ""
    """Part of the label of one that is among its writes."""


ERASED = {"deletionPolicy": "Delete"}
LOGINS = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) AND rolcanlogin ORDER BY 1"
SCHEDULE = {"schedule": "7 3 * * *"}
"""The default's minutes depend on the namespace's name."""


def _create(stage: Stage) -> None:
    stage.apply(pipeline(**ERASED), tenant(**ERASED, **SCHEDULE), HANDBOOK, stage.database_secret())


def _created(stage: Stage) -> bool:
    children = ("deployment/support-query", "deployment/support-cache", "cronjob/acme-ingest", "secret/acme-api-key")
    return stage.has(*children) and stage.reason("ragtenant", "acme", "IngestSucceeded") == "Ingesting"


def _change(stage: Stage) -> None:
    scaling = {"minReplicas": 2, "maxReplicas": 4}
    stage.apply(pipeline(**ERASED, scaling=scaling, chunking={"size": 128, "overlap": 16}))


def _changed(stage: Stage) -> bool:
    scaled = stage.has("horizontalpodautoscaler/support-query")
    configs = [job["metadata"]["annotations"][ANNOTATION_CONFIG] for job in jobs(stage.here).values()]
    texts = [text for name in configs for text in (stage.here.get("configmap", name) or {"data": {}})["data"].values()]
    return scaled and [IngestConfig.model_validate_json(text).shape.chunking.size for text in texts] == [128]


def _delete_tenant(stage: Stage) -> None:
    stage.here.kubectl("delete", "ragtenant", "acme", "--wait=false")


def _tenant_gone(stage: Stage) -> bool:
    return not stage.has("ragtenant/acme") and not stage.has("cronjob/acme-ingest") and not _jobs(stage)


def _jobs(stage: Stage) -> list[str]:
    return stage.here.kubectl("get", "jobs,secrets", "-l", "rag-operator.dev/tenant=acme", "-o", "name").split()


def _add_tenant(stage: Stage) -> None:
    stage.apply(tenant("beta", **ERASED, **SCHEDULE))


def _tenant_added(stage: Stage) -> bool:
    counted = (stage.here.get("ragpipeline", "support") or {}).get("status", {}).get("tenants", {})
    return stage.has("cronjob/beta-ingest", "secret/beta-api-key") and counted.get("total") == 2


def _add_again(stage: Stage) -> None:
    stage.apply(tenant(**ERASED, **SCHEDULE))


def _create_with_a_redis(stage: Stage) -> None:
    cache = {"secretRef": {"name": "redis"}}
    stage.apply(pipeline(**ERASED, cache=cache), tenant(**ERASED, **SCHEDULE), HANDBOOK)
    stage.apply(stage.database_secret(), stage.redis_secret())


def _created_with_a_redis(stage: Stage) -> bool:
    made = stage.has("deployment/support-query", "cronjob/acme-ingest", "secret/acme-api-key")
    return made and stage.reason("ragtenant", "acme", "IngestSucceeded") == "Ingesting"


def _answer(stage: Stage) -> None:
    stage.fill_cache((stage.here.get("ragtenant", "acme") or {})["status"]["schema"])


def _answered(stage: Stage) -> bool:
    return bool(stage.cached())


def _rotate(stage: Stage) -> None:
    stage.here.kubectl("delete", "secret", "support-query-db")


def _rotated(stage: Stage) -> bool:
    """The other login is open alone, after a grace of a second."""
    catalog = stage.here.catalog().hex[:12]
    with psycopg.connect(stage.dsn) as admin:
        asked = admin.execute(LOGINS, [f"rag_{catalog}_query_"])
        return stage.has("secret/support-query-db") and [str(name)[-3:] for (name,) in asked] == ["0_b"]


def _delete_all(stage: Stage) -> None:
    stage.here.kubectl("delete", "ragpipeline,ragtenant", "--all", "--wait=false")


def _all_gone(stage: Stage) -> bool:
    left = stage.here.kubectl("get", "ragpipelines,ragtenants,deployments,services,cronjobs,jobs", "-o", "name").split()
    return not left


CREATED = (_create, _created)
ANSWERED = ((_create_with_a_redis, _created_with_a_redis), (_answer, _answered))
ERASE_ANSWERS = Scenario("erase answers", _delete_tenant, _tenant_gone, ANSWERED, "redis UNLINK")
SCENARIOS = (
    Scenario("create", _create, _created),
    Scenario("change", _change, _changed, (CREATED,)),
    Scenario("delete tenant", _delete_tenant, _tenant_gone, (CREATED,)),
    ERASE_ANSWERS,
    Scenario("delete all", _delete_all, _all_gone, (CREATED,)),
    Scenario("rotate", _rotate, _rotated, (CREATED,)),
)
ADD_TENANT = Scenario("add tenant", _add_tenant, _tenant_added, (CREATED,))
ADD_AGAIN = Scenario("add again", _add_again, _created, (CREATED, (_delete_tenant, _tenant_gone)))
"""A tenant of the same name as one that was deleted."""

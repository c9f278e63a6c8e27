"""Ten thousand tenants that are in sync: memory, cold start, what a resync costs, how soon one change is served.

    python -m tests.bench.fleet [COUNT]

On a control plane without nodes, where the pipeline is told ready; ingestion suspended. CPU is the operator's own, from
/proc.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CRON_JOB, TENANT
from rag_runtime.contract.names import CatalogNames
from tests.bench.machine import cpu_seconds, rss
from tests.bench.tenants import alone, create, wait_until_laid
from tests.support import postgres, redis
from tests.support.operator import HANDBOOK, World, pipeline, secret
from tests.support.rollouts import rollouts_end
from tests.support.scrape import Scrape, until

COUNT = 10_000
RESYNC_SECONDS = 20
"""Far more often than by default, so that a few minutes show several; the share of a core is told for the default."""
DEFAULT_SECONDS = 300
RESYNCS = 5
CHANGES = 20


def main() -> int:
    """Measure once and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with alone("fleet") as (here, server), redis.running() as cache, rollouts_end(here):
        here.apply(secret("redis", {"url": cache.url}))
        _measure(here, server, count)
    return 0


def _measure(here: World, server: postgres.Server, count: int) -> None:
    port = postgres.free_port()
    first = here.operator(metrics_port=str(port))
    database = server.create_database("tenants")
    here.apply(pipeline(cache={"secretRef": {"name": "redis"}}), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    _a_pod_serves(here, database)
    here.wait_condition("ragpipeline", "support", "Ready", "Ready")
    began = time.monotonic()
    asyncio.run(create(here.kubeconfig, here.namespace, count))
    wait_until_laid(here, count)
    made = time.monotonic() - began
    first.stop()
    again = here.operator(metrics_port=str(port), resync_seconds=str(RESYNC_SECONDS))
    began = time.monotonic()
    until(lambda: _looks(port) >= count, "all are seen", 2)
    cold = time.monotonic() - began
    until(lambda: Scrape(port).is_idle(), "nothing waits", 2)
    assert again.process is not None
    pid = again.process.pid
    at_rest, looks = _resyncs(port, pid)
    served = _changes(here, port)
    print(f"{count} tenants, suspended; {os.cpu_count()} CPUs for all, Linux {platform.release()}, "
          f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| what | figure |\n|---|---|")
    print(f"| created and laid | {made:.0f} s, {count / made:.1f} a second |")
    print(f"| cold start of another operator until every tenant was looked at | {cold:.0f} s |")
    print(f"| memory of the operator (RSS) | {rss(pid)} MiB |")
    share = f"{100 * at_rest / DEFAULT_SECONDS:.2f} % of a core with one each {DEFAULT_SECONDS} s"
    print(f"| CPU of a resync and of its {looks:.0f} looks | {at_rest:.2f} s, {share} |")
    print(f"| one tenant's change to its CronJob, while resyncs run | median {statistics.median(served):.2f} s, "
          f"longest {max(served):.2f} s of {len(served)} |")  # fmt: skip


def _a_pod_serves(here: World, database: str) -> None:
    """What a query pod would say in the catalog: a pipeline that is not ready is looked at every other second."""
    status = (here.get("ragpipeline", "support") or {})["status"]
    catalog = CatalogNames(UUID(status["catalogID"])).schema
    statement = f"INSERT INTO {catalog}.reader_lease (pod, applied, pinned, expires_at) VALUES ('bench', 0, 0, %s)"
    with psycopg.connect(database) as admin:
        admin.execute(statement, [datetime.now(UTC) + timedelta(hours=12)])


def _resyncs(port: int, pid: int) -> tuple[float, float]:
    """CPU seconds and looks of one resync, on average over several, with all that runs beside it at rest."""
    start = _next_resync(port)
    spent, looks = cpu_seconds(pid), _looks(port)
    until(lambda: Scrape(port).of("rag_operator_resyncs_total") >= start + RESYNCS, "some resyncs", 2)
    return (cpu_seconds(pid) - spent) / RESYNCS, (_looks(port) - looks) / RESYNCS


def _next_resync(port: int) -> float:
    """Wait until one begins; returns its number."""
    start = Scrape(port).of("rag_operator_resyncs_total")
    until(lambda: Scrape(port).of("rag_operator_resyncs_total") > start, "a resync begins", 0.5)
    return start + 1


def _looks(port: int) -> float:
    return Scrape(port).of("rag_operator_reconcile_seconds_count", kind="tenant")


def _changes(here: World, port: int) -> list[float]:
    """Seconds from a changed schedule to the changed CronJob, the first begun with a resync."""
    _next_resync(port)
    return asyncio.run(_scheduled(here))


async def _scheduled(here: World) -> list[float]:
    api = await Api.connect(str(here.kubeconfig))
    took = []
    try:
        for number in range(CHANGES):
            name, schedule = f"t{number * 7:08d}", f"{number} 3 * * *"
            live = await api.get(TENANT, here.namespace, name)
            assert live is not None
            began = time.monotonic()
            await api.merge(TENANT, live, {"spec": {"schedule": schedule}})
            while not await _has(api, here.namespace, name, schedule):  # noqa: ASYNC110  another process's doing
                await asyncio.sleep(0.02)
            took.append(time.monotonic() - began)
    finally:
        await api.close()
    return took


async def _has(api: Api, namespace: str, name: str, schedule: str) -> bool:
    live = await api.get(CRON_JOB, namespace, f"{name}-ingest")
    return live is not None and live["spec"]["schedule"] == schedule


if __name__ == "__main__":
    sys.exit(main())

"""A thousand tenants and one change a second: how long a reconcile takes, by the operator's own histogram.

    python -m tests.bench.steady [COUNT [SECONDS]]

On a control plane without nodes; ingestion suspended. Quantiles are those of Prometheus's histogram_quantile: within a
bucket the values are taken to be spread evenly. Reconciles of resyncs, of the changes and of their echoes all count.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CRON_JOB, TENANT
from tests.bench.tenants import alone, create, wait_until_laid
from tests.support import postgres
from tests.support.operator import HANDBOOK, World, pipeline
from tests.support.scrape import Buckets, Scrape, quantile, until

COUNT = 1000
SECONDS = 180
RESYNC_SECONDS = 60
NAME = "rag_operator_reconcile_seconds"


def main() -> int:
    """Measure once and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with alone("steady") as (here, server):
        _measure(here, server, count, seconds)
    return 0


def _measure(here: World, server: postgres.Server, count: int, seconds: int) -> None:
    port = postgres.free_port()
    here.operator(metrics_port=str(port), resync_seconds=str(RESYNC_SECONDS))
    here.apply(pipeline(), HANDBOOK, here.database_secret(server.create_database("tenants")))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    asyncio.run(create(here.kubeconfig, here.namespace, count))
    wait_until_laid(here, count)
    until(lambda: Scrape(port).is_idle(), "nothing waits", 2)
    before = {kind: _reconciles(port, kind) for kind in ("tenant", "pipeline")}
    missing = asyncio.run(_changed_each_second(here, count, seconds))
    print(f"{count} tenants, suspended, one change a second for {seconds} s, a resync each {RESYNC_SECONDS} s; "
          f"{os.cpu_count()} CPUs for all, Linux {platform.release()}, Python {platform.python_version()}, "
          f"load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| reconciles of | number | p50 | p99 |\n|---|---|---|---|")
    for kind, old in before.items():
        during = {bound: value - old.get(bound, 0.0) for bound, value in _reconciles(port, kind).items()}
        p50, p99 = (f"{1000 * quantile(during, share):.0f} ms" for share in (0.5, 0.99))
        print(f"| {kind}s | {max(during.values()):.0f} | {p50} | {p99} |")
    print(f"\nchanges that had not reached their CronJob 5 s after the last: {missing}")


def _reconciles(port: int, kind: str) -> Buckets:
    return Scrape(port).buckets(NAME, kind=kind)


async def _changed_each_second(here: World, count: int, seconds: int) -> int:
    """Change another tenant's schedule each second; how many changes are not carried out at the end."""
    api = await Api.connect(str(here.kubeconfig))
    wanted: dict[str, str] = {}
    began = time.monotonic()
    try:
        for number in range(seconds):
            name, schedule = f"t{number * 7 % count:08d}", f"{number % 60} 3 * * *"
            live = await api.get(TENANT, here.namespace, name)
            assert live is not None
            await api.merge(TENANT, live, {"spec": {"schedule": schedule}})
            wanted[name] = schedule
            await asyncio.sleep(max(0.0, began + number + 1 - time.monotonic()))
        await asyncio.sleep(5)
        found = [(await api.get(CRON_JOB, here.namespace, f"{name}-ingest") or {})["spec"] for name in wanted]
        return sum(spec["schedule"] != schedule for spec, schedule in zip(found, wanted.values(), strict=True))
    finally:
        await api.close()


if __name__ == "__main__":
    sys.exit(main())

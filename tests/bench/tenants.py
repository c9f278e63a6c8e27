"""Many tenants created at once, ingestion suspended: how long, what it costs the operator, what it writes.

    python -m tests.bench.tenants [COUNT]

A control plane without nodes and a Postgres of its own; the operator is a process of its own with one core's worth of
work at most, being one event loop. CPU is that process's, from /proc.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import TENANT
from tests.cluster.fixtures import Kubernetes, without_nodes
from tests.support import postgres
from tests.support.operator import HANDBOOK, World, pipeline, tenant, world

COUNT = 1000
CREATORS = 8
CRDS = Path(__file__).parents[2] / "crds"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure once and print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with (
        without_nodes(f"bench-{os.getpid()}") as kubernetes,
        postgres.running() as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        kubernetes.kubectl("apply", "--server-side", "-f", str(CRDS))
        kubernetes.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        with world(kubernetes, Path(folder)) as here:
            _measure(here, kubernetes, server, count)
    return 0


def _measure(here: World, kubernetes: Kubernetes, server: postgres.Server, count: int) -> None:
    replica = here.operator(metrics_port=str(postgres.free_port()))
    here.apply(pipeline(), HANDBOOK, here.database_secret(server.create_database("tenants")))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    assert replica.process is not None
    pid, audit = replica.process.pid, kubernetes.audit
    mark, cpu, began = audit.mark(), _cpu(pid), time.monotonic()
    asyncio.run(_create(kubernetes.kubeconfig, here.namespace, count))
    created = time.monotonic() - began
    while asyncio.run(_laid(kubernetes.kubeconfig, here.namespace)) < count:
        time.sleep(1)  # a list of all is work for the API server too
    took, spent = time.monotonic() - began, _cpu(pid) - cpu
    writes = audit.writes(mark, user=here.user)
    print(f"{count} tenants, suspended; {os.cpu_count()} CPUs for all, Linux {platform.release()}, "
          f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| what | figure |\n|---|---|")
    print(f"| `kubectl apply` of all, {CREATORS} at once | {created:.1f} s |")
    print(f"| all have schema, roles, Secrets, CronJob | {took:.1f} s, {count / took:.1f} tenants/s |")
    print(f"| CPU of the operator | {spent:.1f} s, {1000 * spent / count:.1f} ms a tenant |")
    print(f"| memory of the operator (RSS) | {_rss(pid)} MiB |")
    print(f"| writes to the API server | {len(writes)}, {len(writes) / count:.2f} a tenant |\n")
    print("| writes by verb and resource | count |\n|---|---|")
    for (verb, resource), number in Counter((w.verb, w.resource) for w in writes).most_common(12):
        print(f"| {verb} {resource} | {number} |")


async def _create(kubeconfig: Path, namespace: str, count: int) -> None:
    api = await Api.connect(str(kubeconfig))
    names = iter([f"t{number:05d}" for number in range(count)])

    async def work() -> None:
        for name in names:
            manifest = tenant(name, suspend=True)
            manifest["metadata"]["namespace"] = namespace
            await api.create(TENANT, manifest)

    try:
        await asyncio.gather(*(work() for _ in range(CREATORS)))
    finally:
        await api.close()


async def _laid(kubeconfig: Path, namespace: str) -> int:
    api = await Api.connect(str(kubeconfig))
    try:
        items = await api.list(TENANT, namespace)
        return sum(_holds(item, "DatabaseReady") and "schema" in item["status"] for item in items)
    finally:
        await api.close()


def _holds(item: dict[str, Any], kind: str) -> bool:
    found = item.get("status", {}).get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in found)


def _cpu(pid: int) -> float:
    """Seconds of user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _rss(pid: int) -> int:
    """MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    sys.exit(main())

"""Many tenants created at once, ingestion suspended: how long, what it costs the operator, what it writes.

    python -m tests.bench.tenants [COUNT]

Three parts in one run, on a control plane without nodes: the same API writes sent again without an operator, the same
SQL likewise, and ours. Replay and operator have a Postgres and a namespace each. CPU is the operator's own, from /proc.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import TENANT
from tests.bench.recorded import Recording, renaming, replay_calls, replay_transactions
from tests.cluster.fixtures import Kubernetes, without_nodes
from tests.faults.harness import stage
from tests.support import postgres
from tests.support.operator import HANDBOOK, HOME, World, pipeline, tenant

COUNT = 1000
CREATORS = 8
LANE = 4
"""Reconciles at once that the operator allows a database; the replay has so many connections."""
TEMPLATE = "template0"
CRDS = Path(__file__).parents[2] / "crds"
TICKS = os.sysconf("SC_CLK_TCK")
FIRST_APPLY = ("secrets", "configmaps", "cronjobs")


def main() -> int:
    """Measure once and print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with without_nodes(f"bench-{os.getpid()}") as kubernetes, tempfile.TemporaryDirectory() as folder:
        kubernetes.install_kinds(CRDS)
        with postgres.running() as server, placed(kubernetes, "replay", Path(folder)) as here:
            calls, statements = _replay(here, server, Path(folder), count)
        with postgres.running() as server, placed(kubernetes, "ours", Path(folder)) as here:
            _measure(here, kubernetes, server, count, max(calls, statements))
    return 0


@contextmanager
def alone(name: str) -> Iterator[tuple[World, postgres.Server]]:
    """A namespace with our kinds on a control plane of its own without nodes, and a Postgres."""
    with (
        without_nodes(f"{name}-{os.getpid()}") as kubernetes,
        tempfile.TemporaryDirectory() as folder,
        postgres.running() as server,
        placed(kubernetes, name, Path(folder)) as here,
    ):
        kubernetes.install_kinds(CRDS)
        yield here, server


@contextmanager
def placed(kubernetes: Kubernetes, name: str, folder: Path) -> Iterator[World]:
    """A namespace that goes with its API server: deleting thousands of objects one by one would take minutes."""
    kubernetes.kubectl("create", "namespace", name)
    kubernetes.kubectl("create", "serviceaccount", name, "-n", HOME)
    account = f"--serviceaccount={HOME}:{name}"
    kubernetes.kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", account)
    (folder / name).mkdir()
    kubeconfig = kubernetes.as_service_account(HOME, name, folder / name)
    here = World(kubernetes, name, folder / name, kubeconfig, f"system:serviceaccount:{HOME}:{name}")
    try:
        yield here
    finally:
        for replica in here.replicas:
            replica.stop(signal.SIGKILL)


def _replay(here: World, server: postgres.Server, folder: Path, count: int) -> tuple[float, float]:
    """Seconds for the API writes and for the SQL of so many tenants."""
    dsn = server.create_database("tenants")
    recorded, old = _record(here, dsn, folder)
    asyncio.run(create(here.kubeconfig, here.namespace, count))
    uids = asyncio.run(_uids(here.kubeconfig, here.namespace))
    renamings = [renaming(old, _names(name, uid, uuid4())) for name, uid in uids.items() if name != TEMPLATE]
    began = time.monotonic()
    asyncio.run(replay_calls(here.kubeconfig, recorded.calls, renamings, CREATORS))
    calls = time.monotonic() - began
    began = time.monotonic()
    replay_transactions(dsn, recorded.transactions, renamings, LANE)
    statements = time.monotonic() - began
    per_tenant = sum(len(one) for one in recorded.transactions)
    print(f"{count} tenants, suspended; {os.cpu_count()} CPUs for all, Linux {platform.release()}, "
          f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| part | s | of each tenant |\n|---|---|---|")
    print(f"| the same API writes, {CREATORS} at once | {calls:.1f} | {len(recorded.calls)} writes |")
    print(f"| the same SQL, {LANE} connections | {statements:.1f} | {len(recorded.transactions)} transactions, "
          f"{per_tenant} statements |")  # fmt: skip
    return calls, statements


def _record(here: World, dsn: str, folder: Path) -> tuple[Recording, dict[str, bytes]]:
    """What one tenant takes, and its names."""
    recording = Recording()
    with stage(here, dsn, folder) as scene:
        scene.wire.weather = recording.request
        scene.sql.heard = recording.message
        scene.start()
        scene.apply(pipeline(), HANDBOOK, scene.database_secret())
        here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        recording.on = True
        scene.apply(tenant(TEMPLATE, suspend=True))
        here.wait_condition("ragtenant", TEMPLATE, "DatabaseReady", "AsExpected")
        time.sleep(3)  # nothing is waited for: what comes after it counts too
        recording.on = False
    live = here.get("ragtenant", TEMPLATE) or {}
    with psycopg.connect(dsn) as connection:
        schema = f"rag_{UUID(live['status']['catalogID']).hex[:12]}"
        (incarnation,) = (
            connection.execute(f"SELECT id FROM {schema}.tenant WHERE name = %s", [TEMPLATE]).fetchone() or ()
        )
    names = _names(TEMPLATE, live["metadata"]["uid"], incarnation)
    return recording.about(TEMPLATE, str(incarnation), incarnation.hex[:10]), names


def _names(name: str, uid: str, incarnation: UUID) -> dict[str, bytes]:
    """Every form in which a tenant is named (rag_runtime.contract.names)."""
    text = {"name": name, "uid": uid, "id": str(incarnation), "hex": incarnation.hex}
    parts = {"roles": incarnation.hex[:12], "schema": incarnation.hex[:10]}
    return {kind: value.encode() for kind, value in (text | parts).items()} | {"binary": incarnation.bytes}


def _measure(here: World, kubernetes: Kubernetes, server: postgres.Server, count: int, floor: float) -> None:
    port = postgres.free_port()
    replica = here.operator(metrics_port=str(port))
    here.apply(pipeline(), HANDBOOK, here.database_secret(server.create_database("tenants")))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    assert replica.process is not None
    pid, audit = replica.process.pid, kubernetes.audit
    mark, cpu, began = audit.mark(), cpu_seconds(pid), time.monotonic()
    asyncio.run(create(here.kubeconfig, here.namespace, count))
    created = time.monotonic() - began
    while asyncio.run(laid(here.kubeconfig, here.namespace)) < count:
        time.sleep(1)  # a list of all is work for the API server too
    took, spent = time.monotonic() - began, cpu_seconds(pid) - cpu
    time.sleep(5)
    writes = [write for write in audit.writes(mark, user=here.user) if write.resource != "leases"]
    beside = [write for write in writes if write.resource not in FIRST_APPLY and not _by_the_bench(write)]
    print(f"| ours | **{took:.1f}** | {took / floor:.2f} times the larger of the two |\n")
    print("| what | figure |\n|---|---|")
    print(f"| creation of all RagTenants, {CREATORS} at once (within ours) | {created:.1f} s |")
    print(f"| tenants with schema, roles, Secrets, CronJob | {count / took:.1f} a second |")
    print(f"| CPU of the operator | {spent:.1f} s, {1000 * spent / count:.1f} ms a tenant |")
    print(f"| reconciles | {_reconciles(port)} |")
    print(f"| memory of the operator (RSS) | {rss(pid)} MiB |")
    print(f"| writes beside the children's first apply | {len(beside) / count:.2f} a tenant |\n")
    print("| writes by verb and resource | count |\n|---|---|")
    for (verb, resource), number in Counter((w.verb, w.resource) for w in writes).most_common(12):
        print(f"| {verb} {resource} | {number} |")


def _reconciles(port: int) -> str:
    """By kind and outcome, as /metrics says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'rag_operator_reconciles_total\{kind="(\w+)",outcome="(\w+)"\} ([0-9.]+)', text)
    return ", ".join(f"{float(count):.0f} of a {kind} ({outcome})" for kind, outcome, count in found)


def _by_the_bench(write: Any) -> bool:
    return bool(write.verb == "create" and write.resource == "ragtenants")


async def create(kubeconfig: Path, namespace: str, count: int) -> None:
    """So many suspended tenants, several at once."""
    api = await Api.connect(str(kubeconfig))
    names = iter([f"t{number:08d}" for number in range(count)])

    async def work() -> None:
        for name in names:
            manifest = tenant(name, suspend=True)
            manifest["metadata"]["namespace"] = namespace
            await api.create(TENANT, manifest)

    try:
        await asyncio.gather(*(work() for _ in range(CREATORS)))
    finally:
        await api.close()


async def _uids(kubeconfig: Path, namespace: str) -> dict[str, str]:
    api = await Api.connect(str(kubeconfig))
    try:
        return {item["metadata"]["name"]: item["metadata"]["uid"] for item in await api.list(TENANT, namespace)}
    finally:
        await api.close()


async def laid(kubeconfig: Path, namespace: str) -> int:
    """How many have all that they are to have in the database."""
    api = await Api.connect(str(kubeconfig))
    try:
        items = await api.list(TENANT, namespace)
        return sum(_holds(item, "DatabaseReady") and "schema" in item["status"] for item in items)
    finally:
        await api.close()


def _holds(item: dict[str, Any], kind: str) -> bool:
    found = item.get("status", {}).get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in found)


def cpu_seconds(pid: int) -> float:
    """Seconds of user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int) -> int:
    """Resident memory of a process, in MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    sys.exit(main())

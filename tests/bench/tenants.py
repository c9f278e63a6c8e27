"""Many tenants created at once, ingestion suspended: how long, what it costs the operator, what it writes.

    python -m tests.bench.tenants [COUNT]

Three parts in one run, on a control plane without nodes: the same API writes sent again without an operator, the same
SQL likewise, and ours. Replay and operator have a Postgres and a namespace each. CPU is each process's own, from /proc.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import TENANT
from tests.bench.machine import Meter, cpu_seconds, family_seconds, folder_seconds, rss
from tests.bench.recorded import Recording, renaming, replay_calls, replay_transactions
from tests.cluster.fixtures import Kubernetes, without_nodes
from tests.faults.harness import stage
from tests.support import postgres, redis
from tests.support.operator import HANDBOOK, World, pipeline, tenant
from tests.support.rights import HOME
from tests.support.scrape import Scrape

COUNT = 1000
CREATORS = 8
LANE = 4
"""Reconciles at once that the operator allows a database; the replay has so many connections."""
TEMPLATE = "template0"
CRDS = Path(__file__).parents[2] / "crds"
FIRST_APPLY = ("secrets", "configmaps", "cronjobs")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three: seconds by the clock, and CPU seconds by who spent them."""

    name: str
    seconds: float
    spent: dict[str, float]


def main() -> int:
    """Measure once and print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with without_nodes(f"bench-{os.getpid()}") as kubernetes, tempfile.TemporaryDirectory() as folder:
        kubernetes.install_kinds(CRDS)
        with postgres.running() as server, placed(kubernetes, "replay", Path(folder)) as here:
            replayed = _replay(here, server, Path(folder), count)
        with postgres.running() as server, placed(kubernetes, "ours", Path(folder)) as here:
            _measure(here, server, count, replayed)
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


def _replay(here: World, server: postgres.Server, folder: Path, count: int) -> tuple[Part, Part]:
    """The API writes and the SQL of so many tenants."""
    dsn = server.create_database("tenants")
    recorded, old = _record(here, dsn, folder)
    asyncio.run(create(here.kubeconfig, here.namespace, count))
    uids = asyncio.run(_uids(here.kubeconfig, here.namespace))
    renamings = [renaming(old, _names(name, uid, uuid4())) for name, uid in uids.items() if name != TEMPLATE]
    meter = _meter(here, server)
    asyncio.run(replay_calls(here.kubeconfig, recorded.calls, renamings, CREATORS))
    calls = Part(f"the same API writes, {CREATORS} at once: {len(recorded.calls)} a tenant", *meter.read())
    meter = _meter(here, server)
    replay_transactions(dsn, recorded.transactions, renamings, LANE)
    messages = sum(len(one) for one in recorded.transactions)
    text = f"the same SQL, {LANE} connections: {len(recorded.transactions)} transactions, {messages} messages a tenant"
    return calls, Part(text, *meter.read())


def _meter(here: World, server: postgres.Server, pid: int = 0) -> Meter:
    """Who works; `pid` is the operator's, where one runs."""
    assert server.process is not None
    cluster, database = here.api.kubeconfig.parent, server.process.pid
    return Meter(
        kubernetes=lambda: folder_seconds(cluster),
        postgres=lambda: family_seconds(database),
        operator=lambda: cpu_seconds(pid) if pid else 0.0,
        bench=lambda: cpu_seconds(os.getpid()),
    )


def _record(here: World, dsn: str, folder: Path) -> tuple[Recording, dict[str, bytes]]:
    """What one tenant takes, and its names."""
    recording = Recording()
    with redis.running() as cache, stage(here, dsn, cache.url, folder) as scene:
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


def _measure(here: World, server: postgres.Server, count: int, replayed: tuple[Part, Part]) -> None:
    port = postgres.free_port()
    replica = here.operator(metrics_port=str(port))
    here.apply(pipeline(), HANDBOOK, here.database_secret(server.create_database("tenants")))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    assert replica.process is not None
    pid, audit = replica.process.pid, here.api.audit
    mark, meter, began = audit.mark(), _meter(here, server, pid), time.monotonic()
    asyncio.run(create(here.kubeconfig, here.namespace, count))
    created = time.monotonic() - began
    wait_until_laid(here, count)
    ours = Part("**ours**", *meter.read())
    time.sleep(5)
    writes = [write for write in audit.writes(mark, user=here.user) if write.resource != "leases"]
    beside = [write for write in writes if write.resource not in FIRST_APPLY and not _by_the_bench(write)]
    _print_parts(count, replayed, ours)
    print(f"| creation of all RagTenants, {CREATORS} at once (within ours) | {created:.1f} s |")
    print(f"| tenants with schema, roles, Secrets, CronJob | {count / ours.seconds:.1f} a second |")
    print(f"| CPU of the operator | {1000 * ours.spent['operator'] / count:.1f} ms a tenant |")
    print(f"| reconciles | {_reconciles(port)} |")
    print(f"| calls of the API server | {_calls(port, count)} a tenant |")
    print(f"| memory of the operator (RSS) | {rss(pid)} MiB |")
    print(f"| writes beside the children's first apply | {len(beside) / count:.2f} a tenant |\n")
    print("| writes by verb and resource | count |\n|---|---|")
    for (verb, resource), number in Counter((w.verb, w.resource) for w in writes).most_common(12):
        print(f"| {verb} {resource} | {number} |")


def _print_parts(count: int, replayed: tuple[Part, Part], ours: Part) -> None:
    larger = max(part.seconds for part in replayed)
    needed = sum(part.spent["kubernetes"] + part.spent["postgres"] for part in replayed)
    print(f"{count} tenants, suspended; {os.cpu_count()} CPUs for all, Linux {platform.release()}, "
          f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| part | s | CPU s of API server, etcd, controllers | of Postgres | of the operator | of the bench |")
    print("|---|---|---|---|---|---|")
    for part in (*replayed, ours):
        cpu = " | ".join(f"{part.spent[name]:.1f}" for name in ("kubernetes", "postgres", "operator", "bench"))
        print(f"| {part.name} | {part.seconds:.1f} | {cpu} |")
    print("\n| what | figure |\n|---|---|")
    print(f"| ours by the larger of the two | {ours.seconds / larger:.2f} |")
    print(f"| what both replays took of API server and Postgres, on all CPUs at once | "
          f"{needed / (os.cpu_count() or 1):.1f} s |")  # fmt: skip
    print(f"| CPU of sending the API writes alone (the bench's) | {1000 * replayed[0].spent['bench'] / count:.1f} ms "
          "a tenant |")  # fmt: skip


def _reconciles(port: int) -> str:
    """By kind and outcome, as /metrics says."""
    found = Scrape(port).series("rag_operator_reconciles_total")
    return ", ".join(f"{one.value:.0f} of a {one.labels['kind']} ({one.labels['outcome']})" for one in found)


def _calls(port: int, count: int) -> str:
    """Calls of the API server by verb, a tenant."""
    calls: Counter[str] = Counter()
    for one in Scrape(port).series("rag_operator_api_calls_total"):
        calls[one.labels["verb"]] += int(one.value)
    return ", ".join(f"{number / count:.2f} {verb}" for verb, number in calls.most_common(4))


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


def wait_until_laid(here: World, count: int) -> None:
    """Until so many have all that they are to have in the database: watched, since a list of all each second costs."""
    columns = (
        '-ocustom-columns=N:.metadata.name,S:.status.schema,D:.status.conditions[?(@.type=="DatabaseReady")].status'
    )
    command = [
        here.api.kubectl_program,
        "get",
        "ragtenants",
        "-n",
        here.namespace,
        "-w",
        "--no-headers",
        columns,
    ]
    environment = {**os.environ, "KUBECONFIG": str(here.api.kubeconfig)}
    found: set[str] = set()
    while len(found) < count:  # a watch ends now and then
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
            assert watching.stdout is not None
            for line in watching.stdout:
                name, schema, ready = line.split()
                if schema != "<none>" and ready == "True":
                    found.add(name)
                if len(found) == count:
                    watching.terminate()


if __name__ == "__main__":
    sys.exit(main())

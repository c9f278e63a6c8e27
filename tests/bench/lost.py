"""Requests lost at 200 a second while pods are replaced, scaled down, given other Secrets, and the operator fails over.

    python -m tests.bench.lost [RATE]

From this machine to the Service's cluster address, connections kept alive, one client a connection. Lost is every
request that has no 200 within ten seconds. Nine questions of ten are cached ones, so that what is judged is the pods'
coming and going; the tenth is answered by the database.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.asking import api_key
from tests.bench.place import PIPELINE, apply, bench_namespace, conditions, pages, resources
from tests.install import Tools
from tests.support.load import CLIENTS, Load, Phase, questions, running
from tests.support.operator import eventually

RATE = 200
SETTLE = 8.0
QUESTION = "What does the operator write when idle?"
NEW = 10
"""One question of so many is a new one."""


class Scene:
    """The namespace and what is done to it."""

    def __init__(self, using: Tools, namespace: str) -> None:
        self._using, self._namespace = using, namespace

    def kubectl(self, *arguments: str) -> str:
        """In the namespace."""
        return self._using.kubectl("-n", self._namespace, *arguments, deadline=200)

    def apply(self, **spec: Any) -> None:
        """The pipeline with this beside its database."""
        apply(self._using, self._namespace, PIPELINE | {"spec": {"database": {"managed": {}}} | spec})

    def ready(self) -> None:
        """Wait until the pipeline is Ready and its rollout complete."""
        self.kubectl("rollout", "status", "deployment/support-query", "--timeout=180s")
        self.kubectl("wait", "ragpipeline/support", "--for=condition=Ready", "--timeout=120s")

    def generation(self) -> str:
        """Of the query Deployment: it changes once a rollout."""
        return self.kubectl("get", "deployment", "support-query", "-o", "jsonpath={.metadata.generation}")

    def rolled_once(self, change: Callable[[], None]) -> None:
        """Do it and wait for the one rollout that it leads to."""
        before = self.generation()
        change()
        eventually(lambda: self.generation() != before, "the pods are told", 60)
        self.ready()

    def renew(self, secret: str) -> None:
        """Delete a Secret of random content and let the operator make another."""
        self.kubectl("delete", "secret", secret)
        eventually(lambda: self.kubectl("get", "secret", secret, "--ignore-not-found", "-o", "name"), "a new one", 60)

    def restart(self) -> None:
        """Every pod is replaced."""
        self.kubectl("rollout", "restart", "deployment/support-query")
        self.ready()

    def other_logins(self) -> None:
        """The roles get other passwords; pods read theirs again, which the kubelet brings within a minute or two."""
        self.renew("support-query-db")
        time.sleep(100)

    def out_and_in(self) -> None:
        """Two pods more, then two fewer."""
        self.rolled_once(lambda: self.apply(scaling={"replicas": 4}))
        self.rolled_once(self.apply)

    def fail_over(self) -> None:
        """Kill the leading operator and wait until the other has the Lease."""
        path = "jsonpath={.spec.holderIdentity}"
        holder = self.kubectl("get", "lease", "rag-operator", "-o", path)
        self.kubectl("delete", "pod", holder.rpartition("-")[0], "--grace-period=0", "--force")
        eventually(lambda: self.kubectl("get", "lease", "rag-operator", "-o", path) != holder, "another leads", 60)


def disturbances(scene: Scene) -> dict[str, Callable[[], None]]:
    """What is done, by what it is called in the table."""
    return {
        "nothing, for comparison": lambda: time.sleep(10),
        "rolling restart of the query pods": scene.restart,
        "another configuration (topK)": lambda: scene.rolled_once(lambda: scene.apply(retrieval={"topK": 5})),
        "another password of the cache": lambda: scene.rolled_once(lambda: scene.renew("support-cache")),
        "other logins of the database": scene.other_logins,
        "scaled from 2 pods to 4 and back": scene.out_and_in,
        "the leading operator killed": scene.fail_over,
    }


async def measure(steps: Mapping[str, Callable[[], None]], load: Load) -> list[Phase]:
    """Every step under load, each with the time it needs to settle."""
    phases = []
    async with running(load):
        for name, disturb in steps.items():
            print(f"· {name}", file=sys.stderr, flush=True)
            load.phase, began = Phase(name), time.monotonic()
            await asyncio.to_thread(disturb)
            await asyncio.sleep(SETTLE)
            load.phase.seconds = time.monotonic() - began
            phases.append(load.phase)
    return phases


def main() -> int:
    """Measure once and print the table; 1 when a request was lost."""
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else RATE
    with bench_namespace() as (using, namespace):
        scene = Scene(using, namespace)
        apply(using, namespace, PIPELINE, *resources("acme", pages(10)))
        scene.kubectl("wait", "ragtenant/acme", "--for=condition=Ready", "--timeout=180s")
        scene.ready()
        address = scene.kubectl("get", "service", "support", "-o", "jsonpath={.spec.clusterIP}")
        load = Load(f"http://{address}:8000", api_key(using, namespace, "acme"), questions(QUESTION, NEW), rate)
        phases = asyncio.run(measure(disturbances(scene), load))
    print(f"{rate} requests/s from {CLIENTS} connections; {conditions()}\n\n{table(phases)}")
    return 1 if any(phase.lost for phase in phases) else 0


def table(phases: Iterable[Phase]) -> str:
    """A row a phase."""
    rows = ["| what | s | requests | lost | p50 ms | p99 ms |", "|---|---|---|---|---|---|"]
    for phase in phases:
        ordered = sorted(phase.latencies)
        p50, p99 = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        why = ", ".join(f"{kind} {count}" for kind, count in phase.found.items() if kind != "200")
        lost = f"**{phase.lost}**" + (f" ({why})" if why else "")
        rows.append(f"| {phase.name} | {phase.seconds:.0f} | {len(ordered)} | {lost} | {p50:.1f} | {p99:.1f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

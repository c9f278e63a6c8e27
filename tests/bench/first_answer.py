"""From `kubectl apply` (images present) to the first answered question, for a tenant of 10 pages, with its parts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.asking import api_key, forwarded, post
from tests.bench.place import PIPELINE, apply, bench_namespace, conditions, pages, resources
from tests.install import Tools

PAGES = 10
PATIENCE = 300.0


@dataclass(slots=True)
class Marks:
    """When each thing was first seen, in seconds after the apply."""

    start: float
    seen: dict[str, float] = field(default_factory=dict)

    def look(self, checks: dict[str, Callable[[], bool]]) -> bool:
        """Note what holds now for the first time; True when all do."""
        for name, check in checks.items():
            if name not in self.seen and check():
                self.seen[name] = time.monotonic() - self.start
        return len(self.seen) == len(checks)


def main() -> int:
    """Measure once and print the table."""
    with bench_namespace() as (using, namespace):
        marks = Marks(time.monotonic())
        apply(using, namespace, PIPELINE, *resources("acme", pages(PAGES)))
        checks = _checks(using, namespace)
        while not marks.look(checks) and time.monotonic() - marks.start < PATIENCE:
            time.sleep(0.1)
        key = api_key(using, namespace, "acme")
        with forwarded(using, namespace, "service/support") as address:
            status, answer = post(f"{address}/v1/query", key, {"question": "What does the operator write when idle?"})
        total = time.monotonic() - marks.start
    print(f"{PAGES} pages; {conditions()}\n\n| since `kubectl apply` | s |\n|---|---|")
    for name, seconds in sorted(marks.seen.items(), key=lambda pair: pair[1]):
        print(f"| {name} | {seconds:.1f} |")
    print(f"| first question answered ({status}, {len(answer.get('sources', []))} sources) | **{total:.1f}** |")
    return 0 if status == 200 and answer["sources"] else 1


def _checks(using: Tools, namespace: str) -> dict[str, Callable[[], bool]]:
    def status(kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = using.get(kind, name, namespace).get("status", {})
        return found

    def ready(kind: str, name: str) -> bool:
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status(kind, name).get("conditions", []))

    def jobs(condition: Callable[[str], bool]) -> bool:
        path = "jsonpath={.items[*].status.phase}"
        selector = "rag-operator.dev/tenant=acme"
        return condition(using.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", path))

    return {
        "Postgres pod ready": lambda: status("statefulset", "support-postgres").get("readyReplicas", 0) > 0,
        "catalog made": lambda: "catalogID" in status("ragpipeline", "support"),
        "ingestion pod runs": lambda: jobs(lambda phases: "Running" in phases or "Succeeded" in phases),
        "query pod ready": lambda: status("deployment", "support-query").get("readyReplicas", 0) > 0,
        "revision promoted": lambda: bool((status("ragtenant", "acme").get("index") or {}).get("active")),
        "tenant Ready": lambda: ready("ragtenant", "acme"),
    }


if __name__ == "__main__":
    sys.exit(main())

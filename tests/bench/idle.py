"""Writes of an idle operator: 20 ingested tenants, schedules suspended, 10 minutes, counted in the API's audit log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.bench.place import PIPELINE, apply, bench_namespace, conditions, resources
from tests.cluster import backend
from tests.cluster.audit import Audit

TENANTS = 20
MINUTES = 10.0


def main() -> int:
    """Measure once and print the table; 1 when the operator wrote anything beside its Lease."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    log = backend.choose("main").audit_log()
    if log is None:
        print("idle: the audit log of this cluster is out of reach", file=sys.stderr)
        return 2
    names = [f"t{number:02d}" for number in range(TENANTS)]
    with bench_namespace() as (using, namespace):
        apply(using, namespace, PIPELINE)
        for name in names:
            apply(using, namespace, *resources(name, {"hello.md": f"# {name}\n\nThe office of {name} opens at nine."}))
        _wait(lambda: _ready(using.kubectl("get", "ragt", "-n", namespace)) == TENANTS)
        for name in names:
            apply(
                using,
                namespace,
                *resources(name, {"hello.md": f"# {name}\n\nThe office of {name} opens at nine."}, suspend=True),
            )
        time.sleep(60)
        audit, user = Audit(log), f"system:serviceaccount:{namespace}:rag-operator"
        mark = audit.mark()
        print(f"· {minutes:g} minutes of idleness", file=sys.stderr, flush=True)
        time.sleep(minutes * 60)
        entries = list(audit.entries(mark, user=user))
    writes = Counter(entry.resource for entry in entries if entry.writes)
    leases = writes.pop("leases", 0)
    print(f"{TENANTS} tenants, {minutes:g} minutes; {conditions()}\n\n| calls of the operator | count |\n|---|---|")
    print(f"| writes beside the Lease | **{sum(writes.values())}** {dict(writes) or ''} |")
    print(f"| renewals of the Lease | {leases} |\n| reads | {sum(not entry.writes for entry in entries)} |")
    return 1 if writes else 0


def _ready(table: str) -> int:
    return sum(line.split()[2:3] == ["True"] for line in table.splitlines()[1:])


def _wait(look: Callable[[], bool], seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit("idle: the tenants were not Ready in time")
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())

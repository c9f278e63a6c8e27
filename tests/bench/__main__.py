"""`make bench`: every benchmark, one after the other; each prints a table for docs/benchmarks.md. Or name some."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = {
    "first-answer": ["tests.bench.first_answer"],
    "load": ["tests.bench.ingest.load"],
    "manpages": ["tests.bench.ingest.manpages"],
    "query": ["tests.bench.serve.query"],
    "tenants": ["tests.bench.tenants"],
    "lost": ["tests.bench.lost"],
    "upgrade": ["tests.bench.upgrade"],
    "steady": ["tests.bench.steady"],
    "fleet": ["tests.bench.fleet"],
    "idle": ["tests.bench.idle"],
}


def main() -> int:
    """Run those that are named, or all; 1 when one failed."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"bench: no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names:
        print(f"\n## {name}\n", flush=True)
        failed |= subprocess.run([sys.executable, "-W", "ignore", "-m", *BENCHMARKS[name]], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

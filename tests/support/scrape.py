"""What an operator says of itself at /metrics."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

Buckets = dict[float, float]
"""How many took no longer than so many seconds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the exposition."""

    name: str
    labels: dict[str, str]
    value: float


class Scrape:
    """All samples of one look at an operator on loopback; none while it doesn't answer."""

    def __init__(self, port: int | str) -> None:
        self.samples: list[Sample] = []
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                families = text_string_to_metric_families(answer.read().decode())
        except (OSError, HTTPException):
            return
        self.samples = [Sample(one.name, one.labels, one.value) for family in families for one in family.samples]

    def series(self, name: str, **labels: str) -> list[Sample]:
        """Those of that name with those labels."""
        return [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]

    def of(self, name: str, **labels: str) -> float:
        """The sum of the series of that name with those labels."""
        return sum(one.value for one in self.series(name, **labels))

    def buckets(self, name: str, **labels: str) -> Buckets:
        """A histogram, summed over its series."""
        found: Buckets = {}
        for one in self.series(f"{name}_bucket", **labels):
            bound = float(one.labels["le"])
            found[bound] = found.get(bound, 0.0) + one.value
        return found

    def is_idle(self) -> bool:
        """Whether the operator answers, and nothing waits or is being worked on."""
        waiting = self.of("rag_operator_queue_depth") + self.of("rag_operator_queue_working")
        return bool(self.samples) and not waiting


def quantile(buckets: Buckets, share: float) -> float:
    """Prometheus's histogram_quantile, in seconds: within a bucket the values are taken to be spread evenly."""
    wanted, lower, below = max(buckets.values()) * share, 0.0, 0.0
    for bound, value in sorted(buckets.items()):
        if value >= wanted and value > below:
            return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / (value - below)
        lower, below = bound, value
    return lower


def until(look: Callable[[], bool], what: str, every: float) -> None:
    """Look each so many seconds, with a line that says what is waited for."""
    print(f"· {what}", file=sys.stderr, flush=True)
    while not look():
        time.sleep(every)
